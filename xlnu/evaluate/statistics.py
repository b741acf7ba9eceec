"""Intervals of means. Nothing is drawn but from a seed of its own: the same numbers give the same interval."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Examples = Mapping[str, float]  # by what names an example in all languages
TIMES = 2000
AT_ONCE = 100  # of 10,000 examples, 4 MB
FEW = 2000  # examples whose draws are kept: 16 MB
Counts = NDArray[np.float32]


@dataclass(frozen=True)
class Interval:
    """A mean, and where it is to be looked for, 95 times in 100."""

    mean: float
    low: float
    high: float
    n: int  # examples, one in several languages counted once


def interval(runs: Sequence[Sequence[Examples]], seed: int = 0) -> Interval:
    """Of the mean over runs of the mean over languages of the mean over examples: `runs[run][language]`.

    Of one run: examples are drawn again, each with what it is in all languages, for a hard question is hard in all.
    Of several, the wider of that and of Student's interval of the runs' means: three runs that agree by chance
    prove little. Of a difference between two systems, give the differences: that is the paired test.
    """
    assert runs
    assert all(examples for run in runs for examples in run)
    means = np.array([np.mean([np.mean(list(each.values())) for each in run]) for run in runs])
    mean = float(means.mean())
    keys = [list(dict.fromkeys(key for examples in run for key in examples)) for run in runs]
    apart = any(set(some) != set(keys[0]) for some in keys)  # asked different questions, as in worlds of their own
    low, high = _of_examples(runs, keys if apart else [keys[0]] * len(runs), apart=apart, seed=seed)
    if len(runs) > 1:
        from scipy.stats import t

        half = float(t.ppf(0.975, len(runs) - 1)) * float(means.std(ddof=1)) / np.sqrt(len(runs))
        low, high = min(low, mean - half), max(high, mean + half)
    return Interval(mean, low, high, sum(map(len, keys)) if apart else len(keys[0]))


def _of_examples(
    runs: Sequence[Sequence[Examples]], keys: Sequence[list[str]], *, apart: bool, seed: int
) -> tuple[float, float]:
    means = np.zeros(TIMES)
    for number, (run, names) in enumerate(zip(runs, keys, strict=True)):
        place = {key: at for at, key in enumerate(names)}
        columns = [[place[key] for key in examples] for examples in run]
        values = [np.array(list(examples.values())) for examples in run]
        for at, drawn in enumerate(_draws(len(names), seed, number if apart else 0)):
            for some, value in zip(columns, values, strict=True):
                weights = drawn[:, some]
                found = weights @ value / np.maximum(weights.sum(axis=1), 1)
                means[at * AT_ONCE : (at + 1) * AT_ONCE] += found / len(run) / len(runs)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _draws(examples: int, seed: int, run: int) -> Iterable[Counts]:
    """How often each example is drawn, AT_ONCE times in each of TIMES / AT_ONCE pieces."""
    return _kept(examples, seed, run) if examples <= FEW else _drawn(examples, seed, run)


def _drawn(examples: int, seed: int, run: int) -> Iterator[Counts]:
    rng = np.random.default_rng((seed, run))
    for _ in range(TIMES // AT_ONCE):
        yield rng.multinomial(examples, np.full(examples, 1 / examples), AT_ONCE).astype(np.float32)


@lru_cache(maxsize=16)
def _kept(examples: int, seed: int, run: int) -> list[Counts]:
    """Drawing takes ten times as long as all else here, and a report asks for the same draws hundreds of times."""
    return list(_drawn(examples, seed, run))
