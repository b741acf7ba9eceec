"""The machines of a cluster file on this one: Ray's own autoscaler (its second version) starts and stops node
processes that say they have the cores, GPUs and roles of the file's node types. What a job asks for, what comes up
for it and what goes again is as it would be in a cloud, but for how long a machine takes to start.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from xlnu.cluster.file import FILE, STORE, Cluster
from xlnu.errors import Halt
from xlnu.machine import free_port

HEAD_TYPE = "ray.head.default"  # Ray's fake provider knows the head by this name
HEAD_ID = "f" * 51 + "00000"
PROVIDER = "xlnu.cluster.fake_provider.Machines"
COMMANDS = [f"{of}_{what}" for of in ("head", "worker") for what in ("setup_commands", "start_ray_commands")]
COMMANDS += ["setup_commands", "initialization_commands"]


@dataclass(frozen=True)
class Fake:
    """A cluster that is up: where drivers and `ray job submit` find it, and the environment that lets them in."""

    address: str
    dashboard: str
    file: Path  # what its autoscaler reads
    folder: Path
    environment: dict[str, str]
    head: "subprocess.Popen[bytes]"

    def processes(self) -> list[int]:
        """Of the whole cluster: each is told of the folder, or works in a place below it."""
        found = []
        for one in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if one.name.isdigit() and str(self.folder).encode() in (one / "cmdline").read_bytes():
                    found.append(int(one.name))
        return [pid for pid in found if pid != os.getpid()]


def content(cluster: Cluster, address: str, most: int, idle: float) -> dict[str, Any]:
    """The cluster file with node types as they are, no more than `most` machines of each, and no cloud."""
    types: dict[str, Any] = {
        HEAD_TYPE if one.head else one.name: {
            "resources": {name: int(value) for name, value in one.resources.items()},
            "node_config": {},
            "min_workers": min(most, one.least),
            "max_workers": 0 if one.head else min(most, one.most),
        }
        for one in cluster.types
    }
    provider: dict[str, Any] = {
        "type": "external",
        "module": PROVIDER,
        "gcs_address": address,
        "launch_multiple": True,
        "disable_node_updaters": True,  # else it would install Ray on them by ssh, fail, and end them
    }
    return {
        "cluster_name": "fake",
        "max_workers": cluster.most,
        "upscaling_speed": cluster.content.get("upscaling_speed", 1.0),
        "idle_timeout_minutes": idle / 60,
        "provider": provider,
        "available_node_types": types,
        "head_node_type": HEAD_TYPE,
        "auth": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        **{name: [] for name in COMMANDS},
    }


@contextlib.contextmanager
def fake(cluster: Cluster, folder: Path, store: str, most: int = 2, idle: float = 10.0) -> Iterator[Fake]:
    """A cluster for as long as this is open. `folder`: short and of its own, for it holds sockets."""
    from ray.util import get_node_ip_address

    # that of this machine, which the provider gives to the nodes that it starts
    ip: str = get_node_ip_address()  # type: ignore[no-untyped-call]
    port, dashboard, agent = free_port(), free_port(), free_port()
    file = folder / "cluster.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    given = content(cluster, f"{ip}:{port}", most, idle)
    file.write_text(yaml.safe_dump(given))
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",  # a job's `python` is this one
        "PYTHONPATH": str(Path(__file__).parents[2]),  # of the autoscaler, which imports the provider
        "RAY_FAKE_CLUSTER": "1",
        "RAY_enable_autoscaler_v2": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        FILE: str(file),
        STORE: store,
    }
    environment.pop("RAY_ADDRESS", None)
    resources = dict(given["available_node_types"][HEAD_TYPE]["resources"])
    command = [
        str(Path(sys.executable).with_name("ray")), "start", "--head", "--block",
        f"--node-ip-address={ip}", f"--port={port}", f"--dashboard-port={dashboard}", f"--temp-dir={folder}/ray",
        f"--dashboard-agent-listen-port={agent}",
        f"--num-cpus={resources.pop('CPU')}", "--num-gpus=0", f"--resources={json.dumps(resources)}",
        f"--autoscaling-config={file}", "--object-store-memory=300000000",
    ]  # fmt: skip
    of_head = {"RAY_CLOUD_INSTANCE_ID": HEAD_ID, "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID}
    of_head |= {"RAY_NODE_TYPE_NAME": HEAD_TYPE}
    with (folder / "head.log").open("wb") as log:
        head = subprocess.Popen(
            command, env=environment | of_head, stdout=log, stderr=log, start_new_session=True, cwd=folder
        )
    made = Fake(f"{ip}:{port}", f"http://127.0.0.1:{dashboard}", file, folder, environment, head)
    try:
        for ready in (dashboard, agent):  # a job is refused while the agent is not there
            _wait(made, ready)
        yield made
    finally:
        stop(made)


def _wait(made: Fake, port: int, seconds: float = 90.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and made.head.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            made.head.wait(0.3)
    said = (made.folder / "head.log").read_text(errors="replace").strip().splitlines()
    raise Halt(f"the head did not start: {' '.join(said[-3:])}")


def stop(made: Fake) -> None:
    """All of it, whatever state it is in."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        until, there = time.monotonic() + 10, made.processes()
        for pid in there:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        for pid in there:
            with contextlib.suppress(ProcessLookupError):
                gone = os.pidfd_open(pid)  # readable once it has ended
                select.select([gone], [], [], max(0.0, until - time.monotonic()))
                os.close(gone)
    made.head.wait()
