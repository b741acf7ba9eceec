"""Kill training's workers and its driver at random moments: it must end with the weights of a run undisturbed.

CI kills one or the other; XLNU_KILLS=10 is the full measure.
"""

import contextlib
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
from xlnu.tiny.build import Built

pytestmark = pytest.mark.timeout(2400)

TOP = Path(__file__).parents[2]
KILLS = int(os.environ.get("XLNU_KILLS", "1"))


def start(store: Path, cache: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.train.training_job", str(store), str(cache)]
    return subprocess.Popen(
        command, cwd=TOP, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )


def weights(store: Path) -> dict[str, Any]:
    (folder,) = (path.parent for path in store.glob("model-*/manifest.json"))
    return load_file(folder / "model.safetensors")


def cut(store: Path, chance: random.Random) -> None:
    """As if it had been killed while Ray wrote down which checkpoints there are."""
    for path in store.glob("training/*/checkpoint_manager_snapshot.json"):
        os.truncate(path, chance.randrange(path.stat().st_size))


def test_killed_at_random_it_ends_with_the_same_weights(
    tiny: Built,
    cluster: dict[str, str],  # noqa: F811
    tmp_path: Path,
) -> None:
    cache, calm = tiny.data.parent, tmp_path / "calm"
    began = time.monotonic()
    child = start(calm, cache, cluster)
    said = child.communicate(timeout=600)[1]
    whole = time.monotonic() - began
    assert child.returncode == 0, said
    expected = weights(calm)
    seed = random.randrange(2**32)
    chance, workers, resumed = random.Random(seed), 0, 0
    first = chance.randrange(2)
    for kill in range(KILLS):
        store = tmp_path / f"store{kill}"
        child = start(store, cache, cluster)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.communicate(timeout=chance.uniform(0.2, 0.95) * whole)
        saved = len(list(store.glob("training/*/step-*/state-*"))) > 1  # the last may be on its way
        if (first + kill) % 2 == 0 and kill_one("ray::RayTrainWorker", chance, cluster):
            workers += 1
        else:
            child.send_signal(signal.SIGKILL)
            child.communicate()
            cut(store, chance)
            child = start(store, cache, cluster)
        said = child.communicate(timeout=900)[1]
        assert child.returncode == 0, f"seed {seed}, kill {kill}: {said}"
        assert not saved or "model: going on from" in said, f"seed {seed}, kill {kill}: all was done again: {said}"
        resumed += saved
        found = weights(store)
        worst = max(float((found[name] - expected[name]).abs().max()) for name in expected)
        assert worst <= 1e-6, f"seed {seed}, kill {kill}: {worst}"
    sys.stderr.write(f"{KILLS} kills, {workers} of a worker that trained, {resumed} gone on from; seed {seed}\n")
