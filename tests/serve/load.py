"""Clients that ask without a pause, and come again where they are told to, as official clients do."""

import asyncio
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

AGAIN = (429, 500, 502, 503, 504)  # what OpenAI's client asks again for, besides lost connections


@dataclass
class Tally:
    """`answers`: status codes, and names of what broke a connection, of every attempt. `lost`: what requests saw
    last that did not succeed within their deadline.
    """

    sent: int = 0
    succeeded: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    wrong: int = 0

    def __str__(self) -> str:
        told = ", ".join(f"{count} x {name}" for name, count in sorted(self.answers.items()))
        return f"{self.sent} sent, {self.succeeded} succeeded, {len(self.lost)} lost ({told})"


class Load:
    """`with Load(...) as load:` asks until the end of the block. `bodies`: what is asked, and the right label."""

    def __init__(
        self,
        address: str,
        endpoint: str,
        bodies: list[tuple[dict[str, Any], Any]],
        clients: int = 8,
        deadline: float = 60,
    ) -> None:
        self.address, self.endpoint, self.bodies = address, endpoint, bodies
        self.clients, self.deadline = clients, deadline
        self.tally, self._stop = Tally(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()))

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _all(self) -> None:
        async with httpx.AsyncClient(base_url=self.address, timeout=self.deadline) as http:
            await asyncio.gather(*(self._client(http, number) for number in range(self.clients)))

    async def _client(self, http: httpx.AsyncClient, seed: int) -> None:
        drawn = random.Random(seed)
        while not self._stop.is_set():
            await self._one(http, *drawn.choice(self.bodies), drawn)

    async def _one(self, http: httpx.AsyncClient, body: dict[str, Any], right: Any, drawn: random.Random) -> None:
        tally, begun, last = self.tally, time.monotonic(), "nothing"
        tally.sent += 1
        while time.monotonic() - begun < self.deadline:
            try:
                got = await http.post(f"/v1/{self.endpoint}", json=body)
            except httpx.TransportError as error:
                last, wait = type(error).__name__, 0.5
            else:
                last, wait = str(got.status_code), float(got.headers.get("retry-after", 0.5))
                if got.status_code == 200:
                    tally.answers["200"] += 1
                    tally.succeeded += 1
                    tally.seconds.append(time.monotonic() - begun)
                    one = got.json()["data"][0]
                    tally.wrong += right is not None and one["label"] != right
                    return
                if got.status_code not in AGAIN:
                    last += f" {got.text[:200]}"
                    break
            tally.answers[last] += 1
            await asyncio.sleep(wait * (0.5 + drawn.random()))
        tally.lost.append(last)
