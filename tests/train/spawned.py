"""Processes that train together by DeepSpeed, without Ray: what stands between a loop and its test."""

import os
import sys
from collections.abc import Callable
from typing import Any

import torch

from xlnu.machine import free_port
from xlnu.train.zero import compile_nothing


def spawn(workers: int, run: Callable[..., None], *about: Any) -> None:
    """`run(rank, workers, *about)` in each; its first failure is raised here."""
    spawning: Any = torch.multiprocessing
    spawning.spawn(_worker, (workers, free_port(), run, about), nprocs=workers)


def _worker(rank: int, workers: int, port: int, run: Callable[..., None], about: tuple[Any, ...]) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "DS_ACCELERATOR": "cpu"}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(workers)}
    import deepspeed

    torch.set_num_threads(1)
    compile_nothing()
    deepspeed.init_distributed("gloo")
    run(rank, workers, *about)
    torch.distributed.barrier()
    # Python's own ending aborts one in twelve here ("terminate called without an active exception"): Gloo's threads
    # let go of tensors when no thread may any more take the interpreter's lock, process groups destroyed or not.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
