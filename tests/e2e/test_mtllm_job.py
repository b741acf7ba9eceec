"""`python jobs/mtllm.py` as a user runs it, on a tiny world that makes no sense."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mtllm.worlds import CONFIG, ONE_TASK
from xlnu.tiny.build import Built

pytestmark = pytest.mark.timeout(1200)

TOP = Path(__file__).parents[2]
FEW = [
    "tiny.size=xs", "languages=[qaa_Latn,qab_Cyrl]", *ONE_TASK, "align.batch=16", "align.micro=16",
    "align.evaluate_every=3", "teacher.batch=8", "teacher.micro=8", "teacher.least_steps=6",
    "teacher.evaluate_every=3", "distil.batch=8", "distil.micro=8", "distil.least_steps=6",
    "distil.evaluate_every=3", "translator.max_tokens=20",
]  # fmt: skip
OPEN = """
import sys, torch, xlnu
from transformers import AutoModel, AutoTokenizer
model, tokenizer = AutoModel.from_pretrained(sys.argv[1]), AutoTokenizer.from_pretrained(sys.argv[1])
tokenizer.src_lang = "qaa_Latn"
with torch.no_grad():
    said = model(**{k: v for k, v in tokenizer(["velo"], return_tensors="pt").items()})
print(type(model).__name__, tuple(said.logits.shape), model.config.labels)
"""


def run(folder: Path, tiny: Built, *settings: str) -> subprocess.CompletedProcess[str]:
    config = ["--config", str(CONFIG), f"tiny.cache={tiny.data.parent}"]
    command = [sys.executable, str(TOP / "jobs" / "mtllm.py"), *config, *FEW, *settings]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=900)


def test_it_leaves_a_stack_and_its_scores_beside_the_baselines(tiny: Built, tmp_path: Path) -> None:
    modes = "modes=[stacked,zero_shot,translate_test,multilingual,router]"
    done = run(
        tmp_path, tiny, modes, "multilingual.model=tiny:qe/encoder", "licences={llm: LLAMA, multilingual: MIT}"
    )
    assert done.returncode == 0, done.stderr
    tables, aligned, model, report = done.stdout.splitlines()[-4:]
    assert (tables, report) == ("runs/mtllm/tables.md", "runs/mtllm/report.html")
    assert (aligned, model) == ("runs/mtllm/models/aligned", "runs/mtllm/models/distilled_topic")
    assert (tmp_path / aligned / "manifest.json").exists()
    found = json.loads((tmp_path / "runs/mtllm/report.json").read_text())
    scores = [one for one in found["scores"] if one["metric"] != "macro_f1"]
    measured = {(one["mode"], one["language"], one["metric"], one["n"]) for one in scores}
    languages = ("eng_Latn", "qaa_Latn", "qab_Cyrl")
    assert measured == {
        *(("stacked", language, "accuracy", 12) for language in languages),
        *(("zero_shot", language, "accuracy", 12) for language in languages),
        *(("multilingual", language, "accuracy", 12) for language in languages),
        *(("majority", language, "accuracy", 12) for language in languages),
        *(("translate_test", language, "accuracy", 12) for language in languages[1:]),
        *(("router", language, "accuracy", 12) for language in languages[1:]),
    }
    names = [step["name"] for step in found["steps"]]
    for name in ("texts", "initial", "aligned", "teacher_topic", "embeddings_topic", "distilled_topic"):
        assert names.count(name) == 1, name
    opened = subprocess.run(
        [sys.executable, "-c", OPEN, str(tmp_path / model)], capture_output=True, text=True, check=False
    )
    assert opened.stdout.startswith("StackModel (1, 1, 6) ['animal', 'fruit', "), opened.stderr
    assert not list((tmp_path / "runs/store/training").glob("*/step-*")), "checkpoints of what is finished are gone"
    (alone,) = (tmp_path / "runs/store").glob("multilingual_topic-*")
    titles = [line for line in (alone / "README.md").read_text().splitlines() if line.startswith("# ")]
    assert len(titles) == 1
    assert titles[0].startswith("# encoder@"), "its own name, and no other parent's"
    assert " in front of " not in titles[0]
    assert "MIT" in (alone / "README.md").read_text()
    assert "LLAMA" not in (alone / "README.md").read_text()

    again = run(tmp_path, tiny, modes, "multilingual.model=tiny:qe/encoder")
    assert "nothing was left to do: every step was done before" in again.stderr
    assert json.loads((tmp_path / "runs/mtllm/report.json").read_text())["scores"] == found["scores"]

    other = run(tmp_path, tiny, "modes=[stacked]", "distil.seed=7", "--plan")
    assert other.returncode == 0, other.stderr
    cells = [line.split() for line in other.stdout.splitlines()]
    states = {line[0]: line[2] for line in cells if len(line) > 2 and line[1].startswith(f"{line[0]}-")}
    for name in ("teacher_topic", "embeddings_topic", "aligned"):
        assert states[name] == "done", "another seed of the student runs no teacher"
    assert states["distilled_topic"] == "to"


TOPIC, MOOD = "tiny:data/topic/{language}", "tiny:data/sentiment"
TWO_TASKS = [
    "tasks.format={topic: sib200, mood: nusax}",
    f"tasks.train={{topic: '{TOPIC}/train.tsv', mood: '{MOOD}/english/train.csv'}}",
    f"tasks.validation={{topic: '{TOPIC}/dev.tsv', mood: '{MOOD}/english/valid.csv'}}",
    f"tasks.test={{topic: '{TOPIC}/test.tsv', mood: '{MOOD}/{{name}}/test.csv'}}",
]


def plan(folder: Path, tiny: Built, *settings: str) -> list[tuple[str, str]]:
    """Names and addresses of the steps of two tasks."""
    done = run(folder, tiny, *TWO_TASKS, *settings, "--plan")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    return [(line[0], line[1]) for line in lines if line[1].startswith(f"{line[0]}-")]


def test_only_tasks_that_are_ablated_have_every_mode_and_variant(tiny: Built, tmp_path: Path) -> None:
    planned = {}
    for ablate in ("[topic]", "[]"):
        variants = "variants={mlp: {}, linear: {stack.fusion: linear}}"
        steps = plan(tmp_path, tiny, "modes=[stacked,encoder,stage2_only]", variants, f"ablate={ablate}")
        names = [name for name, _ in steps]
        planned[ablate] = {
            f"{name}_{task}": names.count(f"{name}_{task}")
            for task in ("topic", "mood")
            for name in ("distilled", "distilled_alone", "encoder")
        }
    once = {"distilled_topic": 2, "distilled_alone_topic": 1, "encoder_topic": 1}
    assert planned["[topic]"] == once | {"distilled_mood": 1, "distilled_alone_mood": 0, "encoder_mood": 1}
    assert planned["[]"] == once | {"distilled_mood": 2, "distilled_alone_mood": 1, "encoder_mood": 1}


def test_a_variant_and_a_task_are_trained_as_they_say(tiny: Built, tmp_path: Path) -> None:
    before = dict(plan(tmp_path, tiny, "modes=[stacked]"))
    longer = dict(plan(tmp_path, tiny, "modes=[stacked]", "variants={longer: {align.epochs: 2}}"))
    changed = {name for name, address in before.items() if longer[name] != address}
    own = ("distilled_{}", "said_{}_stacked", "scored_{}_stacked")
    assert changed == {"aligned", "probed", *(name.format(task) for name in own for task in ("topic", "mood"))}
    taught = dict(plan(tmp_path, tiny, "modes=[stacked]", "by_task={mood: {teacher.least_steps: 7}}"))
    changed = {name for name, address in before.items() if taught[name] != address}
    made = {"teacher_mood", "embeddings_mood", "distilled_mood", "said_mood_stacked", "scored_mood_stacked"}
    assert changed == made


def test_what_cannot_be_is_said_before_any_work(tiny: Built, tmp_path: Path) -> None:
    for settings, message in (
        (
            ["stack.input=dual"],
            "mtllm: stack.input: dual: stages 1 and 2 see task data in the source language alone",
        ),
        (["languages=[]"], "mtllm: languages: name at least one that the stack is to be tested in"),
        (["texts.path=''"], "mtllm: texts.path: must be given: unlabeled text in the source language, for stage 1"),
        (["tasks.format={topic: sib201}"], "mtllm: 'sib201' is no format (did you mean sib200?)"),
        (["tasks.test={topic: nowhere.tsv}"], "mtllm: tasks.test: topic, eng_Latn: there is no file nowhere.tsv"),
        (["variants={long: {align.epoch: 4}}"], "mtllm: align.epoch: no such key (variants.long); did you mean"),
        (
            ["variants={x: {teacher.lr: 1}}"],
            "mtllm: variants.x: teacher.lr: what differs here is stack, map, align",
        ),
        (["variants={x: {align.lr: 0}}"], "mtllm: align.lr: got 0 (variants.x); allowed: a number, above 0"),
        (
            ["variants={x: linear}"],
            "mtllm: variants.x: is a map of settings, as {{distil.epochs: 4}}; {{}}: all as",
        ),
        (["by_task={moods: {}}"], "mtllm: by_task: 'moods' is no task of tasks.format: topic"),
        (
            ["by_task={topic: {align.lr: 1}}"],
            "mtllm: by_task.topic: align.lr: what differs here is teacher, distil",
        ),
        (
            ["by_task={topic: {distil.lora.rank: 8}}"],
            "mtllm: distil.lora: stage 2 trains the adapter of stage 1 fu",
        ),
        (["ablate=[moods]"], "mtllm: ablate: 'moods' is no task of tasks.format: topic"),
        (["distil.batch=9"], "mtllm: distil.batch: 9 cannot be shared among 1 workers, each with distil.micro=8"),
        (["encoder.model=tiny:llm"], "mtllm: encoder.model: {llm}: is a llama, and no translation model with an"),
        (["llm.model=tiny:qe/encoder"], "mtllm: llm.model: {qe}/encoder: is a xlm-roberta, and no LLM; give it as"),
        (["modes=[multilingual]"], "mtllm: multilingual.model: must be given: a folder with a checkpoint, or a"),
        (
            ["modes=[multilingual]", "multilingual.model=tiny:llm"],
            "mtllm: multilingual.model: {llm}: is a llama, and none of: bert, roberta, xlm-roberta, xlm-",
        ),
        (
            ["languages=[swh_Latn]"],
            "mtllm: swh_Latn: the encoder does not know this language; say which one that it",
        ),
    ):
        done = run(tmp_path, tiny, *settings)
        assert done.returncode == 2, done.stderr
        assert done.stderr.splitlines()[-1].startswith(message.format(llm=tiny.llm, qe=tiny.qe)), done.stderr
    assert not list(tmp_path.glob("runs/store/*-*"))
