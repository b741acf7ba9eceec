"""`python jobs/evaluate.py compare RUN RUN`, on runs that a user has finished."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.evaluate.evaluated import TOP, a_classifier, a_stack, report, run
from xlnu.store import Store, beside
from xlnu.tiny.build import Built

pytestmark = pytest.mark.timeout(600)
NLI = "benchmarks=['xnli=tiny:data/nli/test.{language}.tsv']"


def compare(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(TOP / "jobs" / "evaluate.py"), "compare", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_runs_are_held_against_one_another(tiny: Built, tmp_path: Path, s3: str) -> None:
    stack, classifier = a_stack(tmp_path, tiny), a_classifier(tmp_path, tiny)
    for path in (tiny.data / "nli").glob("test.*"):
        (tmp_path / path.name).write_text(path.read_text().replace("\tneutral\n", "\tcontradiction\n"))
    for name, settings in (
        ("one", [f"model={stack}", NLI]),
        ("two", [f"model={classifier}", NLI]),
        ("other", ["model=tiny:llm", "benchmarks=[mkqa=tiny:data/mkqa]", "at_most=4"]),
        ("mended", [f"model={stack}", NLI.replace("tiny:data/nli", str(tmp_path)), "training=[tiny:data/topic]"]),
    ):
        done = run(tmp_path, tiny, *settings, f"run.dir=runs/{name}")
        assert done.returncode == 0, done.stderr

    elsewhere = beside(s3, "two")  # as a cluster leaves it
    Store(elsewhere).put("report.json", tmp_path / "runs/two/report.json")
    done = compare(tmp_path, "runs/one", elsewhere, "run.latex=true")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["runs/compare/tables.md", "runs/compare/report.html"]
    found = report(tmp_path, "compare")
    pairs = {(one["one"], one["other"]) for one in found["comparisons"]}
    assert pairs == {("one: stack_pair stacked", "two: classifier classifier")}
    by_hand = {
        name: {
            one["language"]: one["value"]
            for one in report(tmp_path, name)["scores"]
            if one["metric"] == "accuracy" and one["model"] and one["seen"] == "target"
        }
        for name in ("one", "two")
    }
    expected = sum(by_hand["one"][code] - by_hand["two"][code] for code in by_hand["one"]) / 2
    (told,) = [one for one in found["comparisons"] if (one["metric"], one["group"]) == ("accuracy", "all targets")]
    assert told["difference"] == pytest.approx(expected, abs=1e-3)
    assert told["ci_low"] <= told["difference"] <= told["ci_high"]
    assert {one["model"] for one in found["scores"]} >= {"one: stack_pair", "two: classifier", "one"}
    assert (tmp_path / "runs/compare/tables.tex").read_text().count(r"\begin{tabular}") > 2

    for arguments, told_in_one_line in (
        (["runs/one"], "name two finished runs at least"),
        (["runs/one", "runs/none"], "runs/none: is no folder of a finished run"),
        (["runs/one", "runs/other"], "have no benchmark, metric and system in common"),
        (["runs/one", "runs/mended"], "were not asked the same: xnli in "),
        (["runs/one", "runs/two", "store=elsewhere"], "say where it is now, as store=FOLDER"),
    ):
        done = compare(tmp_path, *arguments)
        assert done.returncode == 2, done.stderr
        assert told_in_one_line in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr


def test_a_run_without_scores_is_none(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(json.dumps({"scores": [], "settings": {}}))
    done = compare(tmp_path, "a", "b")
    assert (done.returncode, done.stderr) == (2, "compare: a: measured nothing: its report has no scores\n")
