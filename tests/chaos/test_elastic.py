"""Machines that are taken away in the middle of a training, with notice and without, and come back."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.elastic_job import settings
from tests.chaos.faults import kill, kill_machine, named, raylets
from tests.cluster.clusters import RAY, TOP, machines
from tests.train.regressions import plainly
from xlnu.cluster.fake import Fake

pytestmark = pytest.mark.timeout(900)

STEPS = 400


class Training:
    def __init__(self, made: Fake, folder: Path, steps: int) -> None:
        self.folder, self.lines = folder, list[str]()
        self.process = subprocess.Popen(
            [sys.executable, str(TOP / "tests" / "chaos" / "elastic_job.py"), str(folder), str(steps)],
            env={**made.environment, "RAY_ADDRESS": made.address, "PYTHONPATH": str(TOP)},
            stderr=subprocess.PIPE,
            text=True,
        )

    def until(self, pattern: str) -> "re.Match[str]":
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            found = re.search(pattern, line)
            if found:
                return found
        raise AssertionError(f"no line has {pattern}: {''.join(self.lines)}")

    def workers(self) -> list[int]:
        """With how many it started, each time."""
        return [int(line) for line in (self.folder / "workers").read_text().split()]


@contextlib.contextmanager
def no_new_machines(made: Fake) -> Iterator[None]:
    """As when a cloud has none: the autoscaler is held."""
    (scaler,) = named(made, b"autoscaler/v2/monitor.py")
    os.kill(scaler, signal.SIGSTOP)
    yield
    os.kill(scaler, signal.SIGCONT)


def notice(made: Fake) -> int:
    """Of a trainer, as a cloud gives it; its raylet."""
    for pid in raylets(made):
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        known = dict(one.decode().split("=", 1) for one in environment if b"=" in one)
        if known.get("RAY_NODE_TYPE_NAME") == "trainer":
            command = [RAY, "drain-node", "--address", made.address, "--node-id"]
            command += [known["RAY_OVERRIDE_NODE_ID_FOR_TESTING"], "--reason", "DRAIN_NODE_REASON_PREEMPTION"]
            command += ["--reason-message", "taken away", "--deadline-remaining-seconds", "20"]
            subprocess.run(command, env=dict(os.environ), check=True, capture_output=True, timeout=60)
            return pid
    raise AssertionError("no trainer is up")


def test_a_training_goes_on_with_fewer_machines_and_with_more(tmp_path: Path) -> None:
    with machines(tmp_path / "store", idle=60.0) as made:
        struck = tmp_path / "struck"
        struck.mkdir()
        training = Training(made, struck, STEPS)
        training.until(r"student: \d+ of")
        with no_new_machines(made):
            assert kill_machine(made, random.Random(0))
            first = int(training.until(r"going on from step (\d+)")[1])
        training.until(r"going on from step (\d+)")
        going = notice(made)
        saved = int(training.until(r"taken away soon: saved at step (\d+)")[1])
        kill(going)
        again = int(training.until(r"going on from step (\d+)")[1])
        while training.workers()[-1] < 2:  # it may begin with the one that is left
            training.until(r"going on from step (\d+)")
        (struck / "enough").touch()
        best = float(training.until(r"best ([\d.]+)")[1])
        rows, _ = plainly(settings(), STEPS)
        assert best == pytest.approx(min(row["held_out_loss"] for row in rows if "held_out_loss" in row), abs=1e-5)
        assert training.process.wait(60) == 0
        assert first % 5 == 0, "from a look at the held-out loss"
        assert again >= saved, "nothing is lost of what was done before the notice"
        assert 1 in training.workers(), "it did not wait for the machine that was lost"
        assert training.workers()[-1] == 2, "and took it when it was back"
