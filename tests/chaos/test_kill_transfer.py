"""Kill the driver and the actors of a transfer set at random moments, and look for what is lost or done twice.

CI kills a few times; XLNU_KILLS=20 is the full measure.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from xlnu import manifest
from xlnu.steps import Result
from xlnu.store import Store
from xlnu.tiny.build import Built

pytestmark = pytest.mark.timeout(1800)

TOP = Path(__file__).parents[2]
KILLS = int(os.environ.get("XLNU_KILLS", "5"))
FEW = [
    "instructions.at_most=90", "languages=[qaa_Latn, qag_Armn]", "transfer.parallel.pairs=20", "samples=2",
    "english.rows_per_part=12", "translator.sentences_per_part=12", "quality.rows_per_part=12",
]  # fmt: skip


@pytest.fixture
def cluster() -> Iterator[dict[str, str]]:
    """A Ray that outlives the drivers, as a cluster does; in a folder of its own, for sockets need short names."""
    ray = str(Path(sys.executable).with_name("ray"))
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
        command = [ray, "start", "--head", "--port=0", "--include-dashboard=false", "--num-cpus=3", "--block"]
        head = subprocess.Popen(
            [*command, f"--temp-dir={folder}"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            start_new_session=True,
        )  # fmt: skip
        assert head.stdout is not None
        line = next(line for line in head.stdout if "--address=" in line)
        address = re.search(r"[\d.]+:\d+", line)
        assert address is not None
        yield {**environment, "RAY_ADDRESS": address[0]}
        os.killpg(head.pid, signal.SIGKILL)
        head.communicate()


def start(store: Path, cache: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    settings = [f"run.store={store}", f"run.dir={store}-run", f"tiny.cache={cache}", *FEW]
    command = [sys.executable, str(TOP / "jobs" / "demo.py"), *settings]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def content(folder: Path) -> dict[str, Any]:
    store, found = Store(str(folder)), dict[str, Any]()
    for address in {entry.name.partition("/")[0] for entry in store.list("")}:
        made = manifest.read(store, address)
        assert made is not None, f"{address} is not finished"
        result = Result(store, made, skipped=True)
        rows = result.table().to_pylist() if result.paths() else []
        found[address] = (made.rows_in, made.rows_out, made.rejected, sorted(json.dumps(row) for row in rows))
        assert len({row["id"] for row in rows}) == len(rows)
    return found


def parts(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("0*.parquet")}


def kill_an_actor(chance: random.Random) -> bool:
    """One of those that do the work now; they are called by what they do."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"ray::MapWorker" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    if not found:
        return False
    os.kill(chance.choice(found), signal.SIGKILL)
    return True


def test_killed_at_random_it_ends_as_if_undisturbed(able: Built, cluster: dict[str, str], tmp_path: Path) -> None:
    cache, store = able.data.parent, tmp_path / "store"
    began = time.monotonic()
    child = start(tmp_path / "undisturbed", cache, cluster)
    said = child.communicate(timeout=600)[1]
    whole = time.monotonic() - began
    assert child.returncode == 0, said
    expected = content(tmp_path / "undisturbed")
    seed = random.randrange(2**32)
    chance, kills, actors, redone = random.Random(seed), 0, 0, 0
    while True:
        child = start(store, cache, cluster)
        by_driver = chance.random() < 0.6 and kills < KILLS
        try:
            said = child.communicate(timeout=chance.uniform(0.05, 0.6) * whole if kills < KILLS else 900)[1]
        except subprocess.TimeoutExpired:
            kills += 1
            if by_driver:
                child.send_signal(signal.SIGKILL)
                child.communicate()
                there = parts(store)
                child = start(store, cache, cluster)
            else:
                there = parts(store)
                actors += kill_an_actor(chance)
            said = child.communicate(timeout=900)[1]
            now = parts(store)
            redone += sum(now[path] != written for path, written in there.items())
        assert child.returncode == 0, f"seed {seed}: {said}"
        assert content(store) == expected, f"seed {seed}"
        if kills >= KILLS:
            break
        store = tmp_path / f"store{kills}"
    assert redone == 0, f"seed {seed}: {redone} parts that were there were made again"
    sys.stderr.write(
        f"{kills} kills, {actors} of them of an actor at work; seed {seed}; undisturbed {whole:.0f} s\n"
    )
