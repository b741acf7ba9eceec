"""Work spread over a Ray cluster: the parts of steps, each made whole by one call of a stage in some actor.

Ray Data carries the numbers of parts, not their rows. An actor reads the rows of a part itself, and writes the part
itself; so the driver's memory does not grow with the rows, the death of an actor costs the part under way and no
other, and how rows are cut into blocks or batches changes nothing. Measured on two cores: 1.3 s until an actor that
imports nothing works, 7 ms a part.

One execution holds one kind of actor: a pool cannot shrink to nothing inside an execution, and stages that hold
every CPU while another waits for one hang without a word.
"""

import contextlib
import dataclasses
import logging
import os
import re
import secrets
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pyarrow as pa

from xlnu import machine
from xlnu.cluster import file
from xlnu.cluster.pools import ONE_CORE, Placed, PoolConfig, asks, place
from xlnu.cluster.roles import Role, everything
from xlnu.errors import Halt, UserError, first_line
from xlnu.progress import Display, Task
from xlnu.steps import Part, Work, Writer

# parts of one execution: Ray Data keeps 4 KB of each until its end, and actors begin anew with the next
WAVE = 20_000
# of an actor, and of a task; Ray's own numbers are without end, and so is then a model that fits in no memory
LIVES = 10
# Of Ray. Once a part is done, Ray Data itself asks the autoscaler for machines: for twice the cores and GPUs that
# there are, and for no role. So machines of other roles are kept, and dear ones started, that have nothing to do.
# It asks only where more than this share is in use; actors, which ask for their role, need nobody to ask for them.
SETTINGS = {"RAY_task_oom_retries": str(LIVES)} | {
    f"RAY_DATA_DEFAULT_CLUSTER_SCALING_UP_{of}_UTIL_THRESHOLD": "1e9"
    for of in ("CPU", "GPU", "MEMORY", "OBJECT_STORE_MEMORY")
}


class Stage(Protocol):
    """Opened once in an actor, where it loads its model; then called for one part after another."""

    def __call__(self, step: str, part: Part, /) -> tuple[pa.Table | dict[str, pa.Table], int]:
        """The rows of a part of a step, and the tokens that were made for them."""
        ...


def connect(display: Display) -> None:
    """To the cluster of RAY_ADDRESS (as `ray job submit` sets it), else to one of this process's own."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)  # read when Ray, and Ray Data, are imported
    if not os.environ.get("RAY_ADDRESS"):
        on_its_own()
    import ray

    if ray.is_initialized():
        return
    ours = signal.getsignal(signal.SIGTERM)
    _init(display)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, ours)  # Ray puts its own in its place, which ends the process as if by a bug


def _init(display: Display) -> None:
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = os.environ.get("RAY_ADDRESS")
    if address:
        display.say(f"ray: {address}")
        try:
            if re.fullmatch(r"[\w.-]+:\d+", address):  # Ray itself tries for many minutes
                socket.create_connection((address.partition(":")[0], int(address.partition(":")[2])), 20).close()
            quietly()
            _aside(display)
            with _hushed():
                ray.init(log_to_driver=False, logging_level=logging.ERROR)
        except (ValueError, OSError, RuntimeError) as error:  # ConnectionError and Ray's own among them
            raise UserError(f"RAY_ADDRESS: {address}: no cluster answers there: {first_line(error)}") from None
        return
    quietly()
    for last in (False, True):
        try:
            ray.init(
                address="local",
                num_cpus=machine.cores() + 1,  # one for Ray's own tasks while actors hold the others
                resources=everything(),
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
            return
        except Exception as error:  # of no kind of its own; Ray gives itself 30 s, and a machine may be busy
            if "timed out during startup" not in str(error):
                raise
            ray.shutdown()
            if last:
                raise Halt("Ray did not start in 30 s, twice: this machine is too busy; try again later") from None


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Nothing on stderr: Ray's C++ says there that it was told to be quiet, and of a cluster that is not there or
    has another token, the same line each second. What is wrong comes as an exception, too.
    """
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _aside(display: Display) -> None:
    """What Ray has to say of a cluster it prints to stdout, which is for what a job was asked for. And of a role
    whose machines are not up yet it says that nothing can have it: where an autoscaler is, `place` knows better.
    """
    import ray._private.worker

    def tell(data: Any, ignore_prefix: bool) -> None:  # noqa: ARG001
        for line in data["lines"]:
            if "infeasible resource requests" not in line or file.of_environment() is None:
                display.say(f"ray: {line.strip()}")

    ray._private.worker.print_to_stdstream = tell


