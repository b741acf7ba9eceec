"""What a worker is fed: its share of each step's packs, as micro-batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xlnu.train.examples import Example
from xlnu.train.order import Order
from xlnu.train.packing import IGNORED, Batch, packed, padded
from xlnu.train.packs import Index, Learned, Numbers, Reader

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Micro:
    """Packs that are computed at once."""

    batch: Batch
    teacher: Batch | None
    taught: "torch.Tensor | None"  # which of the batch's answer tokens the teacher's are, in their order
    ids: Sequence[str]


@dataclass(frozen=True)
class Share:
    """A worker's place among others, and how much it computes at once."""

    worker: int
    workers: int
    micro: int  # packs
    pad: int
    device: "torch.device"
    flat: bool  # all packs of a micro-batch in one row, as flash attention wants them
    apart: bool = False  # an example a row, for models that do not keep those of a row apart


class Feed:
    """`batch` packs a step: over all epochs in the order's own order, or, held out, once from first to last."""

    def __init__(self, packs: Index, order: Order | None, share: Share, batch: int, *, teacher: bool) -> None:
        self.packs, self.order, self.share, self.batch, self.teacher = packs, order, share, batch, teacher
        self.steps = order.steps if order else -(-len(packs) // batch)
        # a window of the order lies in as many files as it has, and at its borders in one more for each
        self.reader = Reader(packs, 2 * (order.window if order else 1) + 1)

    def learned(self, step: int) -> int:
        return int(self.packs.learned[self._numbers(step)].sum())

    def tokens(self, step: int) -> int:
        return int(self.packs.tokens[self._numbers(step)].sum())

    def micros(self, step: int) -> Iterator[Micro]:
        share = self.share
        if self.order:
            mine = self.order.share(step, share.worker, share.workers).tolist()
        else:
            mine = self._numbers(step)[share.worker :: share.workers].tolist()
        for start in range(0, -(-self.batch // share.workers), share.micro):  # as many for every worker
            yield self._micro([self.reader.pack(number) for number in mine[start : start + share.micro]])

    def nothing(self, times: int) -> list[Micro]:
        return [self._nothing()] * times

    def _nothing(self) -> Micro:
        """A worker with no packs takes part in what all must do together."""
        import torch

        if not self.teacher:
            return Micro(self._empty(), None, None, [])
        return Micro(self._empty(), self._empty(), torch.zeros(0, dtype=torch.bool, device=self.share.device), [])

    def _empty(self) -> Batch:
        """Two tokens and no answer."""
        batch = packed([[Example([self.share.pad, self.share.pad], 1)]], self.share.pad)
        batch.labels.fill_(IGNORED)
        return moved(batch, self.share.device)

    def _numbers(self, step: int) -> Numbers:
        if self.order:
            return self.order.at(step)
        return np.arange(step * self.batch, min((step + 1) * self.batch, len(self.packs)))

    def _micro(self, packs: Sequence[Sequence[Learned]]) -> Micro:
        if not packs:
            return self._nothing()
        ids = [one.id for pack in packs for one in pack]
        batch = self._batch([[one.example for one in pack] for pack in packs])
        if not self.teacher:
            return Micro(batch, None, None, ids)
        views = [_view(one) for pack in packs for one in pack if one.teacher]
        # A row each: packing them again would take a plan of its own, and they are seen without gradients. Where
        # there is none, nothing is seen: under ZeRO-3 all workers must go through the model equally often.
        seen = self._batch([[view] for view in views]) if views else self._empty()
        return Micro(batch, seen, self._taught(packs), ids)

    def _taught(self, packs: Sequence[Sequence[Learned]]) -> "torch.Tensor":
        import torch

        counts = [(bool(one.teacher), len(one.example.ids) - one.example.prompt) for pack in packs for one in pack]
        marks = [torch.full((count,), has) for has, count in counts]
        return torch.cat(marks).to(self.share.device)

    def _batch(self, rows: Sequence[Sequence[Example]]) -> Batch:
        share = self.share
        if share.apart:
            made = padded([one for row in rows for one in row], share.pad)
        else:
            made = packed(rows, share.pad, flat=share.flat)
        return moved(made, share.device)


def _view(one: Learned) -> Example:
    """The same answer behind the teacher's question."""
    assert one.teacher
    return Example([*one.teacher, *one.example.ids[one.example.prompt :]], len(one.teacher))


def moved(batch: Batch, device: "torch.device") -> Batch:
    mask = None if batch.attention_mask is None else batch.attention_mask.to(device)
    return Batch(
        batch.input_ids.to(device), batch.labels.to(device), batch.position_ids.to(device), mask, batch.spans
    )
