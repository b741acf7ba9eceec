"""A training run of its own, to be killed: `python -m tests.train.training_job STORE TINY_CACHE`."""

import sys
from pathlib import Path

from tests.train.worlds import train
from xlnu.errors import Halt
from xlnu.progress import Display
from xlnu.tiny.build import TinyConfig, build

if __name__ == "__main__":
    store, cache = sys.argv[1:]
    try:
        train(build(TinyConfig(size="xs", cache=cache), Display()), Path(store), epochs=12, evaluate_every=3)
    except Halt as halt:
        sys.exit(f"halted: {halt}")
