"""Kill the driver at random and look for what is lost; start several at once and look for what is done twice."""

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.waiting import until
from xlnu import manifest
from xlnu.steps import Result
from xlnu.store import Store

JOB = Path(__file__).parents[1] / "requests_job.py"
KILLS = 20


def start(folder: Path, store: str, size: int = 0) -> subprocess.Popen[str]:
    """Many small parts, so that there is something to kill: about a second of work on either kind of store."""
    size = size or (100 if store.startswith("s3") else 5)
    command = [sys.executable, str(JOB), f"run.store={store}", f"rows_per_part={size}"]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def finished(folder: Path, store: str) -> tuple[float, str]:
    """Seconds and what was said by a run that is left in peace."""
    began = time.monotonic()
    child = start(folder, store)
    said = child.communicate(timeout=300)[1]
    assert child.returncode == 0, said
    return time.monotonic() - began, said


def content(uri: str) -> dict[tuple[str, str], Any]:
    """All rows and manifests of a store, but for what a manifest says of time and of how rows were cut."""
    store, found = Store(uri), dict[tuple[str, str], Any]()
    for address in {entry.name.partition("/")[0] for entry in store.list("")}:
        made = manifest.read(store, address)
        assert made is not None, f"{address} is not finished"
        found[address, "manifest"] = {**vars(made), "seconds": None, "finished": None, "files": None}
        found[address, "rows"] = Result(store, made, skipped=True).table().to_pylist()
        # a claim may stay: of a driver killed between its manifest and its release; nobody locks a finished step
        assert manifest.leftovers(store, address) == []
    return found


def test_twenty_kills_at_random_moments_lose_nothing(store_uri: str, tmp_path: Path) -> None:
    undisturbed = str(tmp_path / "undisturbed")
    finished(tmp_path, undisturbed)
    expected = content(undisturbed)
    whole, _ = finished(tmp_path, store_uri.replace("store", "timed").replace("prefix", "timed"))
    kills, stores, seed = 0, 0, random.randrange(2**32)
    chance = random.Random(seed)
    while kills < KILLS:
        uri = store_uri.replace("store", f"store{stores}").replace("prefix", f"prefix{stores}")
        stores += 1
        assert stores < 40, "too few of the kills came before the end"
        while True:  # killed and started again until one run comes to its end
            child = start(tmp_path, uri)
            try:
                child.communicate(timeout=chance.uniform(0.0, whole))
                break
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                child.communicate()
                kills += 1
        assert child.returncode == 0
        assert content(uri) == expected, f"seed {seed}"


def test_drivers_on_one_store_do_not_collide(store_uri: str, tmp_path: Path) -> None:
    undisturbed = str(tmp_path / "undisturbed")
    finished(tmp_path, undisturbed)
    drivers = [start(tmp_path, store_uri) for _ in range(3)]
    said = [driver.communicate(timeout=300)[1] for driver in drivers]
    assert [driver.returncode for driver in drivers] == [0, 0, 0], said
    for step in ("instructions", "requests"):
        lines = [line for text in said for line in text.splitlines() if f"] {step}: done" in line]
        assert len(lines) == 3
        assert len([line for line in lines if f"] {step}: done, " in line]) == 1, "one did it, the others found it"
    assert content(store_uri) == content(undisturbed)


def test_a_driver_takes_over_from_one_that_is_killed_while_it_waits(store_uri: str, tmp_path: Path) -> None:
    store, finds_it, written = Store(store_uri), "being made by another run", re.compile(r"requests.*\.parquet")
    first = start(tmp_path, store_uri, size=20 if store_uri.startswith("s3") else 2)
    try:
        until(lambda: first.poll() is not None or [e for e in store.list("") if written.match(e.name)], every=0.05)
        assert first.poll() is None
        first.send_signal(signal.SIGSTOP)  # it holds the lock and does nothing
        second = start(tmp_path, store_uri)
        assert second.stderr is not None
        line = next(line for line in second.stderr if finds_it in line)
        assert f"process {first.pid} on" in line
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate()
    rest = second.communicate(timeout=300)[1]
    assert second.returncode == 0
    assert "going on from" in rest
    made = next(e.name for e in store.list("") if e.name.startswith("requests") and e.name.endswith(manifest.NAME))
    found = manifest.read(store, made.partition("/")[0])
    assert found is not None
    assert (found.rows_in, found.rows_out) == (2448, 2412)
