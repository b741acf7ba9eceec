"""What a worker is fed in the stages of MT-LLM: its share of each step's examples, as micro-batches.

An example is a row of TOKENS. A worker sorts its share of a step by length before it cuts it into micro-batches, so
that little is padding; which examples a step has is the order's alone.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xlnu.errors import Halt
from xlnu.steps import Rows, read_part
from xlnu.train.held import Held
from xlnu.train.order import Order

if TYPE_CHECKING:
    import torch

COLUMNS = [
    "id",
    "content",
    "encoder_ids",
    "encoder_groups",
    "llm_ids",
    "llm_groups",
    "gold",
    "encoder_at",
    "llm_at",
]
WINDOW = 4  # files that are mixed with one another


@dataclass(frozen=True)
class Table:
    """Rows of TOKENS and how long they are; and, of the same rows, what a teacher made of them. It pickles."""

    rows: Rows
    sizes: np.ndarray[Any, Any]
    embeddings: Rows | None = None

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def per_file(self) -> int:
        return max(1, round(len(self) / max(1, len(self.rows.paths))))


def table(rows: Rows, part: str, embeddings: Rows | None = None) -> Table:
    """`part`: whose tokens are counted, encoder or llm."""
    sizes = [
        pc.list_value_length(read_part(rows.store, path, [f"{part}_ids"])[f"{part}_ids"]).to_numpy()
        for path in rows.paths
    ]
    return Table(rows, np.concatenate([*sizes, np.empty(0, np.int64)]).astype(np.int64), embeddings)


@dataclass
class Micro:
    """What a worker computes at once. `encoder` and `llm` are the arguments by which a stack reads it."""

    ids: Sequence[str]
    encoder: "dict[str, torch.Tensor]"
    llm: "dict[str, torch.Tensor]"
    gold: "torch.Tensor"  # [rows, groups], IGNORED where there is none
    same: "torch.Tensor"  # [3, n]: tokens that are one in both: their row, their place in the one and in the other
    taught: "torch.Tensor | None" = None  # [rows, groups, width]
    count: int = 0  # rows that count: a micro-batch without any has one all the same, to be computed


@dataclass(frozen=True)
class Share:
    worker: int
    workers: int
    micro: int
    pads: tuple[int, int]  # the encoder's and the LLM's
    device: "torch.device"


class Feed:
    """`batch` examples a step: over all epochs in the order's own order, or, held out, once from first to last."""

    def __init__(self, data: Table, order: Order | None, share: Share, batch: int, width: int) -> None:
        """`width`: of a state; embeddings are read as rows of that."""
        self.data, self.order, self.share, self.batch, self.width = data, order, share, batch, width
        self.steps = order.steps if order else -(-len(data) // batch)
        files = 2 * (order.window if order else 1) + 1
        self.held = Held(data.rows, COLUMNS, files)
        self.taught = Held(data.embeddings, ["id", "content", "embedding"], files) if data.embeddings else None

    def learned(self, step: int) -> int:
        return len(self._numbers(step))

    def tokens(self, step: int) -> int:
        return int(self.data.sizes[self._numbers(step)].sum())

    def micros(self, step: int) -> Iterator[Micro]:
        share = self.share
        mine = self._numbers(step)[share.worker :: share.workers]
        mine = mine[np.argsort(-self.data.sizes[mine], kind="stable")]
        for start in range(0, -(-self.batch // share.workers), share.micro):  # as many for every worker
            some = mine[start : start + share.micro].tolist()
            yield self._micro(some) if some else self._nothing()

    def nothing(self, times: int) -> list[Micro]:
        return [self._nothing()] * times

    def _nothing(self) -> Micro:
        """A worker without rows takes part in what all must do together."""
        made = self._micro([0])
        made.ids, made.count = [], 0
        return made

    def _numbers(self, step: int) -> "np.ndarray[Any, Any]":
        if self.order:
            return self.order.at(step)
        return np.arange(step * self.batch, min((step + 1) * self.batch, len(self.data)))

    def _micro(self, numbers: list[int]) -> Micro:
        rows = [self._row(self.held, number) for number in numbers]
        taught = self._taught(self.taught, rows, numbers) if self.taught else None
        sides = [self._side(rows, part, pad) for part, pad in zip(("encoder", "llm"), self.share.pads, strict=True)]
        names = [row["id"] for row in rows]
        return Micro(names, sides[0], sides[1], self._gold(rows), self._same(rows), taught, len(rows))

    def _same(self, rows: list[dict[str, Any]]) -> "torch.Tensor":
        import torch

        found = [
            (i, *places)
            for i, row in enumerate(rows)
            for places in zip(row["encoder_at"], row["llm_at"], strict=True)
        ]
        return torch.tensor(found, dtype=torch.long, device=self.share.device).view(-1, 3).T

    def _row(self, held: Held, number: int) -> dict[str, Any]:
        found: dict[str, Any] = _slice(held, number).to_pylist()[0]
        return found

    def _embedding(self, held: Held, row: dict[str, Any], number: int) -> "np.ndarray[Any, Any]":
        """Never as Python's numbers: a state has thousands."""
        found = _slice(held, number)
        if (row["id"], row["content"]) != (found["id"][0].as_py(), found["content"][0].as_py()):
            raise Halt(f"{row['id']}: its embedding is of another text; delete the step embeddings and run again")
        states: np.ndarray[Any, Any] = found["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return states.astype(np.float32)

    def _side(self, rows: list[dict[str, Any]], part: str, pad: int) -> "dict[str, torch.Tensor]":
        from xlnu.stack.inputs import Tokens, padded

        made = [Tokens(row[f"{part}_ids"], row[f"{part}_groups"]) for row in rows]
        ids, mask, groups = padded(made, pad, self.share.device)
        return {"input_ids": ids, "attention_mask": mask, "groups": groups}

    def _gold(self, rows: list[dict[str, Any]]) -> "torch.Tensor":
        import torch

        from xlnu.objectives.task import IGNORED

        gold = torch.full((len(rows), max(1, *(len(row["gold"]) for row in rows))), IGNORED)
        for i, row in enumerate(rows):
            gold[i, : len(row["gold"])] = torch.tensor(row["gold"], dtype=gold.dtype)
        return gold.to(self.share.device)

    def _taught(self, held: Held, rows: list[dict[str, Any]], numbers: list[int]) -> "torch.Tensor":
        import torch

        embeddings = [self._embedding(held, *pair) for pair in zip(rows, numbers, strict=True)]
        most = max(len(one) for one in embeddings) // self.width
        taught = torch.zeros(len(embeddings), most, self.width)
        for i, one in enumerate(embeddings):
            states = torch.from_numpy(one).view(-1, self.width)
            taught[i, : len(states)] = states
        return taught.to(self.share.device)


def _slice(held: Held, number: int) -> pa.Table:
    """The row of this number, of all files together."""
    file = bisect_right(held.rows.ends, number)
    at = number - (held.rows.ends[file - 1] if file else 0)
    return held.slice(file, at, at + 1)
