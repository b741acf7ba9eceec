"""Tests translated by the same translation model, for translate-test; training examples translated into the
languages, for translate-train. A step each language, for this is what costs.
"""

import functools
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from xlnu.engines.base import Translator
from xlnu.engines.open import TranslatorSpec
from xlnu.mtllm.schemas import EXAMPLES
from xlnu.rows import row_id
from xlnu.spread import Placed, spread
from xlnu.steps import NOBODY_KNOWS, Part, Rows, Step, Together, Work
from xlnu.transfer.models import Mt
from xlnu.transfer.segment import join, sentences, split
from xlnu.transfer.translate import Way, translated

ROWS_PER_PART = 1024


def steps(prefix: str, examples: Step, ways: dict[str, Way], mt: Mt, *, into: bool) -> dict[str, Step]:
    """By the label of the language that is not the source. `into`: from the source into it; each step then takes
    all rows, and else those in its own language.
    """
    assert mt.files is not None
    files = mt.files
    run = Together(prefix, functools.partial(_run, examples=examples.name, ways=ways, mt=mt, into=into))
    return {
        label: Step(
            f"{prefix}_{label.lower().replace('->', '_for_').replace('-', '_')}",
            {"from": way.source.label, "to": way.target.label, **mt.about(way.target)},
            run,
            (examples, files),
            estimate=NOBODY_KNOWS,
        )
        for label, way in ways.items()
    }


def _run(works: dict[str, Work], examples: str, ways: dict[str, Way], mt: Mt, into: bool) -> dict[str, int]:
    own = {name: _way(name, ways) for name in works}
    some = next(iter(works.values()))
    rows = some.inputs[examples].rows()
    places = {name: _places(rows, None if into else way.source.label) for name, way in own.items()}
    stage = functools.partial(_Translate, rows, places, own, mt.spec(some), into)
    return spread(works, {name: len(there) for name, there in places.items()}, ROWS_PER_PART, stage, mt.pool)


def _way(name: str, ways: dict[str, Way]) -> Way:
    found = [
        way for label, way in ways.items() if name.endswith(label.lower().replace("->", "_for_").replace("-", "_"))
    ]
    return found[0]


def _places(rows: Rows, label: str | None) -> list[int]:
    languages = rows.read(0, len(rows), ["language"])["language"].to_pylist()
    return [i for i, one in enumerate(languages) if label in (None, one)]


class _Translate:
    def __init__(
        self,
        rows: Rows,
        places: dict[str, list[int]],
        ways: dict[str, Way],
        spec: TranslatorSpec,
        into: bool,
        placed: Placed,
    ) -> None:
        self.rows, self.places, self.ways, self.into = rows, places, ways, into
        self.engine: Translator = spec.open(placed)

    def __call__(self, step: str, part: Part) -> tuple[pa.Table, int]:
        way, places = self.ways[step], self.places[step][part.start : part.stop]
        first, last = min(places, default=0), max(places, default=-1)
        read = self.rows.read(first, last + 1).to_pylist()
        given = [read[place - first] for place in places]
        made = _segments([row["segments"] for row in given], self.engine, way)
        label = way.target.label if self.into else way.source.label
        rows = [
            row | {"id": row_id(row["id"], way.target.label), "language": label, "segments": segments}
            for row, segments in zip(given, made, strict=True)
        ]
        return pa.Table.from_pylist(rows, schema=EXAMPLES), 0


def _segments(given: Sequence[Sequence[str]], engine: Translator, way: Way) -> list[list[str]]:
    """Each segment sentence by sentence, its layout as it was."""
    pieces = [[split(text, way.source) for text in texts] for texts in given]
    distinct = list(dict.fromkeys(one for texts in pieces for cut in texts for one in sentences(cut)))
    said = translated(engine, distinct, way) if distinct else []
    known: dict[str, Any] = {text: one.text for text, one in zip(distinct, said, strict=True)}
    return [[join(cut, [known[one] for one in sentences(cut)], way.target) for cut in texts] for texts in pieces]
