"""The steps `packs` and `held_out_packs`: a transfer set as token ids, tokenised once and packed, and its reader.

A row an example, in the order of packs; what cannot be learned from is rejected, with the reason. Packs are made
within a part, and never cross one: a worker that reads a run of packs reads the files they lie in.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlnu.cluster.pools import ONE_CORE, Placed
from xlnu.engines.base import Question
from xlnu.engines.chat import ends, render
from xlnu.engines.checkpoint import Checkpoint
from xlnu.rows import ROW
from xlnu.spread import spread
from xlnu.steps import Part, Rows, Work, read_part
from xlnu.train.examples import Example, encode
from xlnu.train.held import Held
from xlnu.train.packing import pack

ROWS_PER_PART = 8192
NONE = -1  # the pack of a rejected row

PACKS = pa.schema(
    [
        *ROW,
        pa.field("ids", pa.list_(pa.int32()), nullable=False),
        pa.field("prompt", pa.int32(), nullable=False, metadata={"meaning": "ids that are not learned"}),
        pa.field("teacher", pa.list_(pa.int32()), metadata={"meaning": "the prompt by which a teacher is asked"}),
        pa.field("pack", pa.int32(), nullable=False, metadata={"meaning": "its number in the part"}),
        pa.field("learned", pa.int32(), nullable=False, metadata={"meaning": "ids after the prompt"}),
        pa.field("language", pa.string(), nullable=False),
        pa.field("family", pa.string(), nullable=False),
    ]
)


def make(
    works: dict[str, Work], rows: dict[str, Rows], model: Checkpoint, length: int, seed: int
) -> dict[str, int]:
    """`rows`: the transfer set's, by the names of the works."""
    stage = functools.partial(_Encode, rows, model, length, seed)
    return spread(works, {name: len(rows[name]) for name in works}, ROWS_PER_PART, stage, ONE_CORE)


class _Encode:
    def __init__(self, rows: dict[str, Rows], model: Checkpoint, length: int, seed: int, _placed: Placed) -> None:
        from transformers import AutoTokenizer

        folder = model.local()
        self.rows, self.length, self.seed = rows, length, seed
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)  # type: ignore[no-untyped-call]
        self.ends = ends(folder, self.tokenizer)

    def __call__(self, step: str, part: Part) -> tuple[pa.Table, int]:
        columns = ["id", "messages", "teacher_question", "language", "family"]
        given = self.rows[step].read(part.start, part.stop, columns).to_pylist()
        examples = encode(self.tokenizer, [row["messages"] for row in given], self.ends, self.length)
        live = [i for i, one in enumerate(examples) if one.reject is None]
        packs = pack([len(examples[i].ids) for i in live], self.length, self.seed + part.index)
        teachers = self._teachers(given, examples)
        made = [
            _row(given[live[i]], examples[live[i]], teachers.get(live[i]), number)
            for number, some in enumerate(packs)
            for i in some
        ]
        made += [_row(given[i], one, None, NONE) for i, one in enumerate(examples) if one.reject]
        return pa.Table.from_pylist(made, schema=PACKS), sum(len(one.ids) for one in examples)

    def _teachers(self, given: list[dict[str, Any]], examples: list[Example]) -> dict[int, list[int]]:
        """Of those that have one, and that fit with it."""
        asked = {
            i: Question((*row["messages"][:-2], {"role": "user", "content": row["teacher_question"]}), 0)
            for i, row in enumerate(given)
            if row["teacher_question"] and examples[i].reject is None
        }
        prompts = dict(zip(asked, render(self.tokenizer, list(asked.values())), strict=True)) if asked else {}
        return {
            i: ids
            for i, ids in prompts.items()
            if len(ids) + len(examples[i].ids) - examples[i].prompt <= self.length
        }


def _row(given: dict[str, Any], one: Example, teacher: list[int] | None, number: int) -> dict[str, Any]:
    return {
        "id": given["id"],
        "reject": one.reject,
        "ids": one.ids,
        "prompt": one.prompt,
        "teacher": teacher,
        "pack": number,
        "learned": len(one.ids) - one.prompt,
        "language": given["language"],
        "family": given["family"],
    }


Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Index:
    """Where each pack lies, and how much of it is learned. It pickles, for the workers."""

    rows: Rows
    file: Numbers
    start: Numbers  # its first row in the file
    stop: Numbers
    learned: Numbers
    tokens: Numbers

    def __len__(self) -> int:
        return len(self.file)

    @property
    def per_file(self) -> int:
        return max(1, round(len(self) / max(1, len(self.rows.paths))))


def index(rows: Rows) -> Index:
    """Of the rows of a `packs` step, the rejected among them."""
    assert rows.rejected
    found: dict[str, list[Numbers]] = {name: [] for name in ("file", "start", "stop", "learned", "tokens")}
    for number, path in enumerate(rows.paths):
        table = read_part(rows.store, path, ["pack", "learned", "prompt"])
        packs = table["pack"].to_numpy()
        live = packs[packs != NONE]  # they come first, each a run
        begins = np.flatnonzero(np.diff(live, prepend=-2))
        learned, prompt = (table[name].to_numpy()[: len(live)].astype(np.int64) for name in ("learned", "prompt"))
        found["file"].append(np.full(len(begins), number))
        found["start"].append(begins)
        found["stop"].append(np.append(begins[1:], len(live))[: len(begins)])
        if len(begins):
            found["learned"].append(np.add.reduceat(learned, begins))
            found["tokens"].append(np.add.reduceat(learned + prompt, begins))
    whole = {name: np.concatenate([*parts, np.empty(0, np.int64)]) for name, parts in found.items()}
    return Index(rows, **{name: values.astype(np.int64) for name, values in whole.items()})


@dataclass(frozen=True)
class Learned:
    """An example as it is read back."""

    id: str
    example: Example
    teacher: list[int] | None


class Reader:
    """Packs by their number."""

    def __init__(self, packs: Index, files: int) -> None:
        """`files`: how many it holds."""
        self.packs, self.held = packs, Held(packs.rows, ["id", "ids", "prompt", "teacher"], files)

    def pack(self, number: int) -> list[Learned]:
        packs = self.packs
        table = self.held.slice(int(packs.file[number]), int(packs.start[number]), int(packs.stop[number]))
        return [Learned(row["id"], Example(row["ids"], row["prompt"]), row["teacher"]) for row in table.to_pylist()]
