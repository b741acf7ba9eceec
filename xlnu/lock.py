"""One writer a step, on any file system: claims, heartbeats and a lease.

Object stores offer no lock through pyarrow, so the lock is made of what they do offer: a listing that shows every
finished write. A driver writes a claim of its own, then lists; if it sees another live claim it takes its own
back and waits. Of two drivers, the one that lists last has seen the other: never two, at worst for a moment none.

A claim is alive while its heartbeat is young, by the server's clock on both sides, so that skewed clocks of
machines do not matter. One whose process is known to be gone (same boot, same process namespace) is dead at once:
a killed run can be run again without waiting.
"""

import contextlib
import json
import os
import posixpath
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from xlnu.errors import Halt
from xlnu.store import Entry, Store

LEASE = 90.0  # seconds without a heartbeat after which a claim from elsewhere is dead
BEAT = 10.0


def _started(pid: int | str) -> str:
    """When a process began, in ticks since boot: tells it from a later one with the same number."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def _me() -> dict[str, Any]:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    realm = f"{boot} {os.readlink('/proc/self/ns/pid')}"  # containers on one host number processes apart
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": _started("self"), "realm": realm}


def _is_gone(who: dict[str, Any]) -> bool:
    """True when the claim's process ran where we can see it, and no longer does."""
    if who.get("realm") != _me()["realm"]:
        return False
    try:
        return bool(_started(int(who["pid"])) != who["started"])
    except (FileNotFoundError, ProcessLookupError):
        return True


def _clock() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)  # goes on while the machine sleeps, as the lease does


class Lock:
    """Held by one driver for one step. `check` before each write: a driver that slept may have lost it."""

    def __init__(self, store: Store, folder: str) -> None:
        self.store, self.folder = store, folder
        self.name = posixpath.join(folder, uuid.uuid4().hex + ".json")
        self._stop = threading.Event()
        self._heart = threading.Thread(target=self._keep_beating, name=f"lock {folder}", daemon=True)
        self._beaten = _clock()

    def _beat(self) -> None:
        self.store.write(self.name, json.dumps(_me()).encode())
        self._beaten = _clock()

    def _keep_beating(self) -> None:
        while not self._stop.wait(BEAT):
            if _clock() - self._beaten < LEASE:  # later, the claim may have been taken: `check` finds out
                with contextlib.suppress(Halt):  # a store out of reach for a moment: the next beat tries again
                    self._beat()

    def _others(self) -> tuple[list[dict[str, Any]], list[Entry]]:
        """Who else claims this and is alive; and the claims that are dead."""
        entries = [e for e in self.store.list(self.folder) if e.name.endswith(".json")]
        now = max((e.written for e in entries if e.name == self.name), default=None)
        alive, dead = [], []
        for entry in (e for e in entries if e.name != self.name):
            try:
                who = json.loads(self.store.read(entry.name))
            except FileNotFoundError:
                continue  # taken back since we listed
            if _is_gone(who) or (now is not None and now - entry.written > LEASE):
                dead.append(entry)
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
                break
            self.store.delete(self.name)
            if pause == 0.5:
                waiting(f"process {alive[0]['pid']} on {alive[0]['host']}")
            pause = min(BEAT, pause * 1.3)
            time.sleep(pause * random.uniform(0.5, 1.0))  # unequal, so that two that met do not meet again
        for entry in dead:
            self.store.delete(entry.name)
        self._heart.start()

    def check(self) -> None:
        """Raise Halt when the lease ran out and another driver took the step over."""
        if _clock() - self._beaten < LEASE:
            return
        try:
            self.store.read(self.name)
        except FileNotFoundError:
            why = f"this run gave no sign of life for {LEASE:.0f} s and another took the step over"
            raise Halt(f"{self.store.place(self.folder)}: {why}; let it finish, then run this again") from None
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
