"""What is said and asked of the machine."""

import subprocess
import sys

import pytest

HELD = """
from pathlib import Path
from xlnu.machine import keep_memory

def resident():
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) // 1024

if {keep}:
    keep_memory()
before = resident()
block = bytearray(b"1") * (200 * 2**20)
del block
print(resident() - before)
"""


@pytest.mark.parametrize("keep", [False, True])
def test_what_is_freed_is_kept(keep: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELD.format(keep=keep)], capture_output=True, text=True, check=True
    )
    held = int(done.stdout)
    assert held > 190 if keep else held < 10, f"{held} MB"
