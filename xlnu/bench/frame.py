"""What a bench is, and how it is measured so that a noisy machine cannot lie much."""

import math
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from xlnu.errors import Halt
from xlnu.report.readable import readable

# One run of the work: what it measured (seconds, tokens a second, ...) and what came out of the work.
Run = Callable[[], tuple[float, Any]]


@dataclass(frozen=True)
class Bench:
    """The same work done our way and the baseline's way.

    `goal` is the ratio to reach, above 1 where ours is to be better. Unless `same_output` is off, what the
    two runs of a pair return beside their values must be equal, or it was not the same work. `limit` says
    what keeps ours from being better still; `ceiling` measures that, in the bench's unit, once a pair.
    """

    name: str
    baseline: str
    goal: float
    unit: str
    higher_is_better: bool
    ours: Run
    theirs: Run
    limit: str
    ceiling: Callable[[], float] | None = None
    same_output: bool = True


@dataclass(frozen=True)
class Figures:
    median: float
    min: float
    max: float
    unit: str


@dataclass(frozen=True)
class Result:
    """A bench measured. The ratio is the median of the pairs' ratios; above 1 ours is better."""

    name: str
    baseline: str
    ratio: float
    ratio_min: float
    ratio_max: float
    goal: float
    repeats: int
    ours: Figures
    theirs: Figures
    bound: str

    @property
    def short(self) -> bool:
        return self.ratio < self.goal


def measure(bench: Bench, repeats: int, warmup: int) -> Result:
    """Run the bench in pairs, ours and theirs side by side in time, so that a drifting machine slows both.

    The order within a pair alternates, because whoever runs second finds the caches as the first left them.
    """
    assert repeats > 0, "no pair to measure"
    pairs, ceilings = [], []
    for number in range(warmup + repeats):
        pairs.append(_pair(bench, ours_first=number % 2 == 0))
        if bench.ceiling is not None:
            ceilings.append(_sound(bench, bench.ceiling()))
    ours, theirs = zip(*pairs[warmup:], strict=True)
    ratios = [_better(bench, our, their) for our, their in pairs[warmup:]]
    return Result(
        name=bench.name,
        baseline=bench.baseline,
        ratio=median(ratios),
        ratio_min=min(ratios),
        ratio_max=max(ratios),
        goal=bench.goal,
        repeats=repeats,
        ours=_figures(ours, bench.unit),
        theirs=_figures(theirs, bench.unit),
        bound=_bound(bench, median(ours), ceilings[warmup:]),
    )


def _pair(bench: Bench, ours_first: bool) -> tuple[float, float]:
    if ours_first:
        (ours, our_output), (theirs, their_output) = bench.ours(), bench.theirs()
    else:
        (theirs, their_output), (ours, our_output) = bench.theirs(), bench.ours()
    if bench.same_output and our_output != their_output:
        shown = f"{reprlib.repr(our_output)} against {reprlib.repr(their_output)}"
        raise Halt(f"bench {bench.name}: ours and {bench.baseline} did not do the same work: {shown}")
    return _sound(bench, ours), _sound(bench, theirs)


def _sound(bench: Bench, value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise Halt(f"bench {bench.name}: measured {value} {bench.unit}, which is no measurement")
    return value


def _better(bench: Bench, ours: float, theirs: float) -> float:
    """How many times better ours is."""
    return ours / theirs if bench.higher_is_better else theirs / ours


def _figures(values: tuple[float, ...], unit: str) -> Figures:
    return Figures(median(values), min(values), max(values), unit)


def _bound(bench: Bench, ours: float, ceilings: list[float]) -> str:
    if not ceilings:
        return f"{bench.limit} (ceiling not measured)"
    ceiling = median(ceilings)
    reached = 100 * _better(bench, ours, ceiling)
    return f"{bench.limit}: {readable(ceiling)} {bench.unit}, of which ours reaches {reached:.0f} %"
