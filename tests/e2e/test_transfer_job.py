"""`python jobs/transfer.py` as a user runs it, with an echo for the models."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import datasets
import pytest

from tests.waiting import until

TOP = Path(__file__).parents[2]
ECHO = [f"{who}.{what}=echo" for who in ("english", "translator") for what in ("engine", "model")]


def command(*settings: str) -> list[str]:
    job = [sys.executable, str(TOP / "jobs" / "transfer.py"), "instructions.path=mine.json", "languages=[sw, uk]"]
    return [*job, *ECHO, *settings]


def run(folder: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*settings), cwd=folder, capture_output=True, text=True, check=False, timeout=200)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty instructions, and two records that are none."""
    good = [{"instruction": f"Count from one to {n}, please.", "input": "", "output": f"{n}."} for n in range(20)]
    (tmp_path / "mine.json").write_text(json.dumps([*good, {"input": "no instruction"}, 7]))
    return tmp_path


def test_it_leaves_a_set_a_page_of_samples_and_a_report(folder: Path) -> None:
    done = run(folder, "transfer.flags=[]", "transfer.held_out=0.2", "samples=3")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["runs/transfer/samples.html", "runs/transfer/report.html"]
    page = (folder / "runs/transfer/samples.html").read_text()
    assert page.count("Count from one to") >= 2 * 3 * 2
    report = json.loads((folder / "runs/transfer/report.json").read_text())
    counted = {step["name"]: (step["rows_in"], step["rows_out"], step["rejected"]) for step in report["steps"]}
    assert counted["instructions"] == (22, 20, {"no instruction": 1, "not an object": 1})
    assert counted["transfer"][:2] == (20 + 2 * 3 * 20, 20 + 2 * 3 * 20)
    (made,) = (folder / "runs/store").glob("transfer-*")
    opened = datasets.load_dataset(str(made))
    assert {split: len(rows) > 0 for split, rows in opened.items()} == {"train": True, "held_out": True}
    card = (made / "README.md").read_text()
    assert str(folder) not in card, "where it was made is nobody's business"
    again = run(folder, "transfer.flags=[]", "transfer.held_out=0.2", "samples=3")
    assert "nothing was left to do: every step was done before" in again.stderr


def test_a_set_of_nothing_is_no_success(folder: Path) -> None:
    done = run(folder, "transfer.families.en_en=0")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("transfer: the set is empty: transfer rejected all of its 120 rows (")
    assert "question: copied source" in last


def test_a_source_that_is_not_there_is_a_users_mistake(folder: Path) -> None:
    done = run(folder, "instructions.path=other.json")
    assert done.returncode == 2
    assert done.stderr.startswith("transfer: other.json: ")
    assert done.stderr.count("\n") == 1


def test_a_termination_is_said_in_one_line_and_the_same_command_goes_on(folder: Path) -> None:
    settings = ("english.rows_per_part=1", "transfer.flags=[]")
    child = subprocess.Popen(command(*settings), cwd=folder, stderr=subprocess.PIPE, text=True)
    until(lambda: child.poll() is not None or list(folder.glob("runs/store/english-*/*.parquet")), every=0.05)
    assert child.poll() is None
    child.terminate()
    errors = child.communicate(timeout=100)[1]
    assert child.returncode == 1
    assert errors.splitlines()[-1] == (
        "transfer: interrupted; what is finished is kept: the same command goes on from there"
    )
    assert "Traceback" not in errors
    assert not list(folder.glob("runs/store/*/_lock/*"))
    written = {path: path.stat().st_mtime_ns for path in folder.glob("runs/store/*/*.parquet")}
    again = run(folder, *settings)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in written} == written


def test_a_cluster_that_does_not_answer_is_said_at_once(folder: Path) -> None:
    environment = {**os.environ, "RAY_ADDRESS": "127.0.0.1:9"}
    began = time.monotonic()
    done = subprocess.run(command(), cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("transfer: RAY_ADDRESS: 127.0.0.1:9: no cluster answers there: ")
    assert time.monotonic() - began < 60
