"""The step `scored`: what answers are worth, a row each metric and language, with what each example is worth."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from xlnu.cluster.pools import ONE_CORE, Placed
from xlnu.evaluate import metrics
from xlnu.evaluate.judge import Judge
from xlnu.evaluate.schemas import ANSWERED, MEASURED
from xlnu.rows import row_id
from xlnu.spread import spread
from xlnu.steps import NOBODY_KNOWS, Part, Rows, Step, Work

HERE = 20_000  # answers that are measured on the spot: actors take longer to start
_READ = [name for name in ANSWERED.names if name not in ("id", "reject", "asked", "logits")]


class Group(NamedTuple):
    """Answers that are measured together."""

    benchmark: str
    task: str
    kind: str
    language: str


def step(name: str, answers: Sequence[Step], judge: Judge, told_by: dict[str, str]) -> Step:
    """`told_by`: hashes of what the judge knows the languages by."""

    def run(work: Work) -> int:
        rows = Rows.joined([work.inputs[one.name].rows(rejected=True) for one in answers])
        todo = _todo(rows, judge)
        stage = functools.partial(_Score, rows, todo, judge)
        if len(rows) > HERE:
            spread({work.name: work}, {work.name: len(todo)}, 1, stage, ONE_CORE)
            return len(todo)
        for part in work.todo(len(todo), max(1, len(todo))):
            work.write(part, stage(None)(work.name, part)[0])
        return len(todo)

    about = {"told_by": told_by, "spbleu": judge.spbleu, "source": judge.source.label}
    return Step(name, about, run, tuple(answers), estimate=NOBODY_KNOWS)


def _todo(rows: Rows, judge: Judge) -> list[tuple[Group, str, list[int]]]:
    """What is to be measured, and where its answers stand."""
    table = rows.read(0, len(rows), list(Group._fields)).to_pylist()
    places: dict[Group, list[int]] = {}
    for at, row in enumerate(table):
        places.setdefault(Group(**row), []).append(at)
    found = []
    for group, some in places.items():
        last = some[-1] if group.kind == "tokens" else some[0]  # of tags all must be seen, to know what they are
        few = rows.read(some[0], last + 1, _READ).to_pylist()
        names = metrics.of(group.kind, few, judge.asked(group.kind, group.language))
        found += [(group, name, some) for name in names]
    return found


class _Score:
    def __init__(
        self, rows: Rows, todo: Sequence[tuple[Group, str, list[int]]], judge: Judge, _placed: Placed | None
    ) -> None:
        self.rows, self.todo, self.judge = rows, todo, judge
        self.read: tuple[Group | None, list[dict[str, Any]]] = (None, [])

    def __call__(self, _step: str, part: Part) -> tuple[pa.Table, int]:
        made = [self._measured(*self.todo[at]) for at in range(part.start, part.stop)]
        return pa.Table.from_pylist(made, schema=MEASURED), 0

    def _measured(self, group: Group, metric: str, places: list[int]) -> dict[str, Any]:
        if self.read[0] != group:
            some = self.rows.read(places[0], places[-1] + 1, _READ)
            rows = some.take(pa.array(np.array(places) - places[0])).to_pylist()
            self.read = (group, sorted(rows, key=lambda row: str(row["key"])))
        return worth(group, metric, self.read[1], self.judge)


def worth(group: Group, metric: str, rows: Sequence[dict[str, Any]], judge: Judge) -> dict[str, Any]:
    """A row of MEASURED, of a group's rows of ANSWERED."""
    found = metrics.measure(metric, rows, judge.asked(group.kind, group.language))
    return {
        "id": row_id(*group, metric),
        "reject": None,
        **group._asdict(),
        "metric": metric,
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "signature": found.signature,
        "note": metrics.note(metric, rows),
        "keys": [row["key"] for row in rows],
        "values": list(found.each),
    }
