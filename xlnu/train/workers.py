"""Training on Ray Train: workers, their checkpoints, and what the driver is told while they work.

Ray brings the workers up, brings them back when one dies, and keeps their checkpoints under the step's own address:
so the same command goes on where another driver was killed, and no other run can take them for its own.
"""

import contextlib
import dataclasses
import math
import os
import signal
import tempfile
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlnu import machine
from xlnu.cluster.pools import Placed, TrainerPool
from xlnu.config import settings
from xlnu.errors import Halt, first_line
from xlnu.spread import LIVES, begins, connect
from xlnu.steps import Work
from xlnu.train import snapshot, state
from xlnu.train.config import LoopConfig, deepspeed
from xlnu.train.logs import Logs
from xlnu.train.loop import Diverged, Pace, Progress, Running, fit, step_of_nothing
from xlnu.train.recipe import Recipe
from xlnu.train.zero import compile_nothing

FOLDER = "training"  # in the store, beside the steps
RESIZE = 60.0  # seconds between looks whether there are machines for more workers, where fewer work than are wanted


@dataclass(frozen=True)
class Job:
    """All that a worker needs to know."""

    recipe: Recipe
    betas: tuple[float, float]
    weight_decay: float
    deepspeed: dict[str, Any]
    batch: int
    micro: int
    pace: Pace
    told: dict[str, Any]  # the settings, for logs


def job(recipe: Recipe, config: LoopConfig, placed: Placed, key: str = "train") -> Job:
    """`key`: the section that the settings stand in."""
    return Job(
        recipe=recipe,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
        deepspeed=deepspeed(config, placed.actors, gpu=bool(placed.gpus), key=key),
        batch=config.batch,
        micro=config.micro,
        pace=Pace(config.lr, config.warmup, config.decay, config.evaluate_every, config.patience, config.seed, key),
        told=settings(config),
    )


@dataclass(frozen=True)
class Trained:
    """Where the best state lies, and the way to it."""

    folder: str  # in the store
    progress: Progress


def train(work: Work, job: Job, placed: Placed, keep: int, logs: Path | None) -> Trained:
    """Train to the end, from wherever this step stands; `logs`: a folder for TensorBoard."""
    # Ray's controller takes one checkpoint a look, and looks every 2 s: after a training of 10 s it had 6 s to go
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.25")
    connect(work.task.display)
    import ray
    from ray.exceptions import ActorDiedError
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.train.v2.api.exceptions import TrainingFailedError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    store, address = work.write_part.store, work.write_part.address
    # beside the driver: a worker's machine may go, and the board may not go with it
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    board: Any = ray.remote(num_cpus=0)(_Board).options(scheduling_strategy=here).remote()
    resources = {"CPU": placed.cpus} | ({"GPU": placed.gpus} if placed.gpus else {}) | placed.resources
    several: Any = (placed.least, placed.actors) if 0 < placed.least < placed.actors else placed.actors
    scaling = ScalingConfig(  # type: ignore[call-arg]
        num_workers=several,
        use_gpu=bool(placed.gpus),
        resources_per_worker=resources,
        elastic_resize_monitor_interval_s=RESIZE,
    )
    kept = CheckpointConfig(
        num_to_keep=keep, checkpoint_score_attribute="held_out_loss", checkpoint_score_order="min"
    )
    begins(work.task, TrainerPool.role, placed.resources)
    if snapshot.mend(store, f"{FOLDER}/{address}"):
        work.task.display.say(f"{work.name}: Ray's list of checkpoints was cut by a kill, and is made anew")
    trainer = TorchTrainer(
        _worker,
        train_loop_config={"job": job, "placed": placed, "board": board},
        scaling_config=scaling,
        run_config=RunConfig(
            name=address,
            storage_path=f"{store.root}/{FOLDER}",
            storage_filesystem=store.fs,
            failure_config=FailureConfig(max_failures=LIVES),
            checkpoint_config=kept,
        ),
    )
    with _told(work, board, job, logs):
        try:
            result = _fit(trainer)
        except (TrainingFailedError, ActorDiedError, OSError) as error:
            if died(error):
                why = f"most often for want of memory; {_less(job)}"
                raise Halt(f"{work.name}: workers died {LIVES} times, {why}") from None
            store.check(writable=True)  # what is wrong with it, in a line
            refused = refusal(error)
            if refused is None:
                raise  # a fault of ours, and its traceback says where
            where = f"{refused.filename}: " if refused.filename else ""
            again = "what is finished is kept: mend it and run the same command again"
            raise Halt(f"{work.name}: {where}{first_line(refused)}; {again}") from None
    halted: Halt | None = ray.get(board.halted.remote())
    if isinstance(halted, Diverged):
        raise Diverged(f"{work.name}: {halted}; {_last_good(result)}")
    if halted:
        raise halted
    work.lock.check()
    progress: Progress = ray.get(board.ended.remote())
    if not progress.step:  # Ray ends an interrupted run as one that is done
        raise KeyboardInterrupt
    best = min(result.best_checkpoints or [], key=lambda pair: float(pair[1]["held_out_loss"]))
    return Trained(os.path.relpath(best[0].path, store.root), progress)


