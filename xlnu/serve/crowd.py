"""In Ray Serve's proxies: more requests than are answered in the time that one may wait are refused at once.

The door of a replica (door.py) knows how much work lies before its model. But where the processes that speak HTTP
are the slowest, requests pile up before these, where no door is: at twice what could be answered, the 5 s that they
might wait were 13. And a refusal costs little here, before Ray's hops, so as much is answered as without a crowd.
"""

import math
import time
from collections import deque
from typing import Any

from xlnu.serve.outer import WAIT, App, Message, Receive, Scope, Send, refuse
from xlnu.serve.refused import Refusal

FEW = 64  # in hand at once: what is slow with so few is not slow because of a crowd
LATELY, ENOUGH = 100, 50  # answers by which is told how fast a crowd is answered


class Crowd:
    def __init__(self, app: App) -> None:
        self.app = app
        self.in_hand = 0
        self.wait = math.inf  # seconds, as the API says with each of its answers
        self.speed = math.inf  # answers a second of the latest crowd: few get no more than they ask for
        self._answered = deque[float](maxlen=LATELY)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self.app(scope, receive, send)
            return
        before = self.in_hand / self.speed
        if self.in_hand > FEW and before > self.wait:
            said = f"{self.in_hand} requests are before this one, and {self.wait:g} s are the limit: come again"
            later = max(1, math.ceil(min(before, 2 * self.wait) - self.wait))
            await refuse(Refusal(429, "overloaded", said, retry_after=later), send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": self._read(message["headers"])}
            await send(message)

        self.in_hand += 1
        try:
            await self.app(scope, receive, told)
        finally:
            self.in_hand -= 1
            self._timed()

    def _timed(self) -> None:
        if self.in_hand == 0:
            self.speed = math.inf  # else who was slow once would be thought so by everybody who comes in bursts
        if self.in_hand < FEW:
            self._answered.clear()
            return
        self._answered.append(time.monotonic())
        if len(self._answered) >= ENOUGH:
            took = self._answered[-1] - self._answered[0]
            self.speed = (len(self._answered) - 1) / max(took, 1e-6)

    def _read(self, headers: Any) -> list[Any]:
        """The headers of an answer, but for the one that is for here."""
        found = [value for name, value in headers if name == WAIT]
        if found:
            self.wait = float(found[0])
        return [(name, value) for name, value in headers if name != WAIT]
