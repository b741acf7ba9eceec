"""Kill the driver and the actors of a transfer set at random moments, and look for what is lost or done twice.

CI kills once; XLNU_KILLS=20 is the full measure.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.killing import cluster, kill_one  # noqa: F401
from xlnu import manifest
from xlnu.steps import Result
from xlnu.store import Store
from xlnu.tiny.build import Built

pytestmark = pytest.mark.timeout(1800)

TOP = Path(__file__).parents[2]
TINY = TOP / "configs" / "tiny" / "transfer.yaml"
KILLS = int(os.environ.get("XLNU_KILLS", "1"))
FEW = [
    "instructions.at_most=90", "languages=[qaa_Latn, qag_Armn]", "transfer.parallel.pairs=20", "samples=2",
    "english.rows_per_part=12", "translator.sentences_per_part=12", "quality.rows_per_part=12",
]  # fmt: skip


def start(store: Path, cache: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    settings = [f"run.store={store}", f"run.dir={store}-run", f"tiny.cache={cache}", *FEW]
    command = [sys.executable, str(TOP / "jobs" / "transfer.py"), "--config", str(TINY), *settings]
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


def test_killed_at_random_it_ends_as_if_undisturbed(
    able: Built,
    cluster: dict[str, str],  # noqa: F811
    tmp_path: Path,
) -> None:
    cache, calm = able.data.parent, tmp_path / "calm"
    began = time.monotonic()
    child = start(calm, cache, cluster)
    said = child.communicate(timeout=600)[1]
    whole = time.monotonic() - began
    assert child.returncode == 0, said
    expected = content(calm)
    seed = random.randrange(2**32)
    chance, actors, redone = random.Random(seed), 0, 0
    for kill in range(KILLS):
        store = tmp_path / f"store{kill}"
        child = start(store, cache, cluster)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.communicate(timeout=chance.uniform(0.05, 0.95) * whole)
        there = parts(store)
        if kill % 2 and kill_one("ray::MapWorker", chance, cluster):
            actors += 1
        else:
            child.send_signal(signal.SIGKILL)
            child.communicate()
            child = start(store, cache, cluster)
        said = child.communicate(timeout=900)[1]
        assert child.returncode == 0, f"seed {seed}, kill {kill}: {said}"
        assert content(store) == expected, f"seed {seed}, kill {kill}"
        now = parts(store)
        redone += sum(now[path] != written for path, written in there.items())
    sys.stderr.write(f"{KILLS} kills, {actors} of an actor at work, {redone} parts made again; seed {seed}\n")
    assert redone == 0, f"seed {seed}: parts that were there were made again"
