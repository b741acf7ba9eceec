"""Who is let in: a request before which less work lies than it may wait for. The others are told at once when to
come again, before anything is done for them; so what is answered is answered in time, however many come.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator

from xlnu.serve.refused import Refused

SLOW = 0.3  # the share that the latest measure has in what is known


class Door:
    """`computed`: seconds of work that wait for the model; `speed`: its tokens a second."""

    def __init__(self, wait: float, computed: Callable[[], float], speed: Callable[[], float]) -> None:
        self.wait, self.computed, self.speed = wait, computed, speed
        self.characters = 0  # let in, and not yet tokens
        self.tokens_each, self.characters_a_second = 0.3, 100_000.0  # until the first texts tell

    @property
    def seconds(self) -> float:
        """Until one who comes now is computed: tokens are made of texts while others are computed."""
        tokenised = self.characters / self.characters_a_second
        return max(tokenised, self.computed() + self.characters * self.tokens_each / self.speed())

    def enter(self, characters: int) -> None:
        before = self.seconds
        if before > self.wait:
            raise Refused(
                429,
                "overloaded",
                f"{before:.1f} s of work lie before this request, and {self.wait:g} s are the limit: come again",
                retry_after=max(1, math.ceil(before - self.wait)),
            )
        self.characters += characters

    @contextlib.contextmanager
    def tokenised(self, characters: int) -> Iterator[None]:
        """In the thread that makes tokens of what was let in."""
        begun = time.perf_counter()
        yield
        speed = characters / max(time.perf_counter() - begun, 1e-6)
        self.characters_a_second += SLOW * (speed - self.characters_a_second)

    def leave(self, characters: int, tokens: int) -> None:
        """It is tokens now, or nothing came of it."""
        self.characters -= characters
        if tokens:
            self.tokens_each += SLOW * (tokens / characters - self.tokens_each)
