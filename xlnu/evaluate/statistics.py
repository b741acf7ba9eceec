"""Intervals of means. Nothing is drawn but from a seed of its own: the same numbers give the same interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Examples = Mapping[str, float]  # by what names an example in all languages
TIMES = 2000
AT_ONCE = 100  # of 10,000 examples, 8 MB


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
    rng = np.random.default_rng(seed)
    means = np.zeros(TIMES)
    for start in range(0, TIMES, AT_ONCE):
        drawn = None
        for run, names in zip(runs, keys, strict=True):
            if drawn is None or apart:
                drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), AT_ONCE)
            number = {key: place for place, key in enumerate(names)}
            for examples in run:
                weights = drawn[:, [number[key] for key in examples]]
                found = weights @ np.array(list(examples.values())) / np.maximum(weights.sum(axis=1), 1)
                means[start : start + AT_ONCE] += found / len(run) / len(runs)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
