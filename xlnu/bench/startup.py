"""Start-up: what a user waits for before anything of theirs happens, each time in a fresh process."""

import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import xlnu
from xlnu.bench.frame import Bench
from xlnu.errors import Halt

JOB = Path(xlnu.__file__).parents[1] / "jobs" / "demo.py"
# What code that imports at the top of its files would load before it reads --help. Without COMET, by far the
# slowest of all (15 s): the comparison needs no help.
LIBRARIES = ("ctranslate2", "peft", "pyarrow", "ray", "torch", "transformers")
EAGER = f"import {', '.join(LIBRARIES)}, runpy; runpy.run_path({str(JOB)!r}, run_name='__main__')"


def python(*arguments: str) -> tuple[float, str]:
    """Seconds that a fresh interpreter took, and what it printed."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["nothing on stderr"])[-1]
        raise Halt(f"python {' '.join(arguments)}: exit code {done.returncode}: {last}")
    return seconds, done.stdout


def start_of(code: str) -> float:
    return python("-c", code)[0]


def benches() -> list[Bench]:
    return [
        Bench(
            name="import",
            baseline="bare interpreter",
            goal=0.8,  # nothing can start sooner than the interpreter: a quarter of its time on top is ours
            unit="s",
            higher_is_better=False,
            ours=partial(python, "-c", "import xlnu"),
            theirs=partial(python, "-c", "pass"),
            limit="the interpreter's own start",
            ceiling=partial(start_of, "pass"),
        ),
        Bench(
            name="help",
            baseline="eager imports",
            goal=5,
            unit="s",
            higher_is_better=False,
            ours=partial(python, str(JOB), "--help"),
            theirs=partial(python, "-c", f"import sys; sys.argv = [{str(JOB)!r}, '--help']; {EAGER}"),
            limit="starting the interpreter and omegaconf, without which there are no settings to list",
            ceiling=partial(start_of, "import omegaconf"),
        ),
    ]
