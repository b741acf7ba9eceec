"""A world as its users get it: made by the job, found again, opened by the usual classes, killed on the way."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.waiting import until
from xlnu.errors import Halt
from xlnu.progress import Display
from xlnu.report.interface import encode
from xlnu.tiny.build import Built, TinyConfig, build, world_steps

TOP = Path(__file__).parents[2]


def job(folder: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOP / "jobs" / "tiny.py"), "tiny.size=xs", *settings]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=200)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("world")
    (folder / "random.py").write_text("raise ImportError('the working folder is not for imports')")
    return folder, job(folder, "tiny.cache=cache")


@pytest.fixture(scope="module")
def built(made: tuple[Path, Any]) -> Built:
    """What the job made, found again without making anything."""
    return build(TinyConfig(size="xs", cache=str(made[0] / "cache")), Display())


def digest(folder: Path, pattern: str = "*") -> dict[str, str]:
    paths = [path for path in sorted(folder.rglob(pattern)) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_the_job_shows_the_world_and_leaves_a_report(made: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = made
    assert done.returncode == 0, done.stderr
    assert "the old girl carries a red apple near the river." in done.stdout
    assert "THE old girl carry A red apple near THE river" in done.stdout
    assert "a handicap of this world's making" in " ".join(done.stdout.split())
    assert done.stdout.splitlines()[-1] == "runs/tiny/report.html"
    report = json.loads((folder / "runs/tiny/report.json").read_text())
    encode(report, "xlnu.report")  # raises where the schema is broken
    assert set(report["tiny"]["numbers"]["bleu_to_source"]) == set(report["tiny"]["numbers"]["bleu_from_source"])
    assert all(Path(path).exists() for path in report["tiny"]["paths"].values())
    assert report["tiny"]["numbers"]["cpu_seconds"] > 1
    page = (folder / "runs/tiny/report.html").read_text()
    assert "The tiny world" in page
    assert "a handicap of this world's making" in page
    assert "0 steps" not in page


def test_a_second_run_makes_nothing(made: tuple[Path, Any]) -> None:
    folder, _ = made
    before = {path: path.stat().st_mtime_ns for path in (folder / "cache").rglob("*")}
    again = job(folder, "tiny.cache=cache")
    assert again.returncode == 0, again.stderr
    assert again.stderr == ""
    assert {path: path.stat().st_mtime_ns for path in (folder / "cache").rglob("*")} == before


def test_the_plan_makes_nothing_and_says_what_is_there(made: tuple[Path, Any]) -> None:
    folder, _ = made
    planned = job(folder, "tiny.cache=cache", "tiny.masked=false", "--plan")
    states = dict(re.findall(r"^(tiny_\w+) +\S+ +(done|to do)", planned.stdout, re.MULTILINE))
    assert states == {"tiny_data": "done", "tiny_llm": "done"} | dict.fromkeys(
        ("tiny_mt", "tiny_qe", "tiny_numbers"), "to do"
    )


def test_the_usual_classes_open_the_models(built: Built) -> None:
    from comet import load_from_checkpoint
    from comet.models import UnifiedMetric
    from transformers import (
        AutoModelForCausalLM,
        AutoModelForSeq2SeqLM,
        AutoTokenizer,
        LlamaForCausalLM,
        M2M100ForConditionalGeneration,
        NllbTokenizerFast,
    )

    llm: Any = AutoModelForCausalLM.from_pretrained(built.llm)
    assert type(llm) is LlamaForCausalLM
    mt: Any = AutoModelForSeq2SeqLM.from_pretrained(built.mt)
    assert type(mt) is M2M100ForConditionalGeneration
    opener: Any = AutoTokenizer
    reader = opener.from_pretrained(built.mt, src_lang="qab_Cyrl")
    assert type(reader) is NllbTokenizerFast
    assert reader("х")["input_ids"][0] == reader.convert_tokens_to_ids("qab_Cyrl")
    speaker = opener.from_pretrained(built.llm)
    assert speaker.chat_template
    assert type(load_from_checkpoint(str(built.qe / "checkpoints" / "model.ckpt"))) is UnifiedMetric


def test_ctranslate2_says_what_transformers_says(built: Built) -> None:
    equal = {name: share.split(" of ") for name, share in built.numbers["converted_equal"].items()}
    assert all(same == of and int(of) >= 40 for same, of in equal.values()), equal


def test_a_seed_gives_the_same_bytes_and_the_same_weights(built: Built, tmp_path: Path) -> None:
    again = job(tmp_path, "tiny.cache=cache")
    assert again.returncode == 0, again.stderr
    other = build(TinyConfig(size="xs", cache=str(tmp_path / "cache")), Display())
    data, copy = digest(built.data), digest(other.data)
    del data["spent.json"], data["manifest.json"], copy["spent.json"], copy["manifest.json"]
    assert data == copy
    assert len(data) > 50
    for one, two in ((built.llm, other.llm), (built.mt, other.mt)):
        assert digest(one, "*.safetensors") == digest(two, "*.safetensors")
        assert digest(one, "tokenizer.json") == digest(two, "tokenizer.json")
    import torch

    states = [torch.load(each.qe / "checkpoints" / "model.ckpt")["state_dict"] for each in (built, other)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(weight, states[1][name]) for name, weight in states[0].items())
    assert sum(weight.numel() for weight in load_file(built.mt / "model.safetensors").values()) > 10_000


@pytest.mark.parametrize(
    ("changed", "stay"),
    [
        (TinyConfig(seed=1), set[str]()),
        (TinyConfig(size="xs"), set[str]()),
        (TinyConfig(masked=False), {"data", "llm"}),
        (TinyConfig(aligned=False), {"data", "llm"}),
        (TinyConfig(cache="/elsewhere"), {"data", "llm", "mt", "qe", "numbers"}),
    ],
)
def test_a_changed_setting_makes_anew_what_hangs_on_it(changed: TinyConfig, stay: set[str]) -> None:
    before, after = world_steps(TinyConfig()), world_steps(changed)
    assert {name for name in before if before[name].address == after[name].address} == stay


def test_changed_code_is_another_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from xlnu.tiny import build as module

    before = {name: step.address for name, step in world_steps(TinyConfig()).items()}
    here = Path(module.__file__).parent
    for path in here.glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(module, "__file__", str(tmp_path / "build.py"))
    assert {name: step.address for name, step in world_steps(TinyConfig()).items()} == before
    (tmp_path / "mt.py").write_text((tmp_path / "mt.py").read_text() + "# changed\n")
    after = {name: step.address for name, step in world_steps(TinyConfig()).items()}
    assert {name for name in before if before[name] == after[name]} == {"data", "llm"}


def test_a_cache_that_was_moved_is_as_good(built: Built, tmp_path: Path) -> None:
    shutil.copytree(built.qe.parent, tmp_path / "moved")
    moved = build(TinyConfig(size="xs", cache=str(tmp_path / "moved")), Display())
    assert moved.numbers == built.numbers
    assert moved.qe == tmp_path / "moved" / built.qe.name


def test_damaged_numbers_are_named(built: Built, tmp_path: Path) -> None:
    shutil.copytree(built.qe.parent, tmp_path / "cache")
    (numbers,) = (tmp_path / "cache").glob("tiny_numbers-*/numbers.json")
    numbers.write_bytes(b"x" * numbers.stat().st_size)
    with pytest.raises(Halt, match=r"tiny_numbers-\w+: damaged; delete this folder"):
        build(TinyConfig(size="xs", cache=str(tmp_path / "cache")), Display())


def test_two_builds_at_once_make_one_world(tmp_path: Path) -> None:
    command = [sys.executable, str(TOP / "jobs" / "tiny.py"), "tiny.size=xs", "tiny.cache=cache"]
    with ThreadPoolExecutor() as pool:
        runs = [
            pool.submit(
                subprocess.run,
                [*command, f"run.dir=run{i}"],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=250,
            )
            for i in range(2)
        ]
        done = [run.result() for run in runs]
    assert [each.returncode for each in done] == [0, 0], [each.stderr for each in done]
    made = re.findall(r"(tiny_\w+): done,", "".join(each.stderr for each in done))
    assert sorted(made) == ["tiny_data", "tiny_llm", "tiny_mt", "tiny_numbers", "tiny_qe"]


def children(of: int) -> list[int]:
    """The processes that have this parent."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = stat.read_text().rsplit(")", 1)
        except OSError:
            continue
        if int(rest.split()[1]) == of:
            found.append(int(name.split()[0]))
    return found


