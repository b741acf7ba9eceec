"""What `make cluster-demo` does: the cluster file's machines on this one, and a job that is submitted to them."""

import os
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xlnu.cluster import file
from xlnu.cluster.fake import HEAD_TYPE, Fake, fake
from xlnu.cluster.timeline import picture, used, waits
from xlnu.cluster.watch import Seen, Watch, drivers
from xlnu.columns import columns
from xlnu.config import section, setting
from xlnu.errors import Halt, UserError
from xlnu.run import FolderConfig, Run, print_out
from xlnu.spread import connect
from xlnu.store import Store

MARK = ".demo"  # of a folder that the next demo may delete
LEFT = 120.0  # seconds beyond the idle time, after which a machine that is still up will not go


def _command(job: str) -> None:
    if not shlex.split(job):  # which raises ValueError for a quote that is not closed
        raise ValueError("must name a job, as jobs/sdrrl.py")


@dataclass
class ClusterDemoConfig:
    file: str = setting("cluster/xlnu.yaml", "the cluster file")
    most: int = setting(2, "machines of each type at most: they all are this machine", at_least=1)
    idle: float = setting(15.0, "seconds after which a machine without work is let go", above=0)
    job: str = setting("jobs/sdrrl.py tau=0.85", "the job that is submitted, and its settings", check=_command)
    run: FolderConfig = section(FolderConfig)


def work(config: ClusterDemoConfig, run: Run) -> None:
    # before Ray is imported, which reads them then: nobody else can tell these machines what to do
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    cluster = file.read(config.file)
    file.validate(cluster)
    if run.plan:
        print_out(f"ray job submit --working-dir . -- python {config.job}\non the node types of {config.file}")
        return
    if not run.folder.local:
        raise UserError(f"run.dir: {run.folder.label}: the machines are this one, and so is their store")
    place = Path(run.folder.root, "cluster")
    if place.exists() and not (place / MARK).exists():
        raise UserError(f"run.dir: {place} was not left by a demo, which would begin by deleting it: name another")
    shutil.rmtree(place, ignore_errors=True)  # what is done already would need no machine
    place.mkdir(parents=True)
    (place / MARK).touch()
    with tempfile.TemporaryDirectory(prefix="xlnu-", ignore_cleanup_errors=True) as short:
        run.display.say(f"the head of {config.file}: starting")
        with fake(cluster, Path(short), str(place), config.most, config.idle) as made:
            seen, ended = _watched(made, config, run)
    seen = renamed(seen, {HEAD_TYPE: next(one.name for one in cluster.types if one.head)})
    for folder in (place / "runs").glob("*"):
        seen.steps += [step for one in drivers(Store(str(folder))) for step in one.steps]
    run.put("seen.json", seen.to_json())
    run.put("timeline.png", picture(seen, cluster.types, f"{config.job}: steps, and machines by type"))
    print_out(_table(seen, cluster.types))
    print_out(run.folder.place("timeline.png"))
    if ended:
        raise Halt(f"the job ended with {ended}; its lines are above")


def renamed(seen: Seen, names: dict[str, str]) -> Seen:
    counts = [(at, {names.get(name, name): number for name, number in there.items()}) for at, there in seen.counts]
    return replace(seen, counts=counts)


def _watched(made: Fake, config: ClusterDemoConfig, run: Run) -> tuple[Seen, int]:
    os.environ |= {name: made.environment[name] for name in (file.FILE, file.STORE)} | {"RAY_ADDRESS": made.address}
    connect(run.display)
    import ray

    watch = Watch(run.name, lambda _: None, every=0.5)
    with watch:
        seen = watch.seen
        ended = submit(made, shlex.split(config.job), run)
        run.display.say("the job has ended: machines go when they have been idle long enough")
        until, alone = time.monotonic() + config.idle + LEFT, threading.Event()
        while time.monotonic() < until and not alone.wait(1):
            if sum(seen.counts[-1][1].values() if seen.counts else [0]) == 1:
                alone.set()
    ray.shutdown()
    return seen, ended


def submit(made: Fake, command: Sequence[str], run: Run) -> int:
    """By Ray's own command line, as from anywhere else; its lines go where a job's lines go."""
    began, first = time.monotonic(), 0.0
    ours = [str(Path(sys.executable).with_name("ray")), "job", "submit", "--address", made.dashboard]
    whole = [*ours, "--working-dir", ".", "--", "python", *command]
    run.display.say(f"ray job submit --address {made.dashboard} --working-dir . -- python {shlex.join(command)}")
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment["PYTHONUNBUFFERED"] = "1"  # its lines come when they are made, as on a terminal
    process = subprocess.Popen(whole, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if not first and line.startswith("["):
            first = time.monotonic() - began
        sys.stderr.write(f"    {line}")
    code = process.wait()
    run.display.say(f"submitted and ended in {time.monotonic() - began:.1f} s, {first:.1f} s to its first line")
    return code


def _table(seen: Seen, types: Sequence[file.NodeType]) -> str:
    lines = [["machines", "at most", "seconds", "of them idle"]]
    heads = {one.name for one in types if one.head}
    lines += [
        [one.type, str(one.most), f"{one.seconds:.0f}", "" if one.type in heads else f"{one.idle:.0f}"]
        for one in used(seen, types)
    ]
    lines += [["", "", "", ""], ["from a step's begin to its first rows", "", "seconds", ""]]
    lines += [[role, "", f"{seconds:.1f}", ""] for role, seconds in waits(seen).items()]
    return columns(lines, 1)
