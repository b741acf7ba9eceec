"""The measuring itself: with numbers known beforehand, so that what the frame makes of them can be checked."""

from collections.abc import Iterator
from typing import Any

import pytest

from xlnu.bench.frame import Bench, Run, measure
from xlnu.errors import Halt


def a_bench(ours: Run, theirs: Run, **other: Any) -> Bench:
    of: dict[str, Any] = {"goal": 2.0, "unit": "s", "higher_is_better": False, "limit": "the bus"} | other
    return Bench(name="sum", baseline="a loop", ours=ours, theirs=theirs, **of)


def in_turn(*values: float) -> Run:
    """A run that measures these values, one a call, and always gives the same output."""
    left: Iterator[float] = iter(values)
    return lambda: (next(left), "same")


def test_pairs_are_interleaved_and_their_order_alternates() -> None:
    calls = []

    def run(name: str) -> Run:
        def called() -> tuple[float, str]:
            calls.append(name)
            return 1.0, "same"

        return called

    measure(a_bench(run("A"), run("B")), repeats=3, warmup=1)
    assert "".join(calls) == "ABBAABBA"


@pytest.mark.parametrize(("higher_is_better", "ratio"), [(False, 4.0), (True, 0.25)])
def test_a_ratio_above_one_means_ours_is_better(higher_is_better: bool, ratio: float) -> None:
    bench = a_bench(lambda: (1.0, 0), lambda: (4.0, 0), higher_is_better=higher_is_better)
    result = measure(bench, repeats=1, warmup=0)
    assert result.ratio == ratio
    assert result.short is not (ratio >= 2.0)


def test_the_ratio_is_the_median_of_the_pairs_and_not_of_the_runs() -> None:
    # The machine slows down midway. The pairs' ratios are 2, 30 and 4; that of the medians would be 30.
    result = measure(a_bench(in_turn(1, 1, 10), in_turn(2, 30, 40)), repeats=3, warmup=0)
    assert (result.ratio_min, result.ratio, result.ratio_max) == (2, 4, 30)
    assert (result.ours.min, result.ours.median, result.ours.max) == (1, 1, 10)
    assert (result.theirs.min, result.theirs.median, result.theirs.max) == (2, 30, 40)
    assert (result.repeats, result.ours.unit, result.theirs.unit) == (3, "s", "s")


def test_warm_up_is_run_but_not_counted() -> None:
    ceiling = iter([900.0, 900.0, 0.5])
    bench = a_bench(in_turn(100, 200, 1), in_turn(1, 1, 2), ceiling=lambda: next(ceiling))
    result = measure(bench, repeats=1, warmup=2)
    assert (result.ratio, result.ours.max, result.theirs.median) == (2, 1, 2)
    assert result.bound == "the bus: 0.5 s, of which ours reaches 50 %"


def test_unequal_outputs_are_not_the_same_work() -> None:
    bench = a_bench(lambda: (1.0, [1, 2]), lambda: (9.0, [1, 3]))
    with pytest.raises(Halt, match=r"bench sum: ours and a loop did not .* same work: \[1, 2\] against \[1, 3\]"):
        measure(bench, repeats=1, warmup=0)


def test_outputs_are_compared_in_the_warm_up_too() -> None:
    outputs = iter(["wrong", "right"])
    bench = a_bench(lambda: (1.0, next(outputs)), lambda: (1.0, "right"))
    with pytest.raises(Halt, match="'wrong' against 'right'"):
        measure(bench, repeats=1, warmup=1)


def test_a_bench_may_say_that_outputs_differ() -> None:
    bench = a_bench(lambda: (1.0, "one"), lambda: (3.0, "other"), same_output=False)
    assert measure(bench, repeats=1, warmup=0).ratio == 3


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_measurement_is_refused(value: float) -> None:
    with pytest.raises(Halt, match=f"bench sum: measured {value} s, which is no measurement"):
        measure(a_bench(lambda: (value, 0), lambda: (1.0, 0)), repeats=1, warmup=0)
    with pytest.raises(Halt, match="no measurement"):
        measure(a_bench(lambda: (1.0, 0), lambda: (1.0, 0), ceiling=lambda: value), repeats=1, warmup=0)


@pytest.mark.parametrize(
    ("higher_is_better", "ceiling", "bound"),
    [
        (False, 0.8, "the bus: 0.8 s, of which ours reaches 80 %"),
        (True, 4, "the bus: 4 s, of which ours reaches 25 %"),
    ],
)
def test_the_bound_says_how_near_the_ceiling_ours_comes(higher_is_better: bool, ceiling: float, bound: str) -> None:
    bench = a_bench(lambda: (1.0, 0), lambda: (1.0, 0), higher_is_better=higher_is_better, ceiling=lambda: ceiling)
    assert measure(bench, repeats=1, warmup=0).bound == bound


def test_a_bound_without_a_ceiling_says_so() -> None:
    result = measure(a_bench(lambda: (1.0, 0), lambda: (1.0, 0)), repeats=1, warmup=0)
    assert result.bound == "the bus (ceiling not measured)"
