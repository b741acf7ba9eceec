"""Which machines are up while a job runs: looked at every few seconds, for what was used and a picture of it."""

import json
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from xlnu.cluster import file
from xlnu.cluster.pools import GROUP, MACHINE
from xlnu.cluster.roles import held
from xlnu.errors import Halt
from xlnu.progress import Past
from xlnu.store import Store

USED = "used"  # in a job's folder, a file of each driver
EVERY = 2.0  # seconds between looks
KEEP = 60.0  # seconds that are lost at most of what a driver saw that is killed
LOST = "the cluster is gone; what is finished is kept: on another, the same command goes on from there"
GONE = 20.0  # seconds for which the head may not answer


@dataclass
class Seen:
    """Of one driver, by its clock: how many machines of each type were up since when, and the steps."""

    began: float
    of: str = ""  # which steps it was to do
    counts: list[tuple[float, dict[str, int]]] = field(default_factory=list)  # where they changed
    steps: list[Past] = field(default_factory=list)
    ended: float = 0.0

    def put(self, now: float, there: Mapping[str, int]) -> None:
        if not self.counts or self.counts[-1][1] != dict(there):
            self.counts.append((now, dict(there)))
        self.ended = now

    def spans(self, name: str) -> list[tuple[float, float, int]]:
        """From when to when there were how many of a type."""
        ends = [at for at, _ in self.counts[1:]] + [self.ended]
        return [(at, end, there.get(name, 0)) for (at, there), end in zip(self.counts, ends, strict=True)]

    def most(self) -> Counter[str]:
        most: Counter[str] = Counter()
        for _, there in self.counts:
            most |= Counter(there)
        return most

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), indent=1).encode()

    @staticmethod
    def from_json(data: bytes) -> "Seen":
        read = json.loads(data)
        counts = [(float(at), dict(there)) for at, there in read["counts"]]
        steps = [Past(**one) for one in read["steps"]]
        return Seen(float(read["began"]), read["of"], counts, steps, float(read["ended"]))


def drivers(folder: Store, of: str = "") -> list[Seen]:
    """What the drivers of a job saw, one after another; `of`: only of those that were to do these steps."""
    found = [Seen.from_json(folder.read(entry.name)) for entry in folder.list(USED)]
    return sorted((one for one in found if one.counts and of in ("", one.of)), key=lambda one: one.began)


def type_of(node: dict[str, Any], types: Sequence[file.NodeType]) -> str:
    """Of which node type a machine is: by its label, if its roles agree, else by its roles."""
    roles = held(node["Resources"])
    same = [one.name for one in types if one.roles == roles]
    label = (node.get("Labels") or {}).get(GROUP)
    if label in same or (label and not types):
        return str(label)
    return same[0] if same else MACHINE


def there(types: Sequence[file.NodeType]) -> Counter[str]:
    """Machines that are up, by type."""
    import ray

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return Counter(type_of(node, types) for node in nodes if node["Alive"])


class Watch:
    """A thread that looks, for as long as this is open; `keep` gets what was seen, now and then and at the end.

    When the head is gone, Ray ends this process after a minute, without a word. This ends it before that, with one.
    """

    def __init__(self, name: str, keep: Callable[[Seen], None], of: str = "", every: float = EVERY) -> None:
        self.name, self.keep, self.every = name, keep, every
        cluster = file.of_environment()
        self.types = cluster.types if cluster else ()
        self.seen, self.lost = Seen(time.time(), of), False
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=of, daemon=True) for of in (self._look, self._guard)]

    def __enter__(self) -> "Watch":
        import ray

        host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
        self._head = (host, int(port))
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, kind: object, error: object, _trace: object) -> None:
        self._stopped.set()
        if self.lost and isinstance(error, KeyboardInterrupt):
            raise Halt(LOST) from None
        for one in self._threads:
            one.join(60)

    def _look(self) -> None:
        kept, changes, last = 0.0, 0, False
        while not last:
            last = self._stopped.wait(self.every)
            try:
                self.seen.put(time.time(), there(self.types))
                if last or changes < len(self.seen.counts) or time.monotonic() - kept > KEEP:
                    kept, changes = time.monotonic(), len(self.seen.counts)
                    self.keep(self.seen)
            except Exception:  # the store is away, or Ray is going: what a job is for is not this
                continue

    def _guard(self) -> None:
        """Apart from looking, for Ray's calls wait for a head that is gone."""
        answered = time.monotonic()
        while not self._stopped.wait(self.every) and not self.lost:
            try:
                socket.create_connection(self._head, 5).close()
                answered = time.monotonic()
            except OSError:
                if time.monotonic() - answered > GONE:
                    self.lost = True
                    os.kill(os.getpid(), signal.SIGTERM)  # as whoever stops a job
                    if not self._stopped.wait(5):  # most calls of Ray's cannot be broken off
                        sys.stderr.write(f"{self.name}: {LOST}\n")
                        sys.stderr.flush()
                        os._exit(1)
