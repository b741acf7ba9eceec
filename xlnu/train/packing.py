"""Examples put together so that little is computed for nothing.

**What keeps the examples of a pack apart.** Positions begin at 0 with each of them. transformers (4.57) makes of
that a mask in blocks, with a model's sliding window in it, but only with no attention_mask and no cache; hence
`use_cache=False`, for most models make a cache in training too, and then an example reads those before it, without
a word. A mask of our own would not do: models with sliding windows take a 4D mask as it is, for every layer.

**A pack a row, or all packs in one.** For sdpa and eager a pack is a row: one row of them all costs its square. A
step of 4 packs of 512 through a Llama of 11 M, in CPU seconds: 2.5 as rows, 4.8 as one. Flash attention looks for
examples only in a batch of one row, by the same positions and with no mask; there it leaves out what lies between
them, padding too. Hence `flat`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xlnu.train.examples import Example

if TYPE_CHECKING:
    import torch

Lengths = Sequence[int] | NDArray[np.integer[Any]]
IGNORED = -100  # a label that no loss is taken of
WINDOW = 4096  # examples that are packed at once


def pack(lengths: Lengths, length: int, seed: int, window: int = WINDOW) -> list[list[int]]:
    """Which examples make a pack of at most `length` tokens. Each is in one pack, whole.

    They are shuffled, and packed window by window, the longest first, each where it leaves least room. 100,000
    lengths (lognormal, 131 in the mean) leave 0.1 % of packs of 512 empty, in 0.1 s; one after another 19 %; and
    batches of 16, padded, would be padding by 66 %.
    """
    sizes, draw, packs = _sizes(lengths, length), np.random.default_rng(seed), list[list[int]]()
    for some in _windows(sizes, draw, window):
        packs += _shuffled(_best_fit(some, sizes, length), draw)
    return packs


def _sizes(lengths: Lengths, most: int) -> list[int]:
    sizes: list[int] = np.asarray(lengths, dtype=np.int64).tolist()  # Python's own: bits are shifted by them
    assert all(0 < one <= most for one in sizes)
    return sizes


def _windows(lengths: list[int], draw: np.random.Generator, window: int) -> Iterator[list[int]]:
    """The examples in some order, and each window of them the longest first."""
    mixed: list[int] = draw.permutation(len(lengths)).tolist()
    for start in range(0, len(mixed), window):
        yield sorted(mixed[start : start + window], key=lambda i: -lengths[i])


def _shuffled(found: Iterable[list[int]], draw: np.random.Generator) -> list[list[int]]:
    made = list(found)
    return [made[i] for i in draw.permutation(len(made))]


def _best_fit(some: list[int], lengths: list[int], length: int) -> list[list[int]]:
    packs, rooms = list[list[int]](), 0  # a bit of `rooms` for each number of tokens that some pack has room for
    by_room: list[list[list[int]]] = [[] for _ in range(length + 1)]
    for i in some:
        fit = rooms >> lengths[i] << lengths[i]
        if fit:
            room = (fit & -fit).bit_length() - 1
            chosen = by_room[room].pop()
            rooms ^= 0 if by_room[room] else 1 << room
        else:
            room, chosen = length, []
            packs.append(chosen)
        chosen.append(i)
        by_room[room - lengths[i]].append(chosen)
        rooms |= 1 << (room - lengths[i])
    return packs


@dataclass(frozen=True)
class Batch:
    """Rows of examples, filled up at the right. `spans` are where the examples lie when the rows are laid end to
    end, in their order.
    """

    input_ids: "torch.Tensor"
    labels: "torch.Tensor"  # IGNORED but for answers; models shift them themselves
    position_ids: "torch.Tensor"
    attention_mask: "torch.Tensor | None"  # None: positions say what is to be seen
    spans: list[tuple[int, int]]

    def inputs(self) -> dict[str, Any]:
        """What a model is called with."""
        shared = {"input_ids": self.input_ids, "position_ids": self.position_ids, "use_cache": False}
        return shared if self.attention_mask is None else {**shared, "attention_mask": self.attention_mask}


def packed(packs: Sequence[Sequence[Example]], pad: int, *, flat: bool = False) -> Batch:
    """A pack a row; or, for flash attention, all of them in one row."""
    return _batch([[one for pack in packs for one in pack]] if flat else packs, pad, masked=False)


def padded(examples: Sequence[Example], pad: int) -> Batch:
    """An example a row, with the mask from which flash attention knows what is padding and leaves it out."""
    return _batch([[one] for one in examples], pad, masked=True)


def _batch(rows: Sequence[Sequence[Example]], pad: int, *, masked: bool) -> Batch:
    import torch

    width = max(sum(len(one.ids) for one in row) for row in rows)
    # Padding counts on from 0: to the mask it is one more example, which nothing reads.
    ids, positions = np.full((len(rows), width), pad), np.zeros((len(rows), width), dtype=np.int64)
    labels, mask = np.full((len(rows), width), IGNORED), np.zeros((len(rows), width), dtype=np.int64)
    spans = []
    for i, row in enumerate(rows):
        at = 0
        for one in row:
            stop = at + len(one.ids)
            assert one.prompt > 0  # else the token before, another example's, would be asked for the first one
            ids[i, at:stop], positions[i, at:stop], mask[i, at:stop] = one.ids, np.arange(stop - at), 1
            labels[i, at + one.prompt : stop] = one.ids[one.prompt :]
            spans.append((i * width + at, i * width + stop))
            at = stop
        positions[i, at:] = np.arange(width - at)
    made = [torch.from_numpy(array) for array in (ids, labels, positions, mask)]
    return Batch(made[0], made[1], made[2], made[3] if masked else None, spans)
