"""A few examples of what a system answered, right and wrong, for a human reader."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from xlnu.evaluate.measured import Measured
from xlnu.report.document import Sample
from xlnu.steps import Result

LANGUAGES, EACH, LONGEST = 6, 2, 400  # of a system: of so many languages so many right and so many wrong
_READ = ["id", "language", "kind", "key", "asked", "right", "said"]


def samples(answers: Result, measured: Sequence[Measured]) -> Iterator[Sample]:
    """Drawn by the ids of the examples, so that systems are seen on the same ones where they can be."""
    worth = {(one.kind, one.language): one for one in measured if one.is_main}
    places = list(worth)
    chosen = {places[number * len(places) // LANGUAGES] for number in range(LANGUAGES)} if places else set()
    taken: dict[tuple[str, str, bool | None], int] = {}
    for row in sorted(_rows(answers, chosen), key=lambda row: _drawn(row["key"])):
        one = worth[row["kind"], row["language"]]
        correct = _correct(one, row["key"])
        place = (row["kind"], row["language"], correct)
        taken[place] = taken.get(place, 0) + 1
        if taken[place] <= EACH:
            yield Sample(
                benchmark=one.benchmark,
                task=one.task,
                language=one.language,
                mode=one.system.mode,
                model=one.system.model,
                question=_short(row["asked"]),
                right=_short(" | ".join(row["right"])),
                said=_short(" | ".join(row["said"])),
                correct=correct,
            )


def _rows(answers: Result, chosen: set[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    rows = answers.rows()
    for start in range(0, len(rows), 8192):
        for row in rows.read(start, min(start + 8192, len(rows)), _READ).to_pylist():
            if (row["kind"], row["language"]) in chosen:
                yield row


def _correct(one: Measured, key: str) -> bool | None:
    """Of a translation, a summary or a value there is no right or wrong."""
    if one.measure in ("chrf", "rouge_l", "absolute_error", "span_f1"):
        return None
    return one.values[key] == 1


def _drawn(key: str) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=8).digest()


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
