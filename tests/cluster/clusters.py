"""The shipped cluster file's machines on this one, and jobs that are submitted to them."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from xlnu.cluster import file
from xlnu.cluster.fake import Fake, fake

TOP = Path(__file__).parents[2]
RAY = str(Path(sys.executable).with_name("ray"))


@contextmanager
def machines(store: Path, most: int = 2, idle: float = 6.0, short: str = "") -> Iterator[Fake]:
    """`store` is XLNU_STORE: steps go below store/, what jobs leave below runs/."""
    with tempfile.TemporaryDirectory(prefix="xlnu-", ignore_cleanup_errors=True) as folder:
        cluster = file.read(str(TOP / "cluster" / "xlnu.yaml"))
        with fake(cluster, Path(short or folder), str(store), most, idle) as made:
            yield made


@dataclass
class Submitted:
    process: "subprocess.Popen[str]"
    lines: list[str]
    began: float

    def until(self, pattern: str) -> float:
        """Read its lines up to one; seconds since it was submitted."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if re.search(pattern, line):
                return time.monotonic() - self.began
        raise AssertionError(f"no line has {pattern}: {''.join(self.lines)}")

    def end(self) -> int:
        assert self.process.stdout is not None
        self.lines += self.process.stdout
        self.process.stdout.close()
        return self.process.wait(60)

    @property
    def said(self) -> str:
        return "".join(self.lines)

    @property
    def id(self) -> str:
        found = re.search(r"raysubmit_\w+", self.said)
        assert found
        return found[0]


def submit(made: Fake, *command: str, folder: Path = TOP) -> Submitted:
    """As the README has it."""
    whole = [RAY, "job", "submit", "--address", made.dashboard, "--working-dir", ".", "--", "python", *command]
    process = subprocess.Popen(
        whole, cwd=folder, env=outside(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return Submitted(process, [], time.monotonic())


def outside() -> dict[str, str]:
    """The environment of somebody who is not on the cluster, and has its token."""
    kept = ("PATH", "HOME", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_USAGE_STATS_ENABLED")
    # its lines come when they are made, as on a terminal
    return {name: value for name, value in os.environ.items() if name in kept} | {"PYTHONUNBUFFERED": "1"}
