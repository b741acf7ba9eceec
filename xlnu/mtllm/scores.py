"""Numbers of what was answered: scores by task, language and mode, with intervals, and each example's."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from xlnu.evaluate.benchmarks.items import Kind
from xlnu.evaluate.statistics import Examples, interval
from xlnu.languages import Language
from xlnu.report.document import Mode, Resource, Score

METRICS: dict[Kind, str] = {
    "text": "accuracy",
    "pair": "accuracy",
    "choice": "accuracy",
    "regression": "absolute_error",
    "tokens": "word_accuracy",
}


@dataclass(frozen=True)
class Said:
    """What one mode answered to one task's tests."""

    task: str
    kind: Kind
    benchmark: str
    mode: Mode
    fusion: str | None
    seed: int
    table: pa.Table
    source: Language
    resources: Mapping[str, Resource]

    @cached_property
    def values(self) -> dict[str, Examples]:
        """Of each language, the metric of each example by its key."""
        found: dict[str, dict[str, float]] = {}
        for row in self.table.to_pylist():
            if row["reject"] is None:
                found.setdefault(row["language"], {})[row["key"]] = _value(self.kind, row)
        return dict(found)

    def scores(self) -> Iterator[Score]:
        for label, values in self.values.items():
            made = interval([[values]])
            yield Score(
                benchmark=self.benchmark,
                task=self.task,
                language=label,
                seen="source" if label == self.source.label else "target",
                resource=self.resources[label],
                mode=self.mode,
                objective=self.fusion,
                metric=METRICS[self.kind],
                value=round(made.mean, 4),
                n=made.n,
                ci_low=round(made.low, 4),
                ci_high=round(made.high, 4),
                seed=self.seed,
            )


def _value(kind: Kind, row: dict[str, Any]) -> float:
    gold, said = row["gold"], row["said"]
    if kind == "regression":
        return abs(float(gold[0]) - float(said[0]))
    if kind == "tokens":
        return float(sum(a == b for a, b in zip(gold, said, strict=False)) / max(1, len(gold)))
    return float(gold[0] == said[0])
