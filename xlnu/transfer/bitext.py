"""The steps `bitext_LANGUAGE`: texts put together again from their translated sentences. No model is called.

One row of a language for each row that was cut, in the same order.
"""

import functools
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from xlnu.cluster.pools import ONE_CORE, Placed
from xlnu.languages import Language
from xlnu.rows import BITEXT, row_id
from xlnu.spread import spread
from xlnu.steps import Part, Rows, Work
from xlnu.transfer.segment import join, sentences
from xlnu.transfer.translate import UNKNOWN

FIELDS = ("instruction", "input", "answer")
ANSWERS = ("answer", "output")  # of the LLM, and of the source itself: never translated in the same step
ROWS_PER_PART = 1024


@dataclass(frozen=True)
class Cut:
    """Rows cut into sentences, and where the sentences of each run of rows stand."""

    pieces: Rows
    sentences: Rows
    offsets: tuple[int, ...]  # number of the first sentence that a row from 0, ROWS_PER_PART, ... has for itself

    def own(self, start: int, stop: int) -> tuple[int, int]:
        """The numbers of the sentences that stand in these rows only."""
        return self.offsets[start // ROWS_PER_PART], self.offsets[-(-stop // ROWS_PER_PART)]

    @property
    def shared(self) -> int:
        """How many sentences, the first ones, stand in several rows."""
        return self.offsets[0]


def cut_rows(pieces: Rows, found: Rows) -> Cut:
    bounds = [*range(0, len(pieces), ROWS_PER_PART), len(pieces)]
    offsets = [0] * len(bounds)
    for start in range(0, len(found), 1 << 16):
        rows = found.read(start, min(start + (1 << 16), len(found)), ["row"])["row"].to_pylist()
        for i, bound in enumerate(bounds):
            offsets[i] += bisect_left(rows, bound)
    return Cut(pieces, found, tuple(offsets))


@dataclass(frozen=True)
class Translated:
    """A language's sentences, in the order of `sentences`, and how they came back, if they were sent back."""

    target: Language
    texts: Rows
    returned: Rows | None
    known: bool  # to the translator; if not, no row goes further


def rejoin(
    works: dict[str, Work],
    cut: Cut,
    languages: dict[str, Translated],
    fields: Sequence[str],
    engine: dict[str, Any],
) -> dict[str, int]:
    stage = functools.partial(_Rejoin, cut, languages, tuple(fields), engine)
    return spread(works, {name: len(cut.pieces) for name in works}, ROWS_PER_PART, stage, ONE_CORE)


@dataclass(frozen=True)
class _Sentence:
    text: str
    reject: str | None
    flags: list[str]
    round_trip: float | None


class _Rejoin:
    def __init__(
        self,
        cut: Cut,
        languages: dict[str, Translated],
        fields: tuple[str, ...],
        engine: dict[str, Any],
        _placed: Placed,
    ) -> None:
        self.cut, self.languages, self.fields, self.engine = cut, languages, fields, engine
        self.step, self.shared = "", dict[str, _Sentence]()

    def __call__(self, step: str, part: Part) -> tuple[pa.Table, int]:
        language = self.languages[step]
        if step != self.step:
            self.step, self.shared = step, self._sentences(language, 0, self.cut.shared)
        known = self.shared | self._sentences(language, *self.cut.own(part.start, part.stop))
        given = self.cut.pieces.read(part.start, part.stop).to_pylist()
        return pa.Table.from_pylist([self._row(row, known, language) for row in given], schema=BITEXT), 0

    def _sentences(self, language: Translated, start: int, stop: int) -> dict[str, _Sentence]:
        rows = language.texts.read(start, stop, ["id", "reject", "text", "flags"]).to_pylist()
        back: list[float | None] = [None] * len(rows)
        if language.returned is not None:
            back = language.returned.read(start, stop, ["round_trip"])["round_trip"].to_pylist()
        return {
            row["id"]: _Sentence(row["text"], row["reject"], row["flags"], score)
            for row, score in zip(rows, back, strict=True)
        }

    def _row(self, row: dict[str, Any], known: dict[str, _Sentence], language: Translated) -> dict[str, Any]:
        found = {
            name: [(text, known[row_id(text)]) for text in sentences(row[name] or [""])] for name in self.fields
        }
        made: dict[str, str | None] = dict.fromkeys(FIELDS)
        rejected = (one.reject for texts in found.values() for _, one in texts if one.reject)
        reject = next(rejected, None) if language.known else UNKNOWN
        if reject is None:
            for name, texts in found.items():
                if row[name] is not None:
                    text = join(row[name], [one.text for _, one in texts], language.target)
                    made["answer" if name in ANSWERS else name] = text
        question = [one for name in self.fields if name not in ANSWERS for one in found[name]]
        answer = [one for name in self.fields if name in ANSWERS for one in found[name]]
        return {
            "id": row_id(row["id"], language.target.label),
            "reject": reject,
            "parent": row["id"],
            "language": language.target.label,
            **made,
            "question_flags": _flags(question),
            "answer_flags": _flags(answer),
            "question_round_trip": _mean(question),
            "answer_round_trip": _mean(answer),
            **self.engine,
        }


def _flags(found: list[tuple[str, _Sentence]]) -> list[str]:
    return sorted({flag for _, one in found for flag in one.flags})


def _mean(found: list[tuple[str, _Sentence]]) -> float | None:
    """Over a text's sentences, each as heavy as it is long. A text that holds none came back whole."""
    if not found:
        return 1.0
    if any(one.round_trip is None for _, one in found):
        return None
    total = sum(len(text) for text, _ in found)
    return sum(len(text) * (one.round_trip or 0.0) for text, one in found) / total
