"""Tests translated by the same translation model, for translate-test; training examples translated into the
languages, for translate-train. A step each language, for this is what costs.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlnu.cluster.pools import Placed
from xlnu.engines.base import Translator
from xlnu.engines.open import TranslatorSpec
from xlnu.errors import UserError
from xlnu.mtllm.estimate import of_translations
from xlnu.mtllm.projected import PROJECTED, Words, together
from xlnu.mtllm.schemas import EXAMPLES
from xlnu.rows import row_id
from xlnu.spread import spread
from xlnu.steps import NOBODY_KNOWS, Part, Rows, Step, Together, Work
from xlnu.transfer.models import Mt
from xlnu.transfer.segment import join, sentences, split
from xlnu.transfer.translate import Way, translated

ROWS_PER_PART = 1024
Places = NDArray[np.int64]


def steps(
    prefix: str,
    examples: Step | Mapping[str, Step],
    ways: dict[str, Way],
    mt: Mt,
    *,
    into: bool,
    words: Words | None = None,
    split: str = "train",
) -> dict[str, Step]:
    """By the label of the language that is not the source. `into`: from the source into it; each step then takes
    all rows of the split, and else those in its own language. `examples`: of all languages, or a step each.
    `words`: of a task whose labels are of words.
    """
    of = examples if isinstance(examples, Mapping) else dict.fromkeys(ways, examples)
    named = {f"{prefix}_{label.lower().replace('->', '_for_').replace('-', '_')}": label for label in ways}
    own = {name: ways[label] for name, label in named.items()}
    given = {name: of[label].name for name, label in named.items()}
    run = Together(
        prefix, functools.partial(_run, examples=given, ways=own, mt=mt, into=into, words=words, split=split)
    )
    aligned: dict[str, Any] = {"threshold": words.threshold} if words else {}
    aligned |= {"split": split} if split != "train" else {}
    return {
        label: Step(
            name,
            {"from": own[name].source.label, "to": own[name].target.label, **mt.about(own[name].target), **aligned},
            run,
            (of[label], *([mt.files] if mt.files else [])),
            estimate=of_translations(of[label]) if into and split == "train" else NOBODY_KNOWS,
        )
        for name, label in named.items()
    }


def _run(
    works: dict[str, Work],
    examples: dict[str, str],
    ways: dict[str, Way],
    mt: Mt,
    into: bool,
    words: Words | None,
    split: str,
) -> dict[str, int]:
    own = {name: ways[name] for name in works}
    some = next(iter(works.values()))
    rows = {name: work.inputs[examples[name]].rows() for name, work in works.items()}
    places = {name: _places(rows[name], way.source.label, split if into else "") for name, way in own.items()}
    stage = functools.partial(_Translate, rows, places, own, mt.spec(some), into, words)
    return spread(works, {name: len(there) for name, there in places.items()}, ROWS_PER_PART, stage, mt.pool)


def _places(rows: Rows, label: str, split: str) -> Places:
    """Of tests those in the language. Of examples those of a split: a model is chosen by the validation examples of
    the source language alone.
    """
    column = "split" if split else "language"
    values = np.array(rows.read(0, len(rows), [column])[column].to_pylist())
    found: Places = np.flatnonzero(values == (split or label))
    return found


class _Translate:
    def __init__(
        self,
        rows: dict[str, Rows],
        places: dict[str, Places],
        ways: dict[str, Way],
        spec: TranslatorSpec,
        into: bool,
        words: Words | None,
        placed: Placed,
    ) -> None:
        self.rows, self.places, self.ways, self.into = rows, places, ways, into
        self.engine: Translator = spec.open(placed)
        self.aligner = words.open(placed) if words else None

    def __call__(self, step: str, part: Part) -> tuple[pa.Table, int]:
        way, places = self.ways[step], self.places[step][part.start : part.stop].tolist()
        first, last = min(places, default=0), max(places, default=-1)
        read = self.rows[step].read(first, last + 1).to_pylist()
        given = [read[place - first] for place in places]
        label = way.target.label if self.into else way.source.label
        rows = [
            row | {"id": row_id(row["id"], way.target.label), "language": label} | made
            for row, made in zip(given, self._made(given, way), strict=True)
        ]
        return pa.Table.from_pylist(rows, schema=PROJECTED if self.aligner else EXAMPLES), 0

    def _made(self, given: Sequence[dict[str, Any]], way: Way) -> list[dict[str, Any]]:
        self._check(way)
        if self.aligner:
            texts = _segments([[together(row["segments"])] for row in given], self.engine, way)
            return self.aligner.carried(given, [text for (text,) in texts], way, into=self.into)
        return [{"segments": some} for some in _segments([row["segments"] for row in given], self.engine, way)]

    def _check(self, way: Way) -> None:
        for language in (way.source, way.target):
            if not self.engine.knows(language):
                raise UserError(
                    f"{language.label}: the translator does not know this language; say which one it is to be read "
                    f"as: '{language.code}->swh_Latn'"
                )


def _segments(given: Sequence[Sequence[str]], engine: Translator, way: Way) -> list[list[str]]:
    """Each segment sentence by sentence, its layout as it was."""
    pieces = [[split(text, way.source) for text in texts] for texts in given]
    distinct = list(dict.fromkeys(one for texts in pieces for cut in texts for one in sentences(cut)))
    said = translated(engine, distinct, way) if distinct else []
    known: dict[str, Any] = {text: one.text for text, one in zip(distinct, said, strict=True)}
    return [[join(cut, [known[one] for one in sentences(cut)], way.target) for cut in texts] for texts in pieces]
