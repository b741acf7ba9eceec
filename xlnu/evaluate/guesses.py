"""The steps `majority` and `random`: what answers without reading are worth, the floor of every benchmark.

majority always says what is most often right in that language (of words, for each word; of numbers, their median);
random says any of the answers that there are, each as likely as the other.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal

import pyarrow as pa

from xlnu.evaluate.said import answered
from xlnu.evaluate.schemas import ANSWERED
from xlnu.mtllm.tasks import Task
from xlnu.steps import NOBODY_KNOWS, Step, Work

ROWS_PER_PART = 8192
Guess = Literal["majority", "random"]
Row = dict[str, Any]


def step(name: str, how: Guess, tests: Step, task: Task) -> Step:
    """`tests`: rows of EXAMPLES."""

    def run(work: Work) -> int:
        rows = work.inputs[tests.name].rows()
        given = rows.read(0, len(rows)).to_pylist()
        guess = (_majority if how == "majority" else _random)(given, task)
        made = [answered(row, task, guess(row), [], 0) for row in given]
        for part in work.todo(len(made), ROWS_PER_PART):
            work.write(part, pa.Table.from_pylist(made[part.start : part.stop], schema=ANSWERED))
        return len(made)

    return Step(name, {"how": how, "kind": task.kind}, run, (tests,), estimate=NOBODY_KNOWS)


def _majority(rows: Sequence[Row], task: Task) -> Callable[[Row], list[str]]:
    golds: dict[str, list[float]] = {}
    for row in rows:
        golds.setdefault(row["language"], []).extend(row["gold"])
    best = {label: _middle(some, task) for label, some in golds.items()}
    return lambda row: [_name(best[row["language"]], task)] * len(row["gold"])


def _middle(golds: Sequence[float], task: Task) -> float:
    every = sorted(golds)
    return every[len(every) // 2] if task.kind == "regression" else Counter(every).most_common(1)[0][0]


def _random(rows: Sequence[Row], task: Task) -> Callable[[Row], list[str]]:
    golds = [one for row in rows for one in row["gold"]]
    ends = min(golds, default=0), max(golds, default=0)

    def guess(row: Row) -> list[str]:
        drawn = random.Random(f"0 {row['id']}")
        if task.kind == "regression":
            return [_name(drawn.uniform(*ends), task)]
        among = len(row["segments"]) - 2 if task.kind == "choice" else len(task.labels)
        return [_name(drawn.randrange(among), task) for _ in row["gold"]]

    return guess


def _name(number: float, task: Task) -> str:
    if task.kind == "regression":
        return f"{number:.7g}"
    return str(int(number)) if task.kind == "choice" else task.labels[int(number)]
