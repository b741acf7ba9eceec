"""Compare: finished runs held against one another, on the examples that they share, each system with itself.

python jobs/evaluate.py compare RUN RUN [RUN ...] [key=value ...]

A RUN is the place, a folder or a URI, that a job left its report in. What each example was worth is read from the
run's store; nothing is asked again. Systems of one mode, objective and model are compared; where there are none,
each with each.
"""

import json
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from xlnu import manifest
from xlnu.config import section, setting
from xlnu.errors import UserError
from xlnu.evaluate import measured
from xlnu.evaluate.measured import Known, Measured, System
from xlnu.languages import Language, declare, resolve
from xlnu.report.document import Comparison
from xlnu.run import FolderConfig, Run
from xlnu.steps import Result
from xlnu.store import Store

Key = tuple[str, str, str, str, str]  # benchmark, task, kind, language, example


@dataclass
class CompareConfig:
    runs: list[str] = setting([], "folders of finished runs, two or more; or URIs")
    store: str = setting("", "where the runs' steps are now; empty: where each of them says")
    run: FolderConfig = section(FolderConfig)


@dataclass(frozen=True)
class Finished:
    """A run: what it measured, and what was right in each of its examples."""

    name: str
    measured: Sequence[Measured]
    right: Mapping[Key, list[str]]


def arguments(given: Sequence[str]) -> list[str]:
    """Runs are named without a key."""
    known = [one for one in given if not one.startswith("-")]
    runs = [one for one in known if "=" not in one or "://" in one.partition("=")[0]]  # a URI has a query at times
    rest = [one for one in given if one not in runs]
    return [*rest, f"runs={json.dumps(runs, ensure_ascii=False)}"] if runs else list(rest)


def work(config: CompareConfig, run: Run) -> None:
    if len(config.runs) < 2:
        raise UserError("name two finished runs at least: python jobs/evaluate.py compare RUN RUN")
    names = _names(config.runs)
    finished = [_read(name, place, config.store) for name, place in zip(names, config.runs, strict=True)]
    found = [one for other in finished[1:] for one in _compared(finished[0], other)]
    if not found:
        raise UserError(f"{', '.join(config.runs)}: have no benchmark, metric and system in common")
    every = [replace(one, system=_renamed(one.system, each.name)) for each in finished for one in each.measured]
    run.report(
        {},
        scores=[one.score() for one in every],
        averages=list(measured.averages(every)),
        comparisons=found,
    )


def _names(places: Sequence[str]) -> list[str]:
    """The folders' own, and more of the path where two are called the same."""
    stores = [Store(place) for place in places]
    short = [posixpath.basename(store.root) for store in stores]
    return short if len(set(short)) == len(short) else [store.label for store in stores]


def _read(name: str, place: str, elsewhere: str) -> Finished:
    try:
        report = json.loads(Store(place).read("report.json"))
        scores, settings = report["scores"], report["settings"]
    except (FileNotFoundError, ValueError, KeyError):
        raise UserError(f"{place}: is no folder of a finished run: it has no report.json") from None
    if not scores:
        raise UserError(f"{place}: measured nothing: its report has no scores")
    store = Store(elsewhere or settings.get("run.store", ""))
    found, right = list[Measured](), dict[Key, list[str]]()
    known = _known(scores, settings)
    for address, system in dict.fromkeys((one["address"], _system(one)) for one in scores):
        result = _result(store, address, place)
        found += measured.read(result, system, known)
        for parent in result.manifest.parents:
            right |= _right(_result(store, parent, place))
    return Finished(name, found, right)


def _system(score: Mapping[str, Any]) -> System:
    return System(score["mode"], score["objective"], score["model"], score["seed"])


def _known(scores: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> Known:
    levels = {one["language"]: one["resource"] for one in scores}
    own = next((settings[key] for key in settings if key.rpartition(".")[2] == "source"), "eng_Latn")
    source = next((one["language"] for one in scores if one["seen"] == "source"), own)
    return Known(_language(source), tuple(_language(label) for label in levels if label != source), levels)


def _language(label: str) -> Language:
    """One of a made world is in no table."""
    try:
        return resolve(label)
    except UserError:
        return declare(label, label)


def _result(store: Store, address: str, place: str) -> Result:
    found = manifest.read(store, address)
    if found is None:
        raise UserError(f"{place}: its store {store.label} has no {address}: say where it is now, as store=FOLDER")
    return Result(store, found, skipped=True)


def _right(answers: Result) -> dict[Key, list[str]]:
    columns = ["benchmark", "task", "kind", "language", "key", "right"]
    rows = answers.table(columns).to_pylist()
    return {tuple(row[name] for name in columns[:5]): row["right"] for row in rows}


def _compared(one: Finished, other: Finished) -> Iterator[Comparison]:
    _same_examples(one, other)
    mine, theirs = (_systems(each.measured) for each in (one, other))
    pairs = [(name, name) for name in mine if name in theirs]
    for left, right in pairs or product(mine, theirs):
        both = [*_matched(mine[left], theirs[right], one.name), *_matched(theirs[right], mine[left], other.name)]
        if both:
            yield from measured.comparisons(both, both[0].system.name)


def _systems(some: Sequence[Measured]) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = {}
    for one in some:
        if one.system.mode not in ("majority", "random"):
            found.setdefault(one.system.name, []).append(one)
    return found


def _matched(some: Sequence[Measured], others: Sequence[Measured], run: str) -> Iterator[Measured]:
    """With the examples that the others have too; and of one seed each, whichever these are."""
    one_seed = all(len({each.system.seed for each in side}) == 1 for side in (some, others))
    there = {(*each.place, each.language, None if one_seed else each.system.seed): each for each in others}
    for one in some:
        seed = None if one_seed else one.system.seed
        theirs = there.get((*one.place, one.language, seed))
        values = {key: value for key, value in one.values.items() if theirs and key in theirs.values}
        if values:
            system = replace(_renamed(one.system, run), seed=seed)
            yield replace(one, system=system, values=values)


def _renamed(system: System, run: str) -> System:
    return replace(system, model=f"{run}: {system.model}" if system.model else run)


def _same_examples(one: Finished, other: Finished) -> None:
    """An example is known by its key; that it is the same, by what is right."""
    for key, right in one.right.items():
        if other.right.get(key, right) != right:
            benchmark, _, _, language, example = key
            raise UserError(
                f"{one.name} and {other.name} were not asked the same: {benchmark} in {language}, example "
                f"{example} has other right answers: {right} and {other.right[key]}"
            )
