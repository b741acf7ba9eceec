"""A replica: one model in one process, as a deployment of Ray Serve.

Requests are made tokens by one thread, computed in batches by another (batches.py), and looked after by an event
loop that does neither.
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from torch import Tensor

from xlnu import machine
from xlnu.languages import Language
from xlnu.serve import detector
from xlnu.serve.batches import Batches, Done
from xlnu.serve.door import Door
from xlnu.serve.logged import bare, log
from xlnu.serve.measures import BatchMeasures
from xlnu.serve.reading import Example, Identity, Prepared, Reading, Said, Want, size
from xlnu.serve.refused import Refusal, Refused
from xlnu.stack.windows import Window

STUCK = 300.0  # seconds of one batch after which a replica is replaced: a GPU that hangs never comes back
TIMES = 3  # that a pass is timed
WARM = ("a", "the child plays with the ball in the garden. ", "the child plays with the ball in the garden. " * 4)


@dataclass(frozen=True)
class ReplicaSettings:
    name: str
    folder: str
    detect: str
    numbers: str
    batch_tokens: int
    wait: float
    threads: int
    gpu: bool


@dataclass(frozen=True)
class Read:
    identity: Identity
    said: list[Said]


class Replica:
    def __init__(self, settings: ReplicaSettings) -> None:
        import torch

        torch.set_num_threads(settings.threads or machine.cores())
        self.settings = settings
        # It alone computes with OpenMP's threads: where two threads of a process have done so, these sleep between
        # any two operations, and a batch of a small model takes 19 ms in place of 10.
        model = ThreadPoolExecutor(1, "model")
        self.reading = model.submit(
            Reading.open,
            settings.name,
            settings.folder,
            numbers=settings.numbers,
            device="cuda" if settings.gpu else "cpu",
            batch_tokens=settings.batch_tokens,
            detector=detector.opened(settings.detect),
        ).result()
        self.measures = BatchMeasures(settings.name)
        self.tokeniser = ThreadPoolExecutor(1, "tokenise")  # of two at once, tokenizers says "Already borrowed"
        self.batches: Batches[Window, Tensor] = Batches(
            self.reading.compute, size, self.reading.at_once, self._done, model
        )
        self.door = Door(settings.wait, lambda: self.batches.seconds, lambda: self.batches.speed)
        self._failed = False
        model.submit(self._warm).result()

    async def read(self, examples: Sequence[Example], want: Want, alone: bool) -> Read | Refusal:
        try:
            asked = await self._prepared(examples, want)
            computed = await self._computed(asked, alone)
        except Refused as refused:
            return refused.refusal
        except Exception as error:
            self._failed = True
            log.error("a text cannot be computed", exc_info=bare(error))
            about = str(error) if isinstance(error, ArithmeticError) else type(error).__name__
            return Refusal(500, "not_computable", f"the model cannot compute this: {about}")
        return Read(self.reading.identity, self.reading.said(asked, computed))

    async def _prepared(self, examples: Sequence[Example], want: Want) -> Prepared:
        characters, tokens = sum(len(text) for one in examples for text in one.segments), 0
        self.door.enter(characters)

        def prepare() -> Prepared:
            with self.door.tokenised(characters):
                return self.reading.prepare(examples, want)

        try:
            asked = await asyncio.get_running_loop().run_in_executor(self.tokeniser, prepare)
            tokens = sum(size(one).tokens for one in asked.flat)
            return asked
        finally:
            self.door.leave(characters, tokens)

    async def _computed(self, asked: Prepared, alone: bool) -> list[Tensor]:
        work = [asyncio.ensure_future(self.batches.put(one, alone)) for one in asked.flat]
        try:
            return list(await asyncio.gather(*work))
        finally:
            for one in work:
                one.cancel()

    async def identify(self) -> Identity:
        return self.reading.identity

    async def languages(self) -> tuple[Language, ...]:
        return tuple(self.reading.languages)

    async def check_health(self) -> None:
        """What Ray asks every few seconds: a replica that raises here is replaced."""
        if self.batches.begun and time.monotonic() - self.batches.begun > STUCK:
            raise RuntimeError(f"one batch has been computed for {STUCK:.0f} s")
        if self._failed:  # by its input, or because nothing can be computed any more
            self._failed = False
            await self.batches.put(self._canary())

    def _warm(self) -> None:
        """The first passes of every length are slow: no request is to wait for them. Later ones tell the speed."""
        for text in WARM:
            one = self._canary(text)
            full = [one] * max(1, self.reading.at_once // size(one).area)
            for some in ([one], full):
                self._timed(some)
        small = self._canary()
        of_full, of_small = (min(self._timed(some) for _ in range(TIMES)) for some in (full, [small]))
        tokens = len(full) * size(one).tokens
        self.batches.speed = tokens / of_full
        each = max(of_full - of_small, 1e-6) / max(1, tokens - size(small).tokens)
        self.batches.empty_pass = max(0.0, of_small / each - size(small).tokens)

    def _timed(self, windows: list[Window]) -> float:
        begun = time.perf_counter()
        self.reading.compute(windows)
        return time.perf_counter() - begun

    def _canary(self, text: str = WARM[0]) -> Window:
        language = self.reading.languages[0].code
        return self.reading.prepare([Example("text", (text,), language, "")], "embedding").flat[0]

    def _done(self, done: Done) -> None:
        self.measures.done(done, len(self.batches.waiting))
