"""Numbers of what models said: scores by language, with intervals, and each example's, for comparing models."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from xlnu.evaluate import flores, mkqa
from xlnu.evaluate.identify import Identifier
from xlnu.evaluate.questions import FROM_SOURCE, QA, TO_SOURCE, EvaluateConfig
from xlnu.evaluate.resources import levels
from xlnu.evaluate.statistics import Examples, interval
from xlnu.languages import Language
from xlnu.report.document import Mode, Resource, Score

Metric = Literal[
    "exact_match", "f1", "chrf_to_source", "chrf_from_source", "off_target_qa", "off_target_translation"
]


@dataclass(frozen=True)
class Judge:
    """What is needed to judge an answer beside the answer."""

    source: Language
    languages: tuple[Language, ...]
    identifier: Identifier
    resources: Mapping[str, Resource]  # by label

    def knows(self, label: str) -> bool:
        """Whether it can tell the language from the source language."""
        return {self.by_label[label].code, self.source.code} <= self.identifier.names

    @cached_property
    def by_label(self) -> dict[str, Language]:
        return {language.label: language for language in (self.source, *self.languages)}


def judge(
    config: EvaluateConfig, source: Language, languages: Sequence[Language], declared: Sequence[Language]
) -> Judge:
    """What languages look like is learned from FLORES's dev, which nobody is tested on then."""
    texts = {}
    for language in (source, *languages):
        split: Any = "dev" if config.split == "devtest" else "devtest"
        found = flores.sentences(Path(config.flores).expanduser(), split, language) if config.flores else None
        if found:
            texts[language.code] = found
    known = levels(config.resources, source, languages, declared)
    return Judge(source, tuple(languages), Identifier(texts), known)


@dataclass(frozen=True)
class Said:
    """What one model said to all questions."""

    mode: Mode
    objective: str | None
    seed: int
    table: pa.Table
    judge: Judge

    @cached_property
    def groups(self) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """Rows by kind of question and language, each group in the order of its keys."""
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in self.table.to_pylist():
            found.setdefault((row["kind"], row["language"]), []).append(row)
        return {place: sorted(rows, key=lambda row: str(row["key"])) for place, rows in found.items()}

    @cached_property
    def _values(self) -> dict[Metric, dict[str, Examples]]:
        return {}

    def values(self, metric: Metric) -> dict[str, Examples]:
        """Of each language, the metric of each example."""
        if metric not in self._values:
            self._values[metric] = self._measured(metric)
        return self._values[metric]

    def _measured(self, metric: Metric) -> dict[str, Examples]:
        found = dict[str, Examples]()
        for (kind, label), rows in self.groups.items():
            each = _each(metric, kind, label, rows, self.judge)
            if each is not None:
                found[label] = dict(zip((row["key"] for row in rows), each, strict=True))
        return found

    def scores(self) -> list[Score]:
        return [*self._means(), *self._corpus()]

    def _means(self) -> Iterator[Score]:
        of_mkqa: tuple[Metric, ...] = ("exact_match", "f1", "off_target_qa")
        for metric in (*of_mkqa, "off_target_translation"):
            kind, task = (QA, "qa") if metric in of_mkqa else (FROM_SOURCE, "translation")
            for label, values in self.values(metric).items():
                found, benchmark = interval([[values]]), self.groups[kind, label][0]["benchmark"]
                name = "off_target" if metric.startswith("off_target") else metric
                yield self._score(benchmark, task, label, name, found.mean, found.n, found.low, found.high)

    def _corpus(self) -> Iterator[Score]:
        import sacrebleu

        for (kind, label), rows in self.groups.items():
            if kind == QA:
                continue
            said, right = [row["said"] for row in rows], [[row["right"][0] for row in rows]]
            into = self.judge.source if kind == TO_SOURCE else self.judge.by_label[label]
            for name, metric in (
                ("bleu", sacrebleu.BLEU(tokenize=_tokenizer(into))),
                ("chrf", sacrebleu.CHRF(word_order=2)),
            ):
                found: Any = metric.corpus_score(said, right, n_bootstrap=1000)
                low, high = max(0.0, found._mean - found._ci), found._mean + found._ci
                benchmark = rows[0]["benchmark"]
                yield self._score(
                    benchmark, "translation", label, f"{name}_{kind}", found.score, len(rows), low, high
                )

    def _score(
        self, benchmark: str, task: str, label: str, metric: str, value: float, n: int, low: float, high: float
    ) -> Score:
        return Score(
            benchmark=benchmark,
            task=task,
            language=label,
            seen="source" if label == self.judge.source.label else "target",
            resource=self.judge.resources[label],
            mode=self.mode,
            objective=self.objective,
            metric=metric,
            value=round(value, 4),
            n=n,
            ci_low=round(low, 4),
            ci_high=round(high, 4),
            seed=self.seed,
        )


def _each(
    metric: Metric, kind: str, label: str, rows: Sequence[dict[str, Any]], judge: Judge
) -> list[float] | None:
    """The metric of each row; None if it is not for this kind of question."""
    if metric in ("exact_match", "f1"):
        of = mkqa.exact_match if metric == "exact_match" else mkqa.f1
        code = judge.by_label[label].code
        return [of(row["said"], row["right"], code) for row in rows] if kind == QA else None
    if metric in ("chrf_to_source", "chrf_from_source"):
        if metric != f"chrf_{kind}":
            return None
        import sacrebleu

        chrf = sacrebleu.CHRF(word_order=2)
        return [chrf.sentence_score(row["said"], [row["right"][0]]).score for row in rows]
    if kind != (QA if metric == "off_target_qa" else FROM_SOURCE) or not judge.knows(label):
        return None
    return [float(_off_target(row, label, judge)) for row in rows]


def _off_target(row: dict[str, Any], label: str, judge: Judge) -> bool:
    """In another language, as far as letters show it; a right answer is in the right one, though it be a name."""
    code = judge.by_label[label].code
    found = judge.identifier.of(row["said"])
    return found not in (None, code) and not mkqa.exact_match(row["said"], row["right"], code)


def _tokenizer(language: Language) -> str:
    if language.code in ("zho_Hans", "zho_Hant"):
        return "zh"
    return "13a" if language.spaced else "char"