def died(error: Any) -> bool:
    """Whether the end of a training tells of a worker's death: Ray has a health check fail, and in it, of what."""
    from ray.exceptions import RayActorError

    failures = [getattr(one, "health_check_failure", one) for one in getattr(error, "worker_failures", {}).values()]
    return any(isinstance(one, RayActorError) for one in failures)


def refusal(error: Any) -> OSError | None:
    """What a system would not read or write, of the driver, of Ray's controller, or of a worker, which wrap it in
    errors of their own; some of these are an OSError, too.
    """
    from ray.exceptions import RayError

    if isinstance(error, OSError) and not isinstance(error, RayError):
        return error
    within = [getattr(error, name, None) for name in ("controller_failure", "_base_exc", "cause")]
    within += getattr(error, "worker_failures", {}).values()
    return next((found for one in within if one is not None and (found := refusal(one))), None)


def _less(job: Job) -> str:
    key = job.pace.key
    least = f"take a smaller {key}.micro, {key}.recompute=true or {key}.zero.stage=3"
    return f"{least}; the same command goes on from there"


def _fit(trainer: Any) -> Any:
    """Ray's own handler of an interrupt ends the process as if all were well, and stays for good."""
    ours = signal.getsignal(signal.SIGINT)
    try:
        return trainer.fit()
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, ours)


def _last_good(result: Any) -> str:
    if result.checkpoint is None:
        return "there is no checkpoint yet"
    return f"the last good checkpoint is {result.checkpoint.path}"


class _Board:
    """Where rank 0 writes what the driver reads: each step's numbers, and how it ended."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[str, float]] = {}
        self.halt: Halt | None = None
        self.started: list[int] = []
        self.notices: list[int] = []
        self.progress = Progress()

    def stop(self, halt: Halt) -> None:
        self.halt = halt

    def halted(self) -> Halt | None:
        return self.halt

    def leave(self, step: int) -> None:
        self.notices.append(step)

    def left(self) -> list[int]:
        return self.notices

    def start(self, step: int) -> None:
        self.started.append(step)

    def starts(self) -> list[int]:
        return self.started

    def end(self, progress: Progress) -> None:
        self.progress = progress

    def ended(self) -> Progress:
        return self.progress

    def put(self, row: dict[str, float]) -> None:
        self.rows[int(row["step"])] = row

    def take(self, after: int) -> list[dict[str, float]]:
        return [row for step, row in sorted(self.rows.items()) if step > after]


@contextlib.contextmanager
def _told(work: Work, board: Any, job: Job, folder: Path | None) -> Iterator[None]:
    """Progress on the display and in the logs, while trainer.fit() holds this thread."""
    import ray

    display = work.task.display
    ended, seen, starts, notices = threading.Event(), 0, 0, 0
    logs = Logs(folder, work.write_part.address, job.told, display.say)

    def look() -> None:
        nonlocal seen, starts, notices
        for step in ray.get(board.starts.remote(), timeout=10)[starts:]:
            starts += 1
            if starts == 1:  # what it took until now says nothing of how long it will take
                work.task.begin(job.recipe.steps, step, "steps", of=work.name)
                seen = step
            else:
                display.say(f"{work.name}: going on from step {step:,}")
        for step in ray.get(board.left.remote(), timeout=10)[notices:]:
            notices += 1
            display.say(f"{work.name}: a worker's machine will be taken away soon: saved at step {step:,}")
        for row in ray.get(board.take.remote(seen), timeout=10):
            work.task.advance(int(row["step"]) - seen, int(row["tokens"]))
            seen = int(row["step"])
            logs.put(seen, row)

    def watch() -> None:
        while not ended.wait(1):
            with contextlib.suppress(Exception):  # the cluster may be going down; fit() says so
                look()

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    failed = True
    try:
        yield
        ended.set()
        watching.join()
        with contextlib.suppress(Exception):  # the last rows are in the checkpoint, too
            look()
            failed = ray.get(board.halted.remote(), timeout=10) is not None
    finally:
        ended.set()
        logs.close(failed=failed)


def _worker(config: dict[str, Any]) -> None:
    """What stops one worker stops all: it is raised, so that none waits for it, and Ray's next try ends at once."""
    import ray
    import torch

    board = config["board"]
    if ray.get(board.halted.remote()):
        return
    try:
        _train(config["job"], config["placed"], board)
    except torch.OutOfMemoryError:
        ray.get(board.stop.remote(Halt(f"a worker's GPU has not the memory; {_less(config['job'])}")))
        raise
    except Halt as halt:
        ray.get(board.stop.remote(halt))
        raise


