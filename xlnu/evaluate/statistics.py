"""Intervals by resampling. Nothing is drawn but from a seed of its own: the same numbers give the same interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
TIMES = 2000


@dataclass(frozen=True)
class Interval:
    """A mean, and where 95 of 100 resamplings put it."""

    mean: float
    low: float
    high: float
    n: int


def interval(seeds: Sequence[Sequence[Values]], seed: int = 0) -> Interval:
    """Of the mean over runs of the mean over languages of the mean over examples: `seeds[run][language]`.

    Runs are drawn again, and within each its examples; with one run it is the examples alone. Of a difference
    between two systems, give the differences, example by example: that is the paired test.
    """
    rng, runs = np.random.default_rng(seed), len(seeds)
    assert runs
    assert all(len(values) for run in seeds for values in run)
    drawn = rng.integers(0, runs, (TIMES, runs))
    means = np.zeros((TIMES, runs))
    for place in range(runs):
        resampled = np.stack([_resampled(rng, run) for run in seeds])  # [run, time]
        means[:, place] = resampled[drawn[:, place], np.arange(TIMES)]
    low, high = np.percentile(means.mean(axis=1), [2.5, 97.5])
    mean = float(np.mean([np.mean([values.mean() for values in run]) for run in seeds]))
    return Interval(mean, float(low), float(high), sum(len(values) for run in seeds for values in run))


def _resampled(rng: np.random.Generator, languages: Sequence[Values]) -> Values:
    found = np.zeros(TIMES)
    for values in languages:
        n = len(values)
        for start in range(0, TIMES, 100):  # of 10,000 examples, 8 MB at once
            found[start : start + 100] += rng.multinomial(n, np.full(n, 1 / n), 100) @ values / n
    return found / len(languages)
