"""Intervals: they hold what they say, over examples and over runs."""

import numpy as np
import pytest

from xlnu.evaluate.statistics import interval


def test_the_interval_holds_the_truth_95_times_in_100() -> None:
    rng, held, times = np.random.default_rng(1), 0, 200
    for _ in range(times):
        found = interval([[(rng.random(120) < 0.3).astype(float)]])
        held += found.low <= 0.3 <= found.high
    assert 0.90 <= held / times <= 0.99


def test_it_is_as_wide_as_theory_has_it() -> None:
    values = (np.arange(4000) % 4 == 0).astype(float)
    found = interval([[values]])
    assert found.mean == 0.25
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * np.sqrt(0.25 * 0.75 / 4000), rel=0.1)


def test_runs_that_disagree_widen_it() -> None:
    rng = np.random.default_rng(2)
    agree = interval([[rng.random(300)] for _ in range(3)])
    apart = interval([[rng.random(300) + shift] for shift in (-0.3, 0.0, 0.3)])
    assert apart.high - apart.low > 3 * (agree.high - agree.low)
    assert apart.n == 900


def test_each_language_counts_alike_whatever_its_examples() -> None:
    found = interval([[np.ones(10), np.zeros(1000)]])
    assert found.mean == 0.5
    assert (found.low, found.high) == (0.5, 0.5)


def test_the_same_numbers_give_the_same_interval() -> None:
    values = np.random.default_rng(3).random(50)
    assert interval([[values]]) == interval([[values]])
    assert interval([[values]], seed=1) != interval([[values]])
