"""Ten times more data than the memory that Ray is given. Rows do not pass through Ray: it has nothing to spill."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.clusters import TOP

pytestmark = pytest.mark.timeout(600)

MEMORY, PART, PARTS = 80_000_000, 8_000_000, 100
JOB = f"""
import functools, json, sys
from pathlib import Path
import pyarrow as pa
import ray
from xlnu import steps
from xlnu.cluster.pools import PoolConfig
from xlnu.progress import Display
from xlnu.rows import ROW
from xlnu.spread import spread
from xlnu.steps import Rows, Step
from xlnu.store import Store

SCHEMA = pa.schema([*ROW, pa.field("text", pa.string())])

class Text:
    def __init__(self, rows, placed):
        self.rows = rows

    def __call__(self, step, part):
        if self.rows:
            return self.rows.read(part.start, part.stop), 0
        rows = [{{"id": str(part.start), "reject": None, "text": "a text " * ({PART} // 7)}}]
        return pa.Table.from_pylist(rows, schema=SCHEMA), 0

def made(work):
    rows = work.inputs["first"].rows() if work.inputs else None
    spread({{work.name: work}}, {{work.name: {PARTS}}}, 1, functools.partial(Text, rows), PoolConfig(cpus=1))
    return {PARTS}

ray.init("local", num_cpus=3, object_store_memory={MEMORY}, include_dashboard=False, log_to_driver=False)
first = Step("first", {{}}, made)
steps.run([first, Step("second", {{}}, made, (first,))], Store(sys.argv[1]), Display())
session = Path(ray._private.worker._global_node.get_session_dir_path())
spilled = sum(path.stat().st_size for path in session.glob("ray_spilled_objects*/*"))
# not ru_maxrss: it has the peak of whoever started this process, too
peak = next(line.split()[1] for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))
print(json.dumps([int(peak), spilled]))
"""


def test_ten_times_more_data_than_memory_goes_through(tmp_path: Path) -> None:
    assert PART * PARTS >= 10 * MEMORY
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | {
        "PYTHONPATH": str(TOP)
    }
    command = [sys.executable, "-c", JOB, str(tmp_path / "store")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr
    assert "second: done, 100 rows" in done.stderr
    kilobytes, spilled = json.loads(done.stdout.splitlines()[-1])
    assert not spilled, "Ray's store held rows"
    assert kilobytes * 1024 < PART * PARTS, "and so did the driver"