def _train(job: Job, placed: Placed, board: Any) -> None:
    import ray
    import ray.train

    if not placed.gpus:
        os.environ["DS_ACCELERATOR"] = "cpu"
        machine.keep_memory()
    import torch

    torch.set_num_threads(placed.threads)  # Ray sets OMP_NUM_THREADS by itself
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    engine = start(job, world)
    running = job.recipe.running(engine, rank, world, job.micro)
    progress = _resume(engine, running)
    if rank == 0:
        board.start.remote(progress.step)
    name = _name(rank)

    def checkpoint(now: Progress, measured: dict[str, float]) -> None:
        folder = Path(tempfile.mkdtemp(prefix="xlnu-"))
        about = dataclasses.asdict(now)
        state.save(engine, folder, rank, world, about)
        ray.train.report(
            measured,
            checkpoint=ray.train.Checkpoint.from_directory(str(folder)),
            checkpoint_dir_name=f"step-{now.step:08d}-{name}",
            checkpoint_upload_mode=ray.train.CheckpointUploadMode.ASYNC,
            delete_local_checkpoint_after_upload=True,
        )

    def told(row: dict[str, float]) -> None:
        if rank == 0:
            board.put.remote(row)

    gone: set[str] = set()

    def leaving() -> bool:
        notice = ray.train.get_preemption_info()
        new = set(notice.preempted_node_ids) - gone if notice else set()
        gone.update(new)
        if new and rank == 0:
            board.leave.remote(progress.step)
        return bool(new)

    fit(engine, running, job.pace, progress, checkpoint, told, leaving)
    if rank == 0:
        ray.get(board.end.remote(progress))


def start(job: Job, workers: int) -> Any:
    """DeepSpeed's engine around the recipe's model. `workers`: that there are; they may be fewer than wanted."""
    import deepspeed
    import torch

    torch.manual_seed(job.pace.seed)
    model = job.recipe.model()
    optimizer = torch.optim.AdamW(
        job.recipe.groups(model), lr=job.pace.lr, betas=job.betas, weight_decay=job.weight_decay, fused=True
    )
    compile_nothing()
    settings = {name: value for name, value in job.deepspeed.items() if name != "train_batch_size"}
    settings["gradient_accumulation_steps"] = math.ceil(math.ceil(job.batch / workers) / job.micro)
    engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=settings)
    return engine


def _resume(engine: Any, running: Running) -> Progress:
    import ray.train

    last = ray.train.get_checkpoint()
    if last is None:
        return Progress()
    with last.as_directory() as folder:
        return Progress(**state.load(engine, Path(folder), lambda: step_of_nothing(engine, running)))


def _name(rank: int) -> str:
    """Of this start of the workers: a checkpoint of one must not be written into that of another."""
    import torch.distributed as dist

    names = [uuid.uuid4().hex[:8] if rank == 0 else ""]
    dist.broadcast_object_list(names)
    return names[0]
