"""Jobs on the shipped cluster file's node types, under Ray's own autoscaler."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.clusters import RAY, TOP, machines, outside, submit
from tests.mtllm.worlds import ONE_TASK
from xlnu.cluster.fake import HEAD_TYPE, Fake
from xlnu.cluster.watch import drivers
from xlnu.store import Store
from xlnu.tiny.build import Built

pytestmark = pytest.mark.timeout(600)

# For this process alone: no other machine sees what it mounts.
PRIVATE = """
mount -t tmpfs tmpfs "$0" || exit 77
cp -r "$1" "$0/tiny" && shift && exec "$@"
"""
SHORT = [
    *ONE_TASK, "modes=[stacked,translate_test]", "translator.max_tokens=20",
    *(f"{stage}.{setting}" for stage in ("align", "teacher", "distil") for setting in ("batch=16", "micro=16")),
    "align.epochs=1", "teacher.least_steps=3", "distil.least_steps=3",
]  # fmt: skip
FEW = ["tiny.size=xs", "languages=[qaa_Latn,qab_Cyrl]", "instructions.at_most=30", "english.rows_per_part=10"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def up(place: Path) -> Iterator[Fake]:
    with machines(place) as made:
        yield made


def job(tiny: Built, *settings: str) -> list[str]:
    config = ["--config", "configs/tiny/transfer.yaml", f"tiny.cache={tiny.data.parent}"]
    return ["jobs/transfer.py", *config, *FEW, *settings]


def report(place: Path, name: str = "transfer") -> Any:
    return json.loads((place / "runs" / name / "report.json").read_text())


def test_a_mistake_is_one_line_and_no_machine_comes_for_it(up: Fake, place: Path, tiny: Built) -> None:
    made = submit(up, *job(tiny, "tau=1.5"))
    assert made.end() == 1, "Ray's own code for whatever a job ended with"
    assert "transfer: transfer.tau: got 1.5 (command line); allowed: a number from 0 to 1" in made.said
    assert "exit code 2" in made.said
    assert "Traceback" not in made.said
    made = submit(up, *job(tiny, "translator.pool.cpus=1000"))
    made.end()
    asked = "an actor with 1000 cores fits on no machine with the role translator here (2 x translator: 4 cores"
    assert f"transfer: translator.pool: {asked}" in made.said
    assert not (place / "store").exists() or not list((place / "store").glob("english-*"))


def test_stopped_and_submitted_again_it_goes_on_and_machines_go(up: Fake, place: Path, tiny: Built) -> None:
    first = submit(up, *job(tiny))
    first.until("english: done")
    first.until("pieces: done")
    stop = [RAY, "job", "stop", "--address", up.dashboard, first.id]
    done = subprocess.run(stop, env=outside(), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert first.end() == 0, "to Ray, what was stopped did not fail"
    assert "transfer: interrupted; what is finished is kept: the same command goes on from there" in first.said

    second = submit(up, *job(tiny))
    assert second.end() == 0, second.said
    assert "english: done before" in second.said
    assert "Traceback" not in second.said
    waiting = "translated: waits for machines with the role translator, which are asked for"
    assert waiting in first.said + second.said
    assert "infeasible" not in second.said, "a role whose machines are not up yet is no fault"
    assert second.said.count("every machine must see the same one") <= 1
    steps = {step["name"]: step for step in report(place)["steps"]}
    assert steps["transfer"]["rows_out"] > 0
    assert steps["english"]["skipped"]
    seen = drivers(Store(str(place / "runs/transfer")))
    assert len(seen) == 2, "one of each driver"
    assert seen[0].of == seen[1].of, "they are tries of the same"
    used = {one["type"]: one["hours"] for one in report(place)["machines"]}
    assert used[HEAD_TYPE] * 3600 == pytest.approx(sum(one.ended - one.counts[0][0] for one in seen), abs=10)
    # a slow stop leaves the first one the time to translate all of it
    assert {"generator", "translator", "scorer", "reader"} <= {role for driver in seen for role in driver.most()}
    assert "generator" not in seen[-1].counts[-1][1], "it had been idle for long enough"
    assert all("trainer" not in driver.most() for driver in seen)
    assert any(number and end > begin for driver in seen for begin, end, number in driver.spans("translator"))


@pytest.mark.parametrize("name", ["transfer", "mtllm"])
def test_models_that_only_the_driver_has_come_to_the_machines(
    name: str, up: Fake, place: Path, tiny: Built, tmp_path: Path
) -> None:
    """As in a cloud, where the tiny world is made on the head, and each machine has its own copy of the hub's."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare")
    own = tmp_path / "own"
    own.mkdir()
    command = [str(TOP / "jobs" / f"{name}.py"), "--config", str(TOP / "configs" / "tiny" / f"{name}.yaml")]
    places = [f"tiny.cache={own}/tiny", f"run.store={tmp_path}/store", f"run.dir={tmp_path}/run"]
    few = ["instructions.at_most=6"] if name == "transfer" else SHORT
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", PRIVATE, str(own), str(tiny.data.parent),
         sys.executable, *command, "tiny.size=xs", "languages=[qaa_Latn]", *few, *places],
        env={**up.environment, "RAY_ADDRESS": up.address}, capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert len(list(place.glob("checkpoints/*.json"))) >= 2
    last = "transfer" if name == "transfer" else "said_topic_stacked"
    (made,) = (tmp_path / "store").glob(f"{last}-*/manifest.json")
    assert json.loads(made.read_text())["rows_out"] > 0


def test_what_is_uploaded_is_small(up: Fake) -> None:
    code = list(up.folder.glob("ray/session_latest/runtime_resources/working_dir_files/_ray_pkg_*/"))
    assert code
    names = {path.name for path in code[0].iterdir()}
    assert {"xlnu", "jobs", "configs", "cluster", "pyproject.toml"} <= names
    assert not names & {".git", ".venv", "tests", "runs", ".ci", ".hypothesis", ".mypy_cache"}
    assert sum(path.stat().st_size for path in code[0].rglob("*") if path.is_file()) < 3_000_000


def test_without_the_token_nobody_is_served(up: Fake) -> None:
    environment = {name: value for name, value in outside().items() if "AUTH" not in name}
    command = [RAY, "job", "list", "--address", up.dashboard]
    done = subprocess.run(
        command, env=environment | {"RAY_AUTH_MODE": "disabled"}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "401" in done.stdout + done.stderr or "nauthorized" in done.stdout + done.stderr
