"""One writer a step, on any file system: claims, heartbeats and a lease.

Object stores offer no lock through pyarrow, so the lock is made of what they do offer: a listing that shows every
finished write. A driver writes a claim of its own, then lists; if it sees another live claim it takes its own
back and waits. Of two drivers, the one that lists last has seen the other: never two, at worst for a moment none.

Who claims stands in the claim's name, so that a listing tells all: to read a claim that is taken back at that
moment fails, on S3 with an error of no telling kind.

A claim is alive while its heartbeat is young, by the server's clock on both sides, so that skewed clocks of
machines do not matter. One whose process is known to be gone (same boot, same process namespace) is dead at once:
a killed run can be run again without waiting.
"""

import contextlib
import hashlib
import os
import posixpath
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from xlnu.errors import Halt
from xlnu.store import Entry, Store

LEASE = 90.0  # seconds without a heartbeat after which a claim from elsewhere is dead
BEAT = 10.0


def _state_and_start(pid: int | str) -> tuple[str, str]:
    """What a process does (Z: killed, but not yet buried), and when it began, in ticks since boot, which tells it
    from a later one with the same number.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], fields[19]


@dataclass(frozen=True)
class Claimant:
    """A process, told from any other there is or was."""

    host: str
    pid: int
    started: str
    realm: str

    @staticmethod
    def here() -> "Claimant":
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        namespace = os.readlink("/proc/self/ns/pid")  # containers on one host number their processes apart
        realm = hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:16]
        return Claimant(socket.gethostname(), os.getpid(), _state_and_start("self")[1], realm)

    def is_gone(self) -> bool:
        """True when the process ran where we can see it, and no longer does."""
        if self.realm != Claimant.here().realm:
            return False
        try:
            state, started = _state_and_start(self.pid)
            return state in "ZX" or started != self.started
        except (FileNotFoundError, ProcessLookupError):
            return not _is_hidden(self.pid)

    def claim(self) -> str:
        """The name of a new claim. One process may hold several: each is its own."""
        return "~".join([self.host, str(self.pid), self.started, self.realm, uuid.uuid4().hex])

    @staticmethod
    def of(claim: str) -> "Claimant":
        host, pid, started, realm, _ = posixpath.basename(claim).split("~")
        return Claimant(host, int(pid), started, realm)


def _is_hidden(pid: int) -> bool:
    """/proc mounted with hidepid shows each user only their own processes; a signal tells of others'."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    return False


def _clock() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)  # goes on while the machine sleeps, as the lease does


class Lock:
    """Held by one driver for one step. `check` at each part: a driver that slept may have lost it."""

    def __init__(self, store: Store, folder: str) -> None:
        self.store, self.folder = store, folder
        self.name = posixpath.join(folder, Claimant.here().claim())
        self._stop = threading.Event()
        self._heart = threading.Thread(target=self._keep_beating, name=f"lock {folder}", daemon=True)
        self._beaten = _clock()

    def _beat(self) -> None:
        began = _clock()  # a store may take long to answer; others reckon from when it wrote
        self.store.touch(self.name)
        self._beaten = began

    def _keep_beating(self) -> None:
        while not self._stop.wait(BEAT):
            with contextlib.suppress(Halt):  # out of reach for a moment: the next beat tries again; taken: no beat
                self.check()
                self._beat()

    def _others(self) -> tuple[list[Claimant], list[Entry]]:
        """Who else claims this and is alive; and the claims that are dead."""
        claims = [entry for entry in self.store.list(self.folder) if "~" in entry.name]
        now = max((claim.written for claim in claims if claim.name == self.name), default=None)
        alive, dead = [], []
        for claim in (claim for claim in claims if claim.name != self.name):
            who = Claimant.of(claim.name)
            if who.is_gone() or (now is not None and now - claim.written > LEASE):
                dead.append(claim)
            else:
                alive.append(who)
        return alive, dead

    def acquire(self, waiting: Callable[[str], None]) -> None:
        """Come back holding the lock, however long that takes; `waiting` is told once who has it."""
        pause = 0.5
        while True:
            self._beat()
            alive, dead = self._others()
            if not alive:
                for entry in dead:
                    self.store.delete(entry.name)
                if not dead:
                    break
                alive, _ = self._others()  # one that slept may have woken, and put its claim back
                if not alive:
                    break
            self.store.delete(self.name)
            if pause == 0.5:
                waiting(f"process {alive[0].pid} on {alive[0].host}")
            pause = min(BEAT, pause * 1.3)
            time.sleep(pause * random.uniform(0.5, 1.0))  # unequal, so that two that met do not meet again
        self._heart.start()

    def check(self) -> None:
        """Raise Halt when the lease ran out and another driver took the step over."""
        if _clock() - self._beaten < LEASE:
            return
        if self.name not in [entry.name for entry in self.store.list(self.folder)]:
            why = f"this run gave no sign of life for {LEASE:.0f} s and another took the step over"
            raise Halt(f"{self.store.place(self.folder)}: {why}; let it finish, then run this again")
        self._beat()

    def release(self) -> None:
        self._stop.set()
        if self._heart.ident is not None:
            self._heart.join()  # a beat under way would put the claim back
        self.store.delete(self.name)


@contextlib.contextmanager
def held(store: Store, folder: str, waiting: Callable[[str], None]) -> Iterator[Lock]:
    lock = Lock(store, folder)
    try:
        lock.acquire(waiting)
        yield lock
    finally:
        lock.release()
