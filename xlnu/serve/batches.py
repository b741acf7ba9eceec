"""Work for one thread, put together when the thread is free: who waits longest, and those beside it with whom most
tokens are computed a second.

A pass costs something, however little is in it; so a batch grows. Padding costs as tokens do; so it does not grow
by texts of another length. On two cores a model of 1.6 billion weights is as fast with 90 tokens as with 500: when
they were filled whatever waited, 29 % of its batches was padding, and it read 3.8 texts a second in place of 5.

Ray's own `@serve.batch` closes a batch some milliseconds after its first request came, whether or not the last
batch is done. Behind a busy model its batches stay as small as what arrives in these milliseconds, and are put
together by when their requests came; here, by how long these are. bench/serving.py holds one against the other.
"""

import asyncio
import functools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

LOOKED_AT = 4096  # of those that wait, the oldest: sorting a hundred thousand takes as long as a pass

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Size:
    """Of a batch, or of what waits for one: `rows` times `width` is what is computed, padding included."""

    rows: int
    width: int
    tokens: int

    def beside(self, other: "Size") -> "Size":
        return Size(self.rows + other.rows, max(self.width, other.width), self.tokens + other.tokens)

    @property
    def area(self) -> int:
        return self.rows * self.width


@dataclass(eq=False)
class _Waiting(Generic[T, R]):
    item: T
    size: Size
    alone: bool
    future: asyncio.Future[R | Exception]
    since: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Done:
    """A batch that was computed, for who counts."""

    size: Size
    items: int
    seconds: float
    waited: Sequence[float]


class Batches(Generic[T, R]):
    """`work` computes a batch and gives a result, or an exception, for each of its items. What it raises is the
    fault of one of them: each is then computed alone.
    """

    def __init__(
        self,
        work: Callable[[list[T]], Sequence[R | Exception]],
        size: Callable[[T], Size],
        at_once: int,
        done: Callable[[Done], None] = lambda _: None,
        thread: ThreadPoolExecutor | None = None,
    ) -> None:
        self.work, self.size, self.at_once, self.done = work, size, at_once, done
        self.empty_pass = float(at_once)  # what a pass costs before anything is in it, in tokens
        self.thread = thread or ThreadPoolExecutor(1, "work")
        self.waiting: list[_Waiting[T, R]] = []
        self.speed = 1000.0  # tokens a second of a full batch; the first one tells
        self.begun: float | None = None  # of the batch that is computed now
        self._now = 0  # its tokens
        self._task: asyncio.Task[None] | None = None

    @property
    def seconds(self) -> float:
        """Of work that lies before one who comes now."""
        left = self._now / self.speed - (time.monotonic() - self.begun) if self.begun else 0.0
        return max(0.0, left) + sum(one.size.tokens for one in self.waiting) / self.speed

    async def put(self, item: T, alone: bool = False) -> R:
        """`alone`: with nothing beside it."""
        one = _Waiting(item, self.size(item), alone, asyncio.get_running_loop().create_future())
        self.waiting.append(one)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            found = await one.future
        finally:
            if one in self.waiting:  # its client has gone: its place is free
                self.waiting.remove(one)
        if isinstance(found, Exception):
            raise found
        result: R = found
        return result

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)  # who comes in the same turn of the loop comes along
        while some := self._next():
            size = functools.reduce(Size.beside, (one.size for one in some))
            self.begun, self._now = time.monotonic(), size.tokens
            waited, full = [self.begun - one.since for one in some], bool(self.waiting)
            results = await loop.run_in_executor(self.thread, self._computed, [one.item for one in some])
            seconds = time.monotonic() - self.begun
            self.begun = None
            self._timed(size, seconds, full)
            for one, result in zip(some, results, strict=True):
                if not one.future.done():
                    one.future.set_result(result)
            self.done(Done(size, len(some), seconds, waited))
        self._task = None

    def _timed(self, size: Size, seconds: float, full: bool) -> None:
        """A batch that took all there was may be of one text, and slow: it says nothing of how fast many are."""
        speed = size.tokens / max(seconds, 1e-6)
        if speed > self.speed or full:
            self.speed += 0.3 * (speed - self.speed)

    def _next(self) -> list[_Waiting[T, R]]:
        """The one that waits longest, and beside it those nearest to it in length, as many as pay."""
        self.waiting = [one for one in self.waiting if not one.future.done()]
        if not self.waiting:
            return []
        first = self.waiting[0]
        some, size = [first], first.size
        count, most = 1, self._worth(size)
        if not first.alone:
            others = [one for one in self.waiting[1:LOOKED_AT] if not one.alone]
            for one in sorted(others, key=lambda one: abs(one.size.width - first.size.width)):
                size = size.beside(one.size)
                if size.area > self.at_once:
                    break
                some.append(one)
                if self._worth(size) >= most:
                    count, most = len(some), self._worth(size)
        some = some[:count]
        taken = set(map(id, some))
        self.waiting = [one for one in self.waiting if id(one) not in taken]
        return some

    def _worth(self, size: Size) -> float:
        """The share of a pass that is tokens."""
        return size.tokens / (self.empty_pass + size.area)

    def _computed(self, items: list[T]) -> list[R | Exception]:
        try:
            found = list(self.work(items))
        except Exception as error:
            return [error] if len(items) == 1 else [one for item in items for one in self._computed([item])]
        assert len(found) == len(items)
        return found
