"""`python jobs/cluster.py` as a user runs it: a table, two files, their places; and what must not happen."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.cluster.shipped import SHIPPED, TOP

TABLE = """\
node type   instance      spot  machines  has            roles
head        m7i.2xlarge   -     1         CPU 8          head
reader      m7i.4xlarge   spot  0 to 8    CPU 16         reader
generator   g6e.xlarge    spot  0 to 16   CPU 4, GPU 1   generator
translator  g6.xlarge     spot  0 to 32   CPU 4, GPU 1   translator
scorer      g6.xlarge     spot  0 to 16   CPU 4, GPU 1   scorer
trainer     g6e.12xlarge  -     0 to 2    CPU 48, GPU 4  trainer
server      g6.xlarge     -     0 to 4    CPU 4, GPU 1   server
beside the head 64 machines at most; gone after 300 s idle
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a user works: the file is in its folder `cluster`."""
    (tmp_path / "cluster").mkdir()
    shutil.copy(SHIPPED, tmp_path / "cluster")
    return tmp_path


def start(folder: Path, *arguments: str, job: str = "cluster.py") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOP / "jobs" / job), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_it_shows_the_machines_and_leaves_two_manifests(folder: Path) -> None:
    done = start(folder, "entrypoint=python jobs/mtllm.py task=topic", "kube.image=registry/x:1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == TABLE + "runs/cluster/raycluster.yaml\nruns/cluster/rayjob.yaml\n"
    made = {path.name: path.read_text() for path in (folder / "runs" / "cluster").iterdir()}
    assert set(made) == {"config.yaml", "raycluster.yaml", "rayjob.yaml"}
    cluster, job = (yaml.safe_load(made[name]) for name in ("raycluster.yaml", "rayjob.yaml"))
    assert (cluster["kind"], job["kind"]) == ("RayCluster", "RayJob")
    assert job["spec"]["entrypoint"] == "python jobs/mtllm.py task=topic"
    assert made["raycluster.yaml"].count("image: registry/x:1") == 7


def test_it_reads_the_shipped_file_where_none_is_named(tmp_path: Path) -> None:
    done = start(TOP, f"run.dir={tmp_path}/out")
    assert done.stdout.splitlines()[-2:] == [f"{tmp_path}/out/raycluster.yaml", f"{tmp_path}/out/rayjob.yaml"]


def test_a_plan_shows_the_machines_and_writes_nothing(folder: Path) -> None:
    done = start(folder, "--plan")
    assert (done.returncode, done.stdout, done.stderr) == (0, TABLE, "")
    assert [one.name for one in folder.iterdir()] == ["cluster"]


def test_a_plan_finds_what_kubernetes_would_not_take(folder: Path) -> None:
    done = start(folder, "--plan", "kube.memory={gpu: 5Gi}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("cluster: kube.memory: gpu: no such node type in ")
    assert len(done.stderr.splitlines()) == 1


def test_a_file_that_pods_would_not_find_is_refused_and_nothing_written(tmp_path: Path) -> None:
    done = start(tmp_path, f"file={SHIPPED}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"cluster: {SHIPPED}: pods have the folder cluster/")
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.rglob("ray*.yaml"))


def test_a_job_without_a_command_is_refused(folder: Path) -> None:
    done = start(folder, "entrypoint=")
    assert (done.returncode, done.stdout) == (2, "")
    assert "entrypoint: got ''" in done.stderr


@pytest.mark.parametrize(
    ("command", "said"), [("jobs/sdrrl.py 'tau=0.85", "No closing quotation"), (" ", "must name a job")]
)
def test_a_demo_of_what_is_no_command_is_refused(command: str, said: str, folder: Path) -> None:
    done = start(folder, f"job={command}", "--plan", job="cluster_demo.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
