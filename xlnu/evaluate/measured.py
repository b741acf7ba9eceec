"""What was measured, of which system: one metric in one language, with what each example is worth; and what several
of them say together.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from xlnu.evaluate.metrics import MAIN
from xlnu.evaluate.statistics import Examples, Interval, interval
from xlnu.languages import Language
from xlnu.report.document import Average, Comparison, Mode, Resource, Score, Seen
from xlnu.report.metric import SHARES, SMALLER_IS_BETTER
from xlnu.report.systems import named
from xlnu.steps import Result

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class System:
    """What answered."""

    mode: Mode
    objective: str | None = None
    model: str | None = None
    seed: int | None = None

    @property
    def name(self) -> str:
        """Whatever the seed."""
        return named(self.model, self.mode, self.objective)


@dataclass(frozen=True)
class Known:
    """What is known of the languages."""

    source: Language
    languages: tuple[Language, ...]  # the others
    resources: Mapping[str, Resource]  # by label

    def groups(self, label: str) -> list[str]:
        """What a language is averaged in. The source language is in none: it is no average."""
        language = next((one for one in self.languages if one.label == label), None)
        if language is None:
            return []
        return [
            "all targets",
            f"resource: {self.resources[label]}",
            f"script: {language.script_name}",
            f"family: {language.family}",
            f"encoder: {'seen' if language.nllb and not language.stands_in_for else 'unseen'}",
        ]


@dataclass(frozen=True)
class Measured:
    system: System
    benchmark: str
    task: str
    kind: str
    language: str  # label
    measure: str
    value: float
    low: float
    high: float
    n: int
    signature: str
    note: str
    address: str
    values: Examples = field(repr=False)
    known: Known = field(repr=False)

    @property
    def metric(self) -> str:
        """As reports name it: of translations with the way."""
        way = self.kind.endswith("_source") and self.measure != "off_target"
        return f"{self.measure}_{self.kind}" if way else self.measure

    @property
    def place(self) -> tuple[str, str, str]:
        return self.benchmark, self.task, self.metric

    @property
    def seen(self) -> Seen:
        return "source" if self.language == self.known.source.label else "target"

    @property
    def is_main(self) -> bool:
        """Whether it is the metric that systems are compared by, of the several that its kind of answers has."""
        return self.measure in MAIN

    @property
    def is_share(self) -> bool:
        return self.measure in SHARES

    @property
    def sign(self) -> int:
        return -1 if self.measure in SMALLER_IS_BETTER else 1

    def score(self) -> Score:
        return Score(
            benchmark=self.benchmark,
            task=self.task,
            language=self.language,
            seen=self.seen,
            resource=self.known.resources[self.language],
            mode=self.system.mode,
            objective=self.system.objective,
            metric=self.metric,
            value=round(self.value, 4),
            n=self.n,
            ci_low=round(self.low, 4),
            ci_high=round(self.high, 4),
            seed=self.system.seed,
            model=self.system.model,
            signature=self.signature,
            address=self.address,
            note=self.note,
        )


def read(result: Result, system: System, known: Known) -> list[Measured]:
    """Of a step `scored`."""
    return [of(row, result.manifest.address, system, known) for row in result.table().to_pylist()]


def of(row: Mapping[str, Any], address: str, system: System, known: Known) -> Measured:
    """Of a row of MEASURED."""
    return Measured(
        system=system,
        benchmark=row["benchmark"],
        task=row["task"],
        kind=row["kind"],
        language=row["language"],
        measure=row["metric"],
        value=row["value"],
        low=row["low"],
        high=row["high"],
        n=len(row["keys"]),
        signature=row["signature"],
        note="" if system.mode == "majority" else row["note"],  # that it says one thing is what it is
        address=address,
        values=dict(zip(row["keys"], row["values"], strict=True)),
        known=known,
    )


def over(some: Iterable[Measured]) -> Interval:
    """Of one system and metric: the mean over seeds and languages."""
    return interval([[one.values for one in run] for run in _by(some, lambda one: one.system.seed).values()])


def difference(one: Iterable[Measured], other: Iterable[Measured]) -> tuple[Interval, int] | None:
    """How much better the former is, seed by seed with itself, over the languages that both have, and how many
    these are; None where they share nothing.
    """
    known = {(each.system.seed, each.language): each for each in other}
    runs: dict[int | None, list[Examples]] = {}
    for mine in one:
        theirs = known.get((mine.system.seed, mine.language))
        if theirs is None:
            continue
        assert mine.values.keys() == theirs.values.keys(), f"{mine.place}, {mine.language}: not the same examples"
        found = {key: mine.sign * (value - theirs.values[key]) for key, value in mine.values.items()}
        runs.setdefault(mine.system.seed, []).append(found)
    return (interval([*runs.values()]), max(map(len, runs.values()))) if runs else None


def averages(measured: Sequence[Measured]) -> Iterator[Average]:
    """Over the languages of each group, of every system that has all of them with every seed. Groups of one
    language, but for `all targets`, say nothing that its score does not.
    """
    for (benchmark, task, metric), some in _by(measured, lambda one: one.place).items():
        for group, members in _grouped(some).items():
            languages = {one.language for one in members}
            if len(languages) < 2 and group != "all targets":
                continue
            for own in _by(members, lambda one: one.system.name).values():
                seeds = {one.system.seed for one in own}
                if len(own) < len(languages) * len(seeds):
                    continue
                found, system = over(own), own[0].system
                low, high = bounded(own[0], found)
                yield Average(
                    benchmark=benchmark,
                    task=task,
                    metric=metric,
                    mode=system.mode,
                    objective=system.objective,
                    model=system.model,
                    group=group,
                    languages=len(languages),
                    value=round(found.mean, 4),
                    n=found.n,
                    ci_low=round(low, 4),
                    ci_high=round(high, 4),
                    seeds=sorted(seed for seed in seeds if seed is not None),
                )


def comparisons(measured: Sequence[Measured], first: str) -> Iterator[Comparison]:
    """The system of this name with every other, over each group of languages."""
    for (benchmark, task, metric), some in _by(measured, lambda one: one.place).items():
        for group, members in _grouped(some).items():
            systems = _by(members, lambda one: one.system.name)
            mine = systems.pop(first, [])
            for other, theirs in systems.items():
                found = difference(mine, theirs)
                if found:
                    made, languages = found
                    mean, low, high = (round(value, 4) for value in (made.mean, made.low, made.high))
                    yield Comparison(
                        benchmark, task, metric, group, first, other, mean, low, high, made.n, languages
                    )


def _grouped(some: Iterable[Measured]) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = {}
    for one in some:
        for group in one.known.groups(one.language):
            found.setdefault(group, []).append(one)
    return found


def bounded(one: Measured, found: Interval) -> tuple[float, float]:
    """A share is not below 0 nor above 1, whatever Student says."""
    return (max(0.0, found.low), min(1.0, found.high)) if one.is_share else (found.low, found.high)


def _by(some: Iterable[Measured], key: Callable[[Measured], Key]) -> dict[Key, list[Measured]]:
    found: dict[Key, list[Measured]] = {}
    for one in some:
        found.setdefault(key(one), []).append(one)
    return found
