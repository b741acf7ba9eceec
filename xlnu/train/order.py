"""In which order packs are seen: computed from (seed, epoch) alone, the same for any number of workers.

Packs lie in files of `part` packs each. The files are shuffled, then the packs of `window` files at a time: so who
reads them in order holds the files of one window, or of two at its border, and no more. An epoch follows upon
another as if they were one long row, and a global batch may hold the end of one and the beginning of the next: no
pack is left out, and only the very last batch of all may be smaller.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """`batch` packs make a global batch, of all workers together."""

    packs: int
    part: int
    window: int
    batch: int
    epochs: int
    seed: int

    def __post_init__(self) -> None:
        assert min(self.packs, self.part, self.window, self.batch, self.epochs) > 0

    @property
    def steps(self) -> int:
        return -(-self.epochs * self.packs // self.batch)

    def at(self, step: int) -> Numbers:
        """The numbers of the packs of a global batch. The first step is 0."""
        assert 0 <= step < self.steps
        start = step * self.batch
        return np.concatenate(list(self._run(start, min(start + self.batch, self.epochs * self.packs))))

    def share(self, step: int, worker: int, workers: int) -> Numbers:
        """A worker's packs of a global batch. Some workers may have one less, and of the last batch none."""
        assert 0 <= worker < workers
        return self.at(step)[worker::workers]

    def epoch(self, epoch: int) -> Numbers:
        return np.concatenate(list(self._run(epoch * self.packs, (epoch + 1) * self.packs)))

    def _run(self, start: int, stop: int) -> Iterator[Numbers]:
        """What is seen from one place in the row of all epochs to another."""
        while start < stop:
            epoch, place = divmod(start, self.packs)
            firsts = _firsts(self, epoch)
            number = int(np.searchsorted(firsts, place, side="right")) - 1
            begin = place - int(firsts[number])
            found = _window(self, epoch, number)[begin : begin + stop - start]
            yield found
            start += len(found)


def _draw(order: Order, epoch: int, what: int) -> np.random.Generator:
    return np.random.default_rng([order.seed, epoch, what])


@lru_cache(maxsize=4)
def _parts(order: Order, epoch: int) -> Numbers:
    return _draw(order, epoch, 0).permutation(-(-order.packs // order.part))


@lru_cache(maxsize=4)
def _firsts(order: Order, epoch: int) -> Numbers:
    """Where in the epoch each window begins. The last file may hold fewer packs, wherever it comes."""
    parts = _parts(order, epoch)
    sizes = np.minimum(order.part, order.packs - parts * order.part)
    firsts: Numbers = (np.cumsum(sizes) - sizes)[:: order.window]
    return firsts


@lru_cache(maxsize=4)
def _window(order: Order, epoch: int, number: int) -> Numbers:
    parts = _parts(order, epoch)[number * order.window : (number + 1) * order.window]
    packs = [np.arange(one * order.part, min((one + 1) * order.part, order.packs)) for one in parts.tolist()]
    return _draw(order, epoch, 1 + number).permutation(np.concatenate(packs))
