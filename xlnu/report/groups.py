"""Averages over groups of languages, and tests of one system against another over them."""

from collections.abc import Sequence
from dataclasses import dataclass

from xlnu.report.chart import Tick, axis
from xlnu.report.document import Average, Comparison
from xlnu.report.metric import Metric, metric
from xlnu.report.systems import System, Systems

ALL = "all targets"
FIRST = (ALL, "resource", "encoder")  # groups that every reader asks for; scripts and families are for some
MOST = 40  # comparisons of one metric that are shown; all stand in report.json
OPEN = 12  # of them, and of the groups, that are not folded away


@dataclass(frozen=True)
class Averages:
    title: str
    metric: Metric
    about: str
    systems: list[System]
    main: list["Group"]
    others: list["Group"]


@dataclass(frozen=True)
class Group:
    name: str
    languages: int
    cells: list[Average | None]
    best: float | None  # None: one system, or all the same


def averages(found: Sequence[Average], systems: Systems) -> list[Averages]:
    by: dict[tuple[str, str, str], list[Average]] = {}
    for one in found:
        by.setdefault((one.benchmark, one.task, one.metric), []).append(one)
    return [_averages(some, systems) for some in by.values()]


def _averages(some: Sequence[Average], systems: Systems) -> Averages:
    first = some[0]
    of = metric(first.metric, (one.value for one in some))
    columns = list(dict.fromkeys(systems.of(one) for one in some))
    cells: dict[str, dict[System, Average]] = {}
    for one in some:
        cells.setdefault(one.group, {})[systems.of(one)] = one
    groups = [_group(name, by, columns, of) for name, by in sorted(cells.items(), key=lambda item: _order(item[0]))]
    main = [group for group in groups if kind(group.name) in FIRST]
    seeds = sorted({seed for one in some for seed in one.seeds})
    told = f"mean over seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else ""
    return Averages(
        title=f"{first.benchmark}: {of.label}",
        metric=of,
        about="; ".join(filter(None, (first.task, told))),
        systems=columns,
        main=main,
        others=[group for group in groups if group not in main],
    )


def _group(name: str, by: dict[System, Average], columns: Sequence[System], of: Metric) -> Group:
    values = {one.value for one in by.values()}
    best = (min if of.smaller_is_better else max)(values) if len(values) > 1 else None
    return Group(name, next(iter(by.values())).languages, [by.get(system) for system in columns], best)


def kind(group: str) -> str:
    return group.partition(":")[0]


def _order(group: str) -> tuple[int, int, str]:
    """All, then by resource from high to low, then the rest by name."""
    kinds = (*FIRST, "script", "family")
    name = group.partition(": ")[2]
    levels = ("high", "mid", "low")
    return (
        kinds.index(kind(group)) if kind(group) in kinds else len(kinds),
        levels.index(name) if kind(group) == "resource" and name in levels else len(levels),
        group,
    )


@dataclass(frozen=True)
class Test:
    """A comparison, drawn."""

    one: str
    other: str
    group: str
    at: float
    low: float
    high: float
    words: str  # the difference
    spread: str
    better: str  # empty: neither
    n: int
    languages: int

    @property
    def colour(self) -> str:
        return "even" if not self.better else "gain" if self.better == self.one else "loss"


@dataclass(frozen=True)
class Forest:
    title: str
    label: str
    axis: str
    ticks: list[Tick]
    zero: float
    first: list[Test]
    folded: list[Test]
    left_out: int


def forests(found: Sequence[Comparison], systems: Systems) -> list[Forest]:
    by: dict[tuple[str, str, str], list[Comparison]] = {}
    for one in found:
        by.setdefault((one.benchmark, one.task, one.metric), []).append(one)
    return [_forest(some, systems) for some in by.values()]


def _forest(some: Sequence[Comparison], systems: Systems) -> Forest:
    """Of all groups, those that claims are about: over all targets first."""
    first = some[0]
    of = metric(first.metric)
    ordered = sorted(some, key=lambda one: _order(one.group))  # and within a group as they came
    shown = ordered[:MOST]
    scale = axis([0.0, *(value for one in shown for value in (one.difference, one.ci_low, one.ci_high))])

    def test(one: Comparison) -> Test:
        here, there = systems.called(one.one), systems.called(one.other)
        better = here if one.ci_low > 0 else there if one.ci_high < 0 else ""
        return Test(
            one=here,
            other=there,
            group=one.group,
            at=scale.at(one.difference),
            low=scale.at(one.ci_low),
            high=scale.at(one.ci_high),
            words=of.difference(one.difference),
            spread=f"{of.difference(one.ci_low)} to {of.difference(one.ci_high)}",
            better=better,
            n=one.n,
            languages=one.languages,
        )

    whole = [test(one) for one in shown if one.group == ALL][:OPEN] or [test(one) for one in shown][:OPEN]
    less = ", of an error: how much smaller" if of.smaller_is_better else ""
    unit = {"share": " (share)", "points": " (points)"}.get(of.unit, "")
    return Forest(
        title=f"{first.benchmark}: {of.label}",
        label=f"{first.benchmark} ({first.task}): differences in {of.label} with 95 % intervals, and a line at 0",
        axis=f"how much better the first is, {of.label}{unit}{less}",
        ticks=scale.ticks(),
        zero=scale.at(0.0),
        first=whole,
        folded=[one for one in map(test, shown) if one not in whole],
        left_out=len(ordered) - len(shown),
    )
