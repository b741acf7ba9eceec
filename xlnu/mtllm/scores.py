"""Numbers of what was answered: scores by task, language and mode, with intervals, and each example's."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from xlnu.evaluate import spans
from xlnu.evaluate.benchmarks.items import Kind
from xlnu.evaluate.statistics import Examples, interval
from xlnu.languages import Language
from xlnu.report.document import Mode, Resource, Score

METRICS: dict[Kind, str] = {
    "text": "accuracy",
    "pair": "accuracy",
    "choice": "accuracy",
    "regression": "absolute_error",
    "tokens": "span_f1",
}


@dataclass(frozen=True)
class Said:
    """What one mode answered to one task's tests."""

    task: str
    kind: Kind
    benchmark: str
    mode: Mode
    variant: str | None
    seed: int
    table: pa.Table
    source: Language
    resources: Mapping[str, Resource]
    labels: Sequence[str]

    @property
    def metric(self) -> str:
        """Words may have other labels than those of spans: parts of speech."""
        return "word_accuracy" if self.kind == "tokens" and not self._spans else METRICS[self.kind]

    @property
    def _spans(self) -> bool:
        return self.kind == "tokens" and spans.are_of_spans(self.labels)

    @cached_property
    def _rows(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Of each language, by what names an example."""
        rows: dict[str, dict[str, dict[str, Any]]] = {}
        for row in self.table.to_pylist():
            if row["reject"] is None:
                rows.setdefault(row["language"], {})[row["key"]] = row
        return rows

    @cached_property
    def values(self) -> dict[str, Examples]:
        """Of each language, what each example by its key is worth: their mean is the metric."""
        return {
            label: dict(zip(some, self._worth([*some.values()]), strict=True)) for label, some in self._rows.items()
        }

    @cached_property
    def guessed(self) -> dict[str, Examples]:
        """What each would be worth had nothing been read: always the answer that is most often right there. Of
        spans that is none at all.
        """
        if self._spans:
            return {label: dict.fromkeys(some, 0.0) for label, some in self._rows.items()}
        found = dict[str, Examples]()
        for label, some in self._rows.items():
            every = sorted(one for row in some.values() for one in row["gold"])
            guess = every[len(every) // 2] if self.kind == "regression" else Counter(every).most_common(1)[0][0]
            found[label] = {
                key: _value(self.kind, row | {"said": [guess] * len(row["gold"])}) for key, row in some.items()
            }
        return found

    def _worth(self, rows: Sequence[dict[str, Any]]) -> list[float]:
        if self._spans:
            return spans.worth([spans.counts(self._tags(row["said"]), self._tags(row["gold"])) for row in rows])
        return [_value(self.kind, row) for row in rows]

    def _tags(self, numbers: Sequence[float]) -> list[str]:
        return [self.labels[int(number)] for number in numbers]

    def scores(self) -> Iterator[Score]:
        for label, values in self.values.items():
            made = interval([[values]])
            low, high = (
                (made.low, made.high) if self.kind == "regression" else (max(0, made.low), min(1, made.high))
            )
            yield Score(
                benchmark=self.benchmark,
                task=self.task,
                language=label,
                seen="source" if label == self.source.label else "target",
                resource=self.resources[label],
                mode=self.mode,
                objective=self.variant,
                metric=self.metric,
                value=round(made.mean, 4),
                n=made.n,
                ci_low=round(low, 4),
                ci_high=round(high, 4),
                seed=self.seed,
            )


def _value(kind: Kind, row: dict[str, Any]) -> float:
    gold, said = row["gold"], row["said"]
    if kind == "regression":
        return abs(float(gold[0]) - float(said[0]))
    if kind == "tokens":
        return float(sum(a == b for a, b in zip(gold, said, strict=False)) / max(1, len(gold)))
    return float(gold[0] == said[0])
