"""`python jobs/sdrrl.py` as a user runs it, on a tiny world that makes no sense, with an echo for a translator."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM

from xlnu.tiny.build import Built

pytestmark = pytest.mark.timeout(900)

TOP = Path(__file__).parents[2]
FEW = [
    "tiny.size=xs", "instructions.at_most=24", "languages=[qaa_Latn]", "english.reject=[]",
    "english.max_new_tokens=8", "translator.engine=echo", "quality.model=''", "transfer.flags=[]",
    "transfer.filter=none", "transfer.held_out=0.2", "train.epochs=1", "train.batch=4",
    "train.micro=4", "train.evaluate_every=5", "train.length=128", "train.least_steps=0",
    "evaluate.at_most=5", "evaluate.max_new_tokens=8",
]  # fmt: skip


def run(folder: Path, tiny: Built, *settings: str) -> subprocess.CompletedProcess[str]:
    config = ["--config", str(TOP / "configs" / "tiny" / "sdrrl.yaml"), f"tiny.cache={tiny.data.parent}"]
    command = [sys.executable, str(TOP / "jobs" / "sdrrl.py"), *config, *FEW, *settings]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)


def logged(folder: Path) -> dict[int, float]:
    """The losses in TensorBoard's file: records of a length, its checksum, an event, and its checksum."""
    from tensorboardX.proto.event_pb2 import Event

    (path,) = folder.iterdir()
    data, at, found = path.read_bytes(), 0, dict[int, float]()
    while at < len(data):
        length = int.from_bytes(data[at : at + 8], "little")
        event = Event.FromString(data[at + 12 : at + 12 + length])
        at += length + 16
        for one in (one for one in event.summary.value if one.tag == "train/loss"):
            found[event.step] = one.simple_value
    return found


def test_it_leaves_a_model_with_its_card_and_a_report(tiny: Built, tmp_path: Path) -> None:
    done = run(tmp_path, tiny, "evaluate.comet=tiny:qe")
    assert done.returncode == 0, done.stderr
    *_, tables, model, report = done.stdout.splitlines()
    assert report == "runs/sdrrl/report.html"
    made: Any = AutoModelForCausalLM.from_pretrained(tmp_path / model)
    before: Any = AutoModelForCausalLM.from_pretrained(tiny.llm)
    pairs = zip(made.parameters(), before.parameters(), strict=True)
    assert any(bool((one != other).any()) for one, other in pairs)
    card = (tmp_path / model / "README.md").read_text(encoding="utf-8")
    assert "| Velan | `qaa_Latn` |" in card
    assert str(tmp_path) not in card
    assert "| flores | `qaa_Latn` | bleu to source |" in card
    assert (tmp_path / tables).name == "tables.md"
    found = json.loads((tmp_path / "runs/sdrrl/report.json").read_text())
    names = [step["name"] for step in found["steps"]]
    own = ["transfer", "packs", "held_out_packs", "model", "model_ct2", "answers"]
    assert names[-10:] == [*own, "comet", "scored", "scored_comet", "probed"]
    assert names.count("answers") == 2, "before and after"
    curve = json.loads((tmp_path / "runs/sdrrl/sdrrl/training.json").read_text())["curve"]
    assert curve[-1]["held_out_loss"] > 0
    losses = {row["step"]: pytest.approx(row["loss"]) for row in curve}
    assert logged(tmp_path / "runs/sdrrl/sdrrl/tensorboard") == losses
    measured = {(one["mode"], one["language"], one["metric"], one["n"]) for one in found["scores"]}
    assert {("before", "eng_Latn", "exact_match", 5), ("sdrrl", "qaa_Latn", "chrf_from_source", 5)} <= measured
    assert ("sdrrl", "qaa_Latn", "comet_to_source", 5) in measured
    sections = {plot["section"] for plot in found["plots"]}
    assert sections == {"Training curves", "Survival by tau", "Alignment by layer"}
    assert {(one["mode"], one["correct"]) for one in found["samples"]} >= {("before", False), ("sdrrl", None)}
    assert len(found["claims"]) == 4, "what can be said with no baseline but the model as it was"
    again = run(tmp_path, tiny, "evaluate.comet=tiny:qe")
    assert "nothing was left to do: every step was done before" in again.stderr
    assert json.loads((tmp_path / "runs/sdrrl/report.json").read_text())["scores"] == found["scores"]


def test_what_cannot_be_trained_is_said_before_any_work(tiny: Built, tmp_path: Path) -> None:
    for settings, message in (
        (
            ["english.engine=echo"],
            "sdrrl: english.engine: echo has no checkpoint here to train; take ct2, hf or vllm",
        ),
        (["train.pool.gpus=1"], "sdrrl: train.pool.gpus: 1, and this machine has none"),
        (["train.objective=fkl"], "sdrrl: train.objective: fkl needs train.method=lora: the teacher is the same"),
        (
            ["train.zero.stage=2", "train.zero.offload=all"],
            "sdrrl: train.zero.offload: all needs train.zero.stage=3: below it every",
        ),
    ):
        done = run(tmp_path, tiny, *settings)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith(message), done.stderr
    assert not list(tmp_path.glob("runs/store/*-*"))
