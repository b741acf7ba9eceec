"""What every job has, as a user meets it: a process of its own, its exit code, its two streams, its files."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.waiting import until

TOP = Path(__file__).parents[2]
JOB = TOP / "tests" / "requests_job.py"


def start(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(JOB), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_it_leaves_a_report_and_names_it_last(tmp_path: Path) -> None:
    done = start(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "runs/requests/report.html"
    report = json.loads((tmp_path / "runs/requests/report.json").read_text())
    assert [(s["name"], s["rows_in"], s["rows_out"], s["skipped"]) for s in report["steps"]] == [
        ("instructions", 12, 12, False),
        ("requests", 2448, 2412, False),
    ]
    assert report["steps"][1]["rejected"] == {
        "NLLB has no code for the language": 24,  # arb_Latn and min_Arab, for each of 12 instructions
        "the source language itself": 12,
    }
    assert "<html" in (tmp_path / "runs/requests/report.html").read_text()


def test_the_second_run_does_nothing_and_says_so(tmp_path: Path) -> None:
    start(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs/store").rglob("*")}
    again = start(tmp_path)
    assert again.returncode == 0
    assert "nothing was left to do: every step was done before" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs/store").rglob("*")} == before
    report = json.loads((tmp_path / "runs/requests/report.json").read_text())
    assert [step["skipped"] for step in report["steps"]] == [True, True]


def test_a_setting_that_changes_no_result_redoes_nothing(tmp_path: Path) -> None:
    start(tmp_path)
    assert "nothing was left to do" in start(tmp_path, "rows_per_part=7").stderr


def test_the_resolved_config_is_saved_and_runs_the_same_again(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("languages: [sw, mad->jav_Latn]\n")
    (tmp_path / "mine.yaml").write_text("extends: base.yaml\nrun:\n  dir: there\n")
    assert start(tmp_path, "--config", "mine.yaml", "rows_per_part=5").returncode == 0
    saved = yaml.safe_load((tmp_path / "there/config.yaml").read_text())
    assert saved == {
        "languages": ["sw", "mad->jav_Latn"],
        "source": "eng_Latn",
        "rows_per_part": 5,
        "run": {
            "dir": "there",
            "latex": False,
            "store": "runs/store",
            "price": 0.0,
            "cluster": "",
            "prices": "cluster/prices.yaml",
        },
    }
    assert "nothing was left to do" in start(tmp_path, "--config", "there/config.yaml").stderr


def test_a_fallback_is_seen_in_every_row(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    start(tmp_path, "languages=[mad->jav_Latn]")
    (step,) = (tmp_path / "runs/store").glob("requests-*")
    rows = pq.read_table(step / "000000.parquet").to_pylist()
    assert {(row["language"], row["target_code"]) for row in rows} == {("mad->jav_Latn", "jav_Latn")}
    assert json.loads((step / "manifest.json").read_text())["config"]["languages"] == ["mad->jav_Latn"]
    report = json.loads((tmp_path / "runs/requests/report.json").read_text())
    assert report["settings"]["languages"] == ["mad->jav_Latn"]
    assert "mad-&gt;jav_Latn" in (tmp_path / "runs/requests/report.html").read_text()


def test_a_plan_prints_and_leaves_nothing(tmp_path: Path) -> None:
    planned = start(tmp_path, "--plan", "run.price=2")
    assert planned.returncode == 0
    assert re.search(r"^requests +requests-[0-9a-f]{16} +to do +2,448 ", planned.stdout, re.MULTILINE)
    assert list(tmp_path.iterdir()) == []


def test_it_runs_on_object_storage(tmp_path: Path, s3: str) -> None:
    place, query = s3.split("?")
    run = (f"run.store={place}/store?{query}", f"run.dir={place}/report?{query}", "languages=[sw]")
    done = start(tmp_path, *run)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{place}/report/report.html"
    assert "nothing was left to do" in start(tmp_path, *run).stderr
    assert list(tmp_path.iterdir()) == []


WRONG = [
    (["languages=[hin_Latn]"], "languages: got [hin_Latn] (command line); 'hin_Latn' is not known here in Latin"),
    (["languages=[zh]"], "languages: got [zh] (command line); 'zh' is ambiguous: write zho_Hans"),
    (["source=arb_Latn"], "source: got arb_Latn (command line); NLLB has no arb_Latn (Modern Standard Arabic in "),
    (["rows_per_part=0"], "rows_per_part: got 0 (command line); allowed: a whole number, at least 1"),
    (["rows_per_prat=2"], "rows_per_prat: no such key (command line); did you mean rows_per_part?"),
    (["stor=x"], "stor: no such key (command line); did you mean run.store?"),
    (["--config", "none.yaml"], "none.yaml: no such file"),
    (["--config"], "--config needs a file: --config FILE"),
    (["--rows_per_part=2"], "--rows_per_part: no such option; there are --config FILE, --plan and --help; "),
    (["--config="], "--config needs a file: --config FILE"),
    (
        ["--config", "a.yaml", "--config=b.yaml"],
        "--config stands twice; a file can build on others with `extends: ",
    ),
    (["--plan=true"], "--plan takes no value"),
    (["languages=[sw, swh_Latn]"], "languages: got [sw,swh_Latn] (command line); 'sw' and 'swh_Latn' are the same"),
    (["run.store=s4://x"], "run.store: 's4://x': cannot be opened: Unrecognized filesystem type in URI: s4://x"),
    (
        ["run.store=s3://key:secret@b/x"],
        "run.store: a URI may not hold keys or an @, for it is saved with every run",
    ),
    (["run.store=' '"], "run.store: ' ' is neither a folder nor a URI"),
    (["run.dir=/proc/x"], "run.dir: /proc/x/.unfinished-probe: cannot be written: No such file or directory"),
    (["run.store=/proc/x"], "run.store: /proc/x/.unfinished-probe: cannot be written: No such file or directory"),
    (["requests"], "'requests' is not key=value; --help lists the keys"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_a_users_mistake_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = start(tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"requests: {message}")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not list(tmp_path.rglob("config.yaml")), "what was refused is not saved: it may hold keys"


def test_a_damaged_manifest_stops_it_in_one_line(tmp_path: Path) -> None:
    start(tmp_path)
    (manifest,) = (tmp_path / "runs/store").glob("requests-*/manifest.json")
    manifest.write_bytes(manifest.read_bytes()[:200])
    done = start(tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"requests: {manifest.relative_to(tmp_path)}: damaged manifest: not JSON")
    assert "Traceback" not in done.stderr


def test_a_termination_is_one_line_and_the_lock_is_given_back(tmp_path: Path) -> None:
    """What a spot machine, `ray job stop` or Ctrl-C does."""
    command = [sys.executable, str(JOB), "rows_per_part=1"]
    child = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    until(lambda: child.poll() is not None or list(tmp_path.glob("runs/store/requests-*/*.parquet")), every=0.05)
    assert child.poll() is None
    child.terminate()
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 1
    assert errors.splitlines()[-1] == (
        "requests: interrupted; what is finished is kept: the same command goes on from there"
    )
    assert not list(tmp_path.glob("runs/store/*/_lock/*"))
    assert "going on from" in start(tmp_path).stderr


def _seconds(*command: str) -> float:
    """The best of three: what it costs when the machine is not busy with something else."""
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=TOP)
        taken.append(time.perf_counter() - began)
    return min(taken)


def test_help_and_import_answer_at_once() -> None:
    for job in sorted((TOP / "jobs").glob("*.py")):
        assert _seconds(sys.executable, str(job), "--help") < 2, job
    assert _seconds(sys.executable, "-c", "import xlnu") < 0.5


def test_help_imports_nothing_heavy() -> None:
    heavy = ["torch", "ray", "transformers", "ctranslate2", "deepspeed", "comet", "pandas", "matplotlib.pyplot"]
    for job in sorted((TOP / "jobs").glob("*.py")):
        look = f"""
import runpy, sys
sys.argv = [{str(job)!r}, "--help"]
try:
    runpy.run_path({str(job)!r}, run_name="__main__")
except SystemExit as end:
    assert end.code == 0
print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)
"""
        done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
        assert done.stderr == "[]\n", job


def test_output_into_a_closed_pipe_is_no_accident(tmp_path: Path) -> None:
    line = f"{sys.executable} {JOB} --help | true"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stderr == ""
