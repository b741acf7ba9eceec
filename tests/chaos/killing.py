"""A cluster to kill things on, and the killing."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def cluster() -> Iterator[dict[str, str]]:
    """A Ray that outlives the drivers, as a cluster does; in a folder of its own, for sockets need short names."""
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        environment = dict(os.environ)
        # what a killed compiler of extensions leaves behind: who waits for it waits for ever
        environment["TORCH_EXTENSIONS_DIR"] = f"{folder}/extensions"
        lock = Path(folder, "extensions", "deepspeed_shm_comm", "lock")
        lock.parent.mkdir(parents=True)
        lock.touch()
        for _ in range(3):  # Ray gives its start 30 s, which a busy machine may not have
            head, address = _start(folder, environment)
            if address:
                break
        assert address
        yield {**environment, "RAY_ADDRESS": address}
        os.killpg(head.pid, signal.SIGKILL)
        head.communicate()


def _start(folder: str, environment: dict[str, str]) -> "tuple[subprocess.Popen[str], str]":
    ray = str(Path(sys.executable).with_name("ray"))
    command = [ray, "start", "--head", "--port=0", "--include-dashboard=false", "--num-cpus=3", "--block"]
    head = subprocess.Popen(
        [*command, f"--temp-dir={folder}"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert head.stdout is not None
    found = (re.search(r"(?<=--address=')[\d.]+:\d+", line) for line in head.stdout)
    return head, next((address[0] for address in found if address), "")


def kill_one(name: str, chance: random.Random, cluster: dict[str, str]) -> bool:
    """One of the cluster's processes that do the work now: they are called by what they do. Their parent is its
    raylet, which has its folder in its arguments: other clusters on this machine are left alone.
    """
    found, own = [], str(Path(cluster["TORCH_EXTENSIONS_DIR"]).parent).encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if name.encode() in (folder / "cmdline").read_bytes():
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                if own in Path("/proc", parent, "cmdline").read_bytes():
                    found.append(int(folder.name))
    if not found:
        return False
    os.kill(chance.choice(found), signal.SIGKILL)
    return True
