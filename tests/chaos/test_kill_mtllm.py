"""Kill MT-LLM's driver, its actors and its trainers at random moments: it must end as if nothing had been.

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
from safetensors.torch import load_file

from tests.chaos.killing import cluster, kill_one  # noqa: F401
from tests.mtllm.worlds import CONFIG, ONE_TASK
from xlnu import manifest
from xlnu.steps import Result
from xlnu.store import Store
from xlnu.tiny.build import Built

pytestmark = pytest.mark.timeout(2400)

TOP = Path(__file__).parents[2]
KILLS = int(os.environ.get("XLNU_KILLS", "1"))
FEW = [
    "tiny.size=xs", "languages=[qaa_Latn]", *ONE_TASK, "modes=[stacked]", "align.batch=8", "align.micro=8",
    "align.epochs=3", "align.evaluate_every=4", "teacher.batch=8", "teacher.micro=8", "teacher.least_steps=24",
    "teacher.evaluate_every=4", "distil.batch=8", "distil.micro=8", "distil.least_steps=24",
    "distil.evaluate_every=4",
]  # fmt: skip


def start(store: Path, cache: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    settings = [f"run.store={store}", f"run.dir={store}-run", f"tiny.cache={cache}", *FEW]
    command = [sys.executable, str(TOP / "jobs" / "mtllm.py"), "--config", str(CONFIG), *settings]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def content(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Rows of every step, and weights of every model, by address."""
    store, rows, weights = Store(str(folder)), dict[str, Any](), dict[str, Any]()
    for address in {entry.name.partition("/")[0] for entry in store.list("")} - {"training"}:
        made = manifest.read(store, address)
        assert made is not None, f"{address} is not finished"
        result = Result(store, made, skipped=True)
        if not result.paths():
            for path in sorted(Path(folder, address).rglob("*.safetensors")):
                weights |= {f"{address} {name}": tensor for name, tensor in load_file(path).items()}
        elif not address.startswith(("said", "embeddings")):  # numbers, which may differ in their last bit
            rows[address] = sorted(json.dumps(row) for row in result.table().to_pylist())
    return rows, weights


def test_killed_at_random_it_ends_as_if_undisturbed(
    tiny: Built,
    cluster: dict[str, str],  # noqa: F811
    tmp_path: Path,
) -> None:
    cache, calm = tiny.data.parent, tmp_path / "calm"
    began = time.monotonic()
    child = start(calm, cache, cluster)
    said = child.communicate(timeout=900)[1]
    whole = time.monotonic() - began
    assert child.returncode == 0, said
    rows, weights = content(calm)
    assert len(weights) > 20
    seed = random.randrange(2**32)
    chance, others = random.Random(seed), 0
    for kill in range(KILLS):
        store = tmp_path / f"store{kill}"
        child = start(store, cache, cluster)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.communicate(timeout=chance.uniform(0.05, 0.95) * whole)
        if kill % 3 and kill_one(("ray::MapWorker", "ray::RayTrainWorker")[kill % 3 - 1], chance, cluster):
            others += 1
        else:
            child.send_signal(signal.SIGKILL)
            child.communicate()
            child = start(store, cache, cluster)
        said = child.communicate(timeout=900)[1]
        assert child.returncode == 0, f"seed {seed}, kill {kill}: {said}"
        found = content(store)
        assert found[0] == rows, f"seed {seed}, kill {kill}"
        worst = max(float((found[1][name].float() - one.float()).abs().max()) for name, one in weights.items())
        assert worst <= 1e-6, f"seed {seed}, kill {kill}: {worst}"
    sys.stderr.write(f"{KILLS} kills, {others} of an actor or a trainer; seed {seed}\n")