def on_its_own() -> None:
    """The environment of a Ray that only this process uses, before it is imported: it reads it then. Ray listens on
    every address of the machine, and does what it is told by whoever has its token: here one that nobody else can
    have. Left to itself, Ray would write one into the user's home, which changes how their other clusters behave.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if "RAY_AUTH_MODE" not in os.environ and "ray" not in sys.modules:
        os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN"] = "token", secrets.token_hex(32)


def quietly() -> None:
    """After Ray is imported: what it says of its level, it then says to the logs of others."""
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # actors may be restarted here; each says so at length


def spread(
    works: dict[str, Work],
    rows: dict[str, int],
    rows_per_part: int,
    stage: Callable[[Placed], Stage],
    pool: PoolConfig,
    folder: str = "",
) -> dict[str, int]:
    """Make the parts that are missing of all these steps; gives `rows` back.

    `stage` is called in each actor with what the actor holds, and is pickled to get there.
    """
    todo = [(name, part) for name, work in works.items() for part in work.todo(rows[name], rows_per_part, folder)]
    if not todo:
        return rows
    some_work = next(iter(works.values()))
    display, store = some_work.task.display, some_work.write_part.store
    connect(display)
    _quiet()
    import ray
    from ray.data import ActorPoolStrategy
    from ray.exceptions import RayActorError

    placed = place(pool)
    begins(some_work.task, pool.role, placed.resources)
    if store.local and len(ray.nodes()) > 1:  # type: ignore[no-untyped-call]
        display.once(f"{store.label}: a local folder: every machine must see the same one there")
    writers = {name: work.write_part for name, work in works.items()}

    def wave(some: list[tuple[str, Part]]) -> Any:
        items = [{"step": name, "index": part.index, "start": part.start, "stop": part.stop} for name, part in some]
        return ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            _Actor,
            fn_constructor_args=(stage, placed, writers),
            batch_size=1,
            num_cpus=placed.cpus,
            num_gpus=placed.gpus,
            resources=placed.resources,
            compute=ActorPoolStrategy(size=min(placed.actors, len(items))),
            ray_remote_args_fn=_lives,
        )

    try:
        for start in range(0, len(todo), WAVE):
            for one in wave(todo[start : start + WAVE]).iter_rows():
                if one["halt"]:
                    raise (UserError if one["mistake"] else Halt)(one["halt"])
                works[one["step"]].wrote(Part(one["index"], one["start"], one["stop"]), one["tokens"])
    except RayActorError:
        why = "most often for want of memory: take fewer actors, a smaller model or smaller batches"
        raise Halt(f"{todo[0][0]}: an actor died {LIVES} times, {why}; what is finished is kept") from None
    return rows


def begins(task: Task, role: Role, resources: dict[str, float]) -> None:
    """Machines of a role work for a task. Where none is up that has it, this is said, for until one is there is
    nothing else to say.
    """
    import ray

    task.works(role)
    there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    if role in resources and role not in there:
        task.display.say(f"{task.name}: waits for machines with the role {role}, which are asked for")


def call(function: Callable[..., None], *arguments: Any, task: Task) -> None:
    """Call a function in a worker: what it loads is gone from memory afterwards, and the driver stays small."""
    connect(task.display)
    import ray
    from ray.exceptions import NodeDiedError, OutOfMemoryError, WorkerCrashedError

    resources = asks(ONE_CORE.role)
    begins(task, ONE_CORE.role, resources)
    called = ray.remote(_called).options(resources=resources, max_retries=LIVES)
    try:
        halt = ray.get(called.remote(function, arguments))
    except (OutOfMemoryError, WorkerCrashedError, NodeDiedError):
        why = "most often for want of memory: it needs a machine with more of it"
        raise Halt(f"{task.name}: a worker died again and again, {why}; what is finished is kept") from None
    if halt is not None:
        raise halt


def _called(function: Callable[..., None], arguments: tuple[Any, ...]) -> Halt | None:
    try:
        function(*arguments)
    except Halt as halt:
        return halt
    return None


def _lives() -> dict[str, int]:
    return {"max_restarts": LIVES, "max_task_retries": LIVES}


class _Actor:
    """What Ray Data runs. A Halt goes back as a row: as an exception it would be a page of traceback."""

    def __init__(self, stage: Callable[[Placed], Stage], placed: Placed, writers: dict[str, Writer]) -> None:
        self.writers, self.stage, self.halt = writers, None, None
        try:
            self.stage = stage(placed)
        except Halt as halt:
            self.halt = halt

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        name = str(batch["step"][0])
        part = Part(int(batch["index"][0]), int(batch["start"][0]), int(batch["stop"][0]))
        halt, tokens = self.halt, 0
        if self.stage is not None:
            try:
                table, tokens = self.stage(name, part)
                self.writers[name](part, table)
            except Halt as raised:
                halt = raised
        told = {"halt": str(halt) if halt else "", "mistake": isinstance(halt, UserError), "tokens": tokens}
        about = {"step": name, **dataclasses.asdict(part), **told}
        return {key: [value] for key, value in about.items()}


def _quiet() -> None:
    """Progress is ours to show; Ray Data's own lines are for what goes wrong."""
    import ray.util.annotations
    from ray.data import DataContext

    # it asks for restarts by a parameter of their own, which 2.60 does not have
    warnings.filterwarnings("ignore", category=ray.util.annotations.RayDeprecationWarning)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    DataContext.get_current().enable_progress_bars = False
