"""A training for machines to come and go under: a small regression that takes its time, on two trainers or one.

elastic_job.py FOLDER STEPS
"""

import sys
import threading
from pathlib import Path
from typing import Any

from tests.train.regressions import Regression, Squares
from xlnu import steps
from xlnu.cluster.pools import TrainerPool, place
from xlnu.progress import Display
from xlnu.spread import connect
from xlnu.steps import Step, Work
from xlnu.store import Store
from xlnu.train import workers
from xlnu.train.config import LoopConfig
from xlnu.train.loop import Running
from xlnu.train.zero import ZeroConfig

BATCH, EVERY = 6, 5


class Slow(Squares):
    """Until there is a file `enough`: how long machines take to come hangs on what else is done here."""

    def __init__(self, engine: Any, enough: Path) -> None:
        super().__init__(engine)
        self.enough = enough

    def losses(self, micro: Any) -> Any:
        if not self.enough.exists():
            threading.Event().wait(0.15)
        return super().losses(micro)


class Noted(Regression):
    """It notes with how many workers it starts."""

    def __init__(self, count: int, folder: str) -> None:
        super().__init__(count, BATCH)
        self.folder = folder

    def running(self, engine: Any, rank: int, world: int, micro: int) -> Running:
        if rank == 0:
            with Path(self.folder, "workers").open("a") as file:
                file.write(f"{world}\n")
        made = super().running(engine, rank, world, micro)
        return Running(made.data, made.held_out, Slow(engine, Path(self.folder, "enough")), made.judge)


def settings() -> LoopConfig:
    given: dict[str, Any] = {"numbers": "fp32", "batch": BATCH, "lr": 3e-2, "evaluate_every": EVERY, "patience": 0}
    return LoopConfig(**given, pool=TrainerPool(actors=2, cpus=48, least=1), zero=ZeroConfig("0"))


def main(folder: str, count: int) -> None:
    workers.RESIZE = 5.0  # else it looks once a minute
    display = Display()

    def train(work: Work) -> int:
        connect(display)
        config = settings()
        placed = place(config.pool)
        job = workers.job(Noted(count, folder), config, placed, "align")
        made = workers.train(work, job, placed, 2, None)
        display.say(f"best {made.progress.best:.9f}")
        return 0

    steps.run([Step("student", {}, train)], Store(f"{folder}/store"), display)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
