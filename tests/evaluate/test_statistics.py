"""Intervals: they hold what they say, over examples, languages and runs."""

from collections.abc import Iterable

import numpy as np
import pytest
from scipy.stats import t

from xlnu.evaluate.statistics import interval


def examples(values: Iterable[float], prefix: str = "") -> dict[str, float]:
    return {f"{prefix}{number}": float(value) for number, value in enumerate(values)}


def test_the_interval_holds_the_truth_95_times_in_100() -> None:
    rng, held, times = np.random.default_rng(1), 0, 200
    for _ in range(times):
        found = interval([[examples(rng.random(120) < 0.3)]])
        held += found.low <= 0.3 <= found.high
    assert 0.90 <= held / times <= 0.99


def test_it_holds_it_when_one_question_is_asked_in_many_languages() -> None:
    """A question that is hard in one is hard in all: seven languages are not seven times the questions."""
    rng, held, times = np.random.default_rng(2), 0, 200
    for _ in range(times):
        hard = rng.random(120)
        found = interval([[examples(rng.random(120) < hard) for _ in range(7)]])
        assert found.n == 120
        held += found.low <= 0.5 <= found.high
    assert 0.90 <= held / times <= 0.99


def test_it_holds_it_when_runs_differ_by_more_than_their_examples() -> None:
    rng, held, times = np.random.default_rng(3), 0, 200
    for _ in range(times):
        runs = [[examples(rng.normal(shift, 0.1, 200))] for shift in rng.normal(0, 0.05, 3)]
        found = interval(runs)
        held += found.low <= 0 <= found.high
    assert 0.90 <= held / times <= 1


def test_it_is_as_wide_as_theory_has_it() -> None:
    found = interval([[examples(np.arange(4000) % 4 == 0)]])
    assert found.mean == 0.25
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * np.sqrt(0.25 * 0.75 / 4000), rel=0.1)
    runs = interval([[examples(np.full(50, value), str(value))] for value in (0.1, 0.2, 0.6)])
    half = t.ppf(0.975, 2) * np.std([0.1, 0.2, 0.6], ddof=1) / np.sqrt(3)
    assert [runs.low, runs.high] == pytest.approx([0.3 - half, 0.3 + half])


def test_the_same_questions_asked_three_times_are_no_more_questions() -> None:
    values = examples(np.random.default_rng(4).random(80) < 0.5)
    one, three = interval([[values]]), interval([[values]] * 3)
    assert three.n == one.n == 80
    assert three.high - three.low > 0.9 * (one.high - one.low)
    apart = interval([[{f"{run} {key}": value for key, value in values.items()}] for run in range(3)])
    assert apart.n == 240
    assert apart.high - apart.low < 0.7 * (one.high - one.low)


def test_each_language_counts_alike_whatever_its_examples() -> None:
    found = interval([[examples(np.ones(10), "a"), examples(np.zeros(1000), "b")]])
    assert found.mean == 0.5
    assert found.n == 1010


def test_the_same_numbers_give_the_same_interval() -> None:
    values = examples(np.random.default_rng(3).random(50))
    assert interval([[values]]) == interval([[values]])
    assert interval([[values]], seed=1) != interval([[values]])
