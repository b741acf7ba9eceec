"""A load generator of few parts, in a process of its own: `python -m xlnu.bench.load PORT PATH FILE ...` asks a
server for some seconds and prints what came of it. FILE holds a body a line, in JSON.

With `clients`, so many ask one after another, each when it has its answer, and later where it is told to come
again: what the server can do. With `rate`, so many requests a second come whatever becomes of the others: what is
left of that when they are too many.
"""

import asyncio
import json
import random
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import quantiles


@dataclass
class Tally:
    seconds: float = 0.0  # in which it was asked
    answered: int = 0  # with 200, within these seconds
    statuses: dict[str, int] = field(default_factory=dict)
    p50: float = 0.0  # seconds, of what was answered
    p99: float = 0.0

    @property
    def throughput(self) -> float:
        return self.answered / self.seconds


class _Connection:
    """HTTP/1.1, one request after another."""

    def __init__(self, port: int, path: str) -> None:
        self.port, self.path = port, path
        self.reader: asyncio.StreamReader | None = None

    async def ask(self, body: bytes) -> tuple[int, float]:
        """The status, and after how many seconds to come again."""
        if self.reader is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.writer.write(head.encode() + body)
        first, *headers = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        said = dict(line.lower().split(": ", 1) for line in headers if line)
        await self.reader.readexactly(int(said["content-length"]))
        if said.get("connection") == "close":
            self.close()
        return int(first.split()[1]), float(said.get("retry-after", 0))

    def close(self) -> None:
        if self.reader is not None:
            self.writer.close()
            self.reader = None


async def clients(port: int, path: str, bodies: list[bytes], number: int, seconds: float) -> Tally:
    statuses, times = Counter[str](), list[float]()
    begun = time.perf_counter()

    async def one(seed: int) -> None:
        drawn, connection = random.Random(seed), _Connection(port, path)
        while (start := time.perf_counter()) - begun < seconds:
            status, later = await connection.ask(drawn.choice(bodies))
            end = time.perf_counter()
            statuses[str(status)] += 1
            if status == 200:
                times.append(end - start)
            await asyncio.sleep(later * (0.5 + drawn.random()))
        connection.close()

    await asyncio.gather(*(one(seed) for seed in range(number)))
    return _tally(statuses, times, time.perf_counter() - begun)


async def rate(port: int, path: str, bodies: list[bytes], a_second: float, seconds: float) -> Tally:
    statuses, times = Counter[str](), list[float]()
    drawn, free = random.Random(0), list[_Connection]()
    begun, under_way = time.perf_counter(), set[asyncio.Task[None]]()
    end = 0.0

    async def one(body: bytes) -> None:
        nonlocal end
        connection = free.pop() if free else _Connection(port, path)
        start = time.perf_counter()
        try:
            status = str((await connection.ask(body))[0])
        except (OSError, asyncio.IncompleteReadError) as error:
            status = type(error).__name__
            connection.close()
        statuses[status] += 1
        if status == "200":
            times.append(time.perf_counter() - start)
            end = time.perf_counter()
        free.append(connection)

    due = 0.0
    while due < seconds:
        await asyncio.sleep(max(0.0, begun + due - time.perf_counter()))
        task = asyncio.create_task(one(drawn.choice(bodies)))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        due += drawn.expovariate(a_second)
    await asyncio.gather(*under_way)
    for connection in free:
        connection.close()
    return _tally(statuses, times, max(end - begun, seconds))


def _tally(statuses: Counter[str], times: list[float], seconds: float) -> Tally:
    cut = quantiles(times, n=100, method="inclusive") if len(times) > 1 else [*times, 0.0] * 50
    return Tally(seconds, len(times), dict(statuses), cut[49], cut[98])


def main(arguments: list[str]) -> None:
    port, path, file, how, number, seconds = arguments
    bodies = [line.encode() for line in Path(file).read_text(encoding="utf-8").splitlines()]
    asked = clients(int(port), path, bodies, int(number), float(seconds)) if how == "clients" else None
    made = asyncio.run(asked or rate(int(port), path, bodies, float(number), float(seconds)))
    sys.stdout.write(json.dumps(asdict(made)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
