"""The cluster file: the shipped one is right, whatever is wrong in one is told, and jobs fit on its machines."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.shipped import GONE, SHIPPED, TOP, changed, cluster
from xlnu.cluster import file
from xlnu.cluster.pools import Kind, PoolConfig, of_type, place, pools
from xlnu.cluster.roles import ROLES, SHARE
from xlnu.evaluate.settings import EvaluationConfig
from xlnu.mtllm.settings import MtllmConfig
from xlnu.sdrrl.job import SdrrlConfig
from xlnu.transfer.job import TransferJobConfig

TYPES = "available_node_types"
JOBS = {"sdrrl": SdrrlConfig, "mtllm": MtllmConfig, "transfer": TransferJobConfig, "evaluate": EvaluationConfig}
POOLS = [(job, name, pool) for job, of in JOBS.items() for name, pool in pools(of())]
MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "negative": ({f"{TYPES}.scorer.min_workers": -1}, "scorer.min_workers: -1 is no number from 0 on"),
    "crossed": ({f"{TYPES}.scorer.min_workers": 17}, "scorer: min_workers 17 is more than max_workers 16"),
    "many": ({f"{TYPES}.translator.min_workers": 32, "max_workers": 31}, "max_workers: 31 is less than the 32"),
    "region": ({"provider.region": GONE}, "provider.region: missing"),
    "provider": ({"provider": "aws"}, "provider.type: missing"),
    "no cloud": ({"provider.type": "mars"}, "Ray refuses it: NotImplementedError: Unsupported node provider: mars"),
    "head's GPU": ({f"{TYPES}.head.resources.GPU": 1}, f"{TYPES}.head.resources: the head is up all the time"),
    "head's cores": ({f"{TYPES}.head.resources.CPU": 0}, f"{TYPES}.head.resources: without CPU"),
    "head's role": ({f"{TYPES}.head.resources.head": GONE}, f"{TYPES}.head.resources: must hold `head: 1`"),
    "heads": ({f"{TYPES}.head.max_workers": 2}, f"{TYPES}.head: is the head, of which there is one"),
    "no role": ({f"{TYPES}.scorer.resources.scorer": GONE}, f"{TYPES}.scorer.resources: holds no role"),
    "unknown": ({f"{TYPES}.scorer.min_worker": 1}, f"{TYPES}.scorer.min_worker: no such key"),
    "head_node_type": ({"head_node_type": "boss"}, "head_node_type: 'boss' is none of generator, head, reader"),
    "no types": ({TYPES: []}, f"{TYPES}: must be a map"),
    "no type": ({f"{TYPES}.scorer": 1}, f"{TYPES}.scorer: must be a map"),
    "no resources": ({f"{TYPES}.scorer.resources": ["GPU"]}, f"{TYPES}.scorer.resources: must be a map"),
    "half a core": ({f"{TYPES}.scorer.resources.CPU": 1.5}, f"{TYPES}.scorer.resources.CPU: Ray refuses it: 1.5"),
    "no list": ({"head_start_ray_commands": "ls"}, "head_start_ray_commands: Ray refuses it: 'ls' is not of type"),
    "colour": (
        {"colour": "red"},
        "Ray refuses it: Additional properties are not allowed ('colour' was unexpected)",
    ),
}


def start(folder: Path, path: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOP / "jobs" / "cluster.py"), f"file={path}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def refused(folder: Path, path: str) -> str:
    """What the job says of a file that it does not take."""
    done = start(folder, path)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert line.startswith(f"cluster: {path}: ")
    assert not (folder / "runs" / "cluster" / "raycluster.yaml").exists()
    return line


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_in_one_line(name: str, tmp_path: Path) -> None:
    changes, said = MISTAKES[name]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(changed(changes)))
    line = refused(tmp_path, "mine.yaml")
    assert said in line
    assert ";" not in line  # nothing else is taken for wrong


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        (b"max_workers: [", "not YAML: while parsing"),
        (b"max_workers: \xff", "not UTF-8"),
        (b"", "a cluster file is a map"),
    ],
)
def test_what_is_no_cluster_file_is_named(content: bytes | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "mine.yaml").write_bytes(content)
    assert said in refused(tmp_path, "mine.yaml")


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    wrong = {"provider.region": GONE, f"{TYPES}.scorer.min_workers": -1, f"{TYPES}.head.resources.GPU": 1}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(changed(wrong)))
    line = refused(tmp_path, "mine.yaml")
    assert all(some in line for some in ("provider.region", "scorer.min_workers", "a GPU there"))


def test_the_shipped_file_is_right(capfd: pytest.CaptureFixture[str]) -> None:
    shipped = file.read(str(SHIPPED))
    file.validate(shipped)
    assert capfd.readouterr() == ("", "")  # Ray's check tells of what it fills in
    by_name = {one.name: one for one in shipped.types}
    assert [one.name for one in shipped.types if one.head] == ["head"]
    assert frozenset().union(*(one.roles for one in shipped.types)) == {*ROLES, "head"}
    assert {name for name, one in by_name.items() if one.spot} == {"reader", "generator", "translator", "scorer"}
    assert (by_name["translator"].least, by_name["translator"].most) == (0, 32)
    assert (shipped.idle, shipped.most) == (300, 64)


def test_ray_fills_in_no_image_and_no_firewall_of_its_own() -> None:
    types = yaml.safe_load(SHIPPED.read_text())[TYPES]  # as the launcher reads it: with what is merged in
    assert all({"ImageId", "SecurityGroupIds"} <= set(of["node_config"]) for of in types.values())


def test_a_node_type_has_no_more_machines_than_the_cluster(tmp_path: Path) -> None:
    types = {one.name: one for one in cluster(tmp_path, {"max_workers": 10}).types}
    assert (types["translator"].most, types["reader"].most) == (10, 8)


def kinds() -> list[Kind]:
    return [of_type(one) for one in file.read(str(SHIPPED)).types]


def test_jobs_have_pools_of_every_role_with_a_model() -> None:
    assert {pool.role for _, _, pool in POOLS} == {"generator", "translator", "scorer", "trainer"}
    assert {job for job, _, _ in POOLS} == set(JOBS)


@pytest.mark.parametrize("gpus", [0, 1])
@pytest.mark.parametrize(("job", "name", "pool"), POOLS)
def test_every_pool_fits_on_the_shipped_machines(job: str, name: str, pool: PoolConfig, gpus: int) -> None:
    placed = place(dataclasses.replace(pool, gpus=gpus), kinds())
    (machines,) = (kind for kind in kinds() if pool.role in kind.roles)
    assert placed.resources == {pool.role: SHARE}, (job, name)
    assert placed.actors == machines.most * (machines.gpus if gpus else 1)
    assert placed.cpus == (1 if gpus else machines.cores)
