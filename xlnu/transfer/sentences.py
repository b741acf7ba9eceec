"""The steps `pieces` and `sentences`: texts cut into sentences, and each distinct sentence once.

A translation model is asked for each distinct sentence once, whoever does the asking: that is the translation
memory, and it needs no state in any worker. The sentences of several rows come first. Those of one row only follow
in the order of rows, so that whoever puts a run of rows together needs the first ones and one run of the others.
"""

import functools
from array import array
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import pyarrow as pa

from xlnu.cluster.pools import ONE_CORE, Placed
from xlnu.languages import Language
from xlnu.rows import ROW, SENTENCES, row_id
from xlnu.spread import spread
from xlnu.steps import Part, Result, Rows, Work
from xlnu.transfer.segment import sentences, split


def schema(fields: Sequence[str]) -> pa.Schema:
    """Of `pieces`: what stays, a sentence, what stays, ...: odd in number; together they are the text."""
    return pa.schema([*ROW, *(pa.field(name, pa.list_(pa.string())) for name in fields)])


def cut(work: Work, given: Result, fields: Sequence[str], source: Language, rows_per_part: int) -> int:
    rows = given.rows()
    stage = functools.partial(_Cut, rows, fields, source)
    spread({work.name: work}, {work.name: len(rows)}, rows_per_part, stage, ONE_CORE)
    return len(rows)


class _Cut:
    def __init__(self, rows: Rows, fields: Sequence[str], source: Language, _placed: Placed) -> None:
        self.rows, self.fields, self.source = rows, fields, source

    def __call__(self, _step: str, part: Part) -> tuple[pa.Table, int]:
        given = self.rows.read(part.start, part.stop, ["id", *self.fields])
        texts = {
            name: [None if text is None else split(text, self.source) for text in given[name].to_pylist()]
            for name in self.fields
        }
        table = {"id": given["id"], "reject": pa.nulls(given.num_rows, pa.string()), **texts}
        return pa.table(table, schema=schema(self.fields)), 0


def collect(work: Work, pieces: Result, fields: Sequence[str], rows_per_part: int) -> int:
    """Every distinct sentence of the pieces. Held on the way: eight bytes a sentence, and those that repeat."""
    rows = pieces.rows()
    hashes = array("Q", (_hash(text) for _, texts in _each_row(rows, fields) for text in texts))
    distinct, counts = np.unique(np.frombuffer(hashes, dtype=np.uint64), return_counts=True)
    repeated = set(distinct[counts > 1].tolist())
    alone = int((counts == 1).sum())
    shared = {
        row_id(text): text for _, texts in _each_row(rows, fields) for text in texts if _hash(text) in repeated
    }
    total = len(shared) + alone
    parts = work.todo(total, rows_per_part)
    everything = _in_order(rows, fields, repeated, shared)
    at = 0
    for part in parts:
        table = list(islice(everything, part.start - at, part.stop - at))
        at = part.stop
        work.write(part, pa.Table.from_pylist(table, schema=SENTENCES))
    return total


def _in_order(
    rows: Rows, fields: Sequence[str], repeated: set[int], shared: dict[str, str]
) -> Iterator[dict[str, object]]:
    for name, text in shared.items():
        yield {"id": name, "reject": None, "text": text, "row": -1}
    for number, texts in _each_row(rows, fields):
        for text in texts:
            if _hash(text) not in repeated:
                yield {"id": row_id(text), "reject": None, "text": text, "row": number}


def _each_row(rows: Rows, fields: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The row's number and its distinct sentences."""
    for start in range(0, len(rows), 1024):
        table = rows.read(start, min(start + 1024, len(rows)), fields)
        for number, row in enumerate(table.to_pylist(), start):
            yield number, list(dict.fromkeys(text for name in fields for text in sentences(row[name] or [""])))


def _hash(text: str) -> int:
    return int(row_id(text)[:16], 16)
