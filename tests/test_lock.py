import os
import subprocess
import sys
import threading
from dataclasses import replace
from typing import Any

import pytest

from xlnu import lock
from xlnu.errors import Halt
from xlnu.lock import Claimant, Lock, held
from xlnu.store import Entry, Store


def never(holder: str) -> None:
    raise AssertionError(f"waits for {holder}")


def claim_of(store: Store, **who: Any) -> str:
    name = f"step/_lock/{replace(Claimant.here(), **who).claim()}"
    store.touch(name)
    return name


def test_a_lock_leaves_nothing_behind(store_uri: str) -> None:
    store = Store(store_uri)
    with held(store, "step/_lock", never):
        assert len(store.list("step/_lock")) == 1
    assert store.list("step/_lock") == []


def test_four_drivers_one_at_a_time(store_uri: str) -> None:
    store, inside, most, order = Store(store_uri), 0, 0, []
    guard = threading.Lock()

    def drive(number: int) -> None:
        nonlocal inside, most
        with held(store, "step/_lock", lambda _: None):
            with guard:
                inside += 1
                most = max(most, inside)
            store.list("step/_lock")  # time for another to come in, were it let
            with guard:
                inside -= 1
                order.append(number)

    drivers = [threading.Thread(target=drive, args=(number,)) for number in range(4)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    assert (most, sorted(order)) == (1, [0, 1, 2, 3])
    assert store.list("step/_lock") == []


def test_a_killed_process_holds_nothing(store_uri: str) -> None:
    store = Store(store_uri)
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    claim_of(store, pid=gone.pid)
    with held(store, "step/_lock", never):
        assert len(store.list("step/_lock")) == 1


def test_a_killed_process_that_is_not_buried_holds_nothing(store_uri: str) -> None:
    """In a container without an init nobody ever buries it."""
    store = Store(store_uri)
    undead = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    claim_of(store, pid=undead.pid, started=lock._state_and_start(undead.pid)[1])
    undead.kill()
    os.waitid(os.P_PID, undead.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and still is in the table
    with held(store, "step/_lock", never):
        pass
    undead.communicate()


def test_a_process_that_proc_hides_is_alive() -> None:
    """With /proc mounted hidepid, another user's process is not in it; a signal still finds it."""
    mine = os.geteuid()
    if mine == 0:  # root may signal anybody, and sees all
        os.setresuid(65534, 65534, 0)
    try:
        assert lock._is_hidden(1)
    finally:
        if mine == 0:
            os.setresuid(0, 0, 0)
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    assert not lock._is_hidden(gone.pid)


def test_a_new_process_with_an_old_number_is_not_the_old_one(store_uri: str) -> None:
    store = Store(store_uri)
    claim_of(store, started="1")  # our own number, from another start
    with held(store, "step/_lock", never):
        pass


def test_another_machine_is_waited_for_while_it_lives(store_uri: str) -> None:
    store, told = Store(store_uri), threading.Event()
    elsewhere = claim_of(store, realm="another boot", host="far", pid=1)
    said = []

    def waiting(holder: str) -> None:
        said.append(holder)
        told.set()

    def drive() -> None:
        with held(store, "step/_lock", waiting):
            said.append("in")

    driver = threading.Thread(target=drive)
    driver.start()
    assert told.wait(20)
    assert said == ["process 1 on far"]
    store.delete(elsewhere)
    driver.join()
    assert said == ["process 1 on far", "in"]


def test_another_machine_that_fell_silent_is_not_waited_for(
    store_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(store_uri)
    claim_of(store, realm="another boot", host="far", pid=1)
    monkeypatch.setattr(lock, "LEASE", -1.0)  # any claim is older than that
    with held(store, "step/_lock", never):
        assert len(store.list("step/_lock")) == 1


def test_a_driver_that_slept_too_long_finds_out(store_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(store_uri)
    mine = Lock(store, "step/_lock")
    mine.acquire(never)
    monkeypatch.setattr(lock, "LEASE", -1.0)
    mine.check()  # slept, but nobody came
    with held(store, "step/_lock", never), pytest.raises(Halt, match="another took the step over"):
        mine.check()
    mine.release()


def test_the_heart_beats(store_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.01)
    beaten = threading.Event()
    beats = 0

    class Watched(Store):
        def touch(self, name: str) -> None:
            nonlocal beats
            super().touch(name)
            beats += 1
            if beats == 5:
                beaten.set()

    with held(Watched(store_uri), "step/_lock", never):
        assert beaten.wait(20)


def test_the_heart_goes_on_after_an_outage_but_not_after_a_loss(
    store_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store out of reach for longer than the lease: if nobody came meanwhile, the lock is still ours."""
    monkeypatch.setattr(lock, "BEAT", 0.01)
    looked, beaten, lost = threading.Semaphore(0), threading.Semaphore(0), threading.Event()

    class Watched(Store):
        def list(self, folder: str) -> list[Entry]:
            if lost.is_set():  # taken over, as by another driver, before the heart looks
                self.delete(mine.name)
            found = super().list(folder)
            looked.release()
            return found

        def touch(self, name: str) -> None:
            super().touch(name)
            beaten.release()

    with held(Watched(store_uri), "step/_lock", never) as mine:
        monkeypatch.setattr(lock, "LEASE", -1.0)  # as if the last beat were longer ago than the lease, always
        for _ in range(5):
            assert beaten.acquire(timeout=20)
        lost.set()
        while looked.acquire(blocking=False):
            pass
        for _ in range(3):
            assert looked.acquire(timeout=20)
        assert Store(store_uri).list("step/_lock") == []
