"""The head goes, and the cluster with it: what was finished is in the store; another cluster goes on from there."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.faults import named
from tests.cluster.clusters import TOP, machines
from xlnu.cluster.fake import Fake
from xlnu.tiny.build import Built

pytestmark = pytest.mark.timeout(900)

FEW = ["tiny.size=xs", "languages=[qaa_Latn]", "instructions.at_most=20", "english.rows_per_part=5", "samples=0"]


def start(made: Fake, tiny: Built) -> "subprocess.Popen[str]":
    config = ["--config", str(TOP / "configs" / "tiny" / "transfer.yaml"), f"tiny.cache={tiny.data.parent}"]
    command = [sys.executable, str(TOP / "jobs" / "transfer.py"), *config, *FEW]
    environment = {**made.environment, "RAY_ADDRESS": made.address}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def test_another_cluster_goes_on_where_the_lost_one_was(tiny: Built, tmp_path: Path) -> None:
    with machines(tmp_path, most=1) as made:
        child = start(made, tiny)
        assert child.stderr is not None
        said = next(line for line in child.stderr if "english: done" in line)
        (head,) = named(made, b"gcs_server")
        os.kill(head, signal.SIGKILL)
        rest = child.stderr.read()
        assert child.wait(300) == 1, said + rest
        assert "the cluster is gone; what is finished is kept: on another, the same command goes on" in rest
        assert "Traceback" not in rest
    with machines(tmp_path, most=1) as made:
        child = start(made, tiny)
        rest = child.communicate(timeout=600)[1]
        assert child.returncode == 0, rest
        assert "english: done before" in rest
    report = json.loads((tmp_path / "runs/transfer/report.json").read_text())
    assert {one["type"] for one in report["machines"]} >= {"generator", "translator"}, "of both clusters"