def lines_of(process: "subprocess.Popen[str]") -> Iterator[str]:
    assert process.stderr is not None
    yield from process.stderr


def test_killed_it_takes_its_trainers_along_and_goes_on_when_run_again(tmp_path: Path) -> None:
    command = [sys.executable, str(TOP / "jobs" / "tiny.py"), "tiny.size=xs", "tiny.cache=cache"]
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        next(line for line in lines_of(running) if "tiny_data: done" in line)
        until(
            lambda: len({at.parent.name for at in (tmp_path / "cache").glob("tiny_[lm]*/_lock*")}) == 2, every=0.05
        )
        trainers = children(running.pid)
        os.kill(running.pid, signal.SIGKILL)
    # The trainers do not outlive the job: a process that is only not yet waited for has no command line.
    until(
        lambda: (
            not any(at.exists() and at.read_bytes() for at in (Path(f"/proc/{pid}/cmdline") for pid in trainers))
        )
    )
    assert not list((tmp_path / "cache").glob("tiny_[lm]*/manifest.json")), "the trainers worked on"
    again = job(tmp_path, "tiny.cache=cache")
    assert again.returncode == 0, again.stderr
    assert "tiny_data: done" not in again.stderr
    assert "tiny_llm: done" in again.stderr


def test_a_trainer_that_fails_stops_the_build_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "transformers.py").write_text("raise MemoryError('no room for this library')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    with pytest.raises(Halt, match="the process for data and llm ended with 1"):
        build(TinyConfig(size="xs", cache=str(tmp_path / "cache")), Display())
    assert "no room for this library" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("tiny.size=l", "tiny.size: got l (command line); allowed: one of xs, s, m"),
        ("tiny.seed=-1", "tiny.seed: got -1 (command line); allowed: a whole number, at least 0"),
        ("tiny.mask=false", "tiny.mask: no such key (command line); did you mean tiny.masked?"),
        ("tiny.cache=/proc/there", "tiny.cache: /proc/there/.unfinished-probe: cannot be written"),
        ("tiny.cache=s3://bucket/x", "a world is made on this machine: name a local folder"),
    ],
)
def test_mistakes_get_one_line(tmp_path: Path, setting: str, message: str) -> None:
    done = job(tmp_path, setting)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
