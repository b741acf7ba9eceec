"""The benches as a user runs them."""

import json
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parents[2]
BENCH = [sys.executable, str(TOP / "jobs" / "bench.py")]


def test_it_prints_a_table_and_leaves_the_files(tmp_path: Path) -> None:
    done = subprocess.run(
        [*BENCH, "only=[startup]", "repeats=1", "warmup=0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["bench", "ratio", "min", "to", "max", "goal", "ours", "theirs"]
    assert lines[-1] == "runs/bench/bench.json"
    written = json.loads((tmp_path / "runs/bench/bench.json").read_text())
    assert [bench["name"] for bench in written["benches"]] == ["import", "help"]
    assert (tmp_path / "runs/bench/bench.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "runs/bench/config.yaml").exists()


def test_a_plan_measures_nothing(tmp_path: Path) -> None:
    done = subprocess.run([*BENCH, "--plan"], cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[:2] == ["startup: import against bare interpreter", "startup: help against eager imports"]
    assert {line.partition(":")[0] for line in lines} == {
        "startup",
        "translation",
        "scoring",
        "serving",
        "training",
        "stacking",
    }
    assert list(tmp_path.iterdir()) == []
