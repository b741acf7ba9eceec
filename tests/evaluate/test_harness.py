"""What an LLM alone scores is what the lm-evaluation-harness itself gives it."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.evaluate.evaluated import belebele, report, run
from xlnu.evaluate.benchmarks import formats, official
from xlnu.evaluate.harness import PROMPTS
from xlnu.languages import declare, resolve
from xlnu.tiny.build import Built

REAL = os.environ.get("XLNU_REAL_DATA")


def by_the_harness(model: str, task: str, documents: list[dict[str, Any]]) -> dict[str, float]:
    from datasets import Dataset
    from lm_eval import evaluator
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    rows = Dataset.from_list(documents)
    own = {"task": task, "custom_dataset": lambda **_: dict.fromkeys(("train", "validation", "test"), rows)}
    manager = TaskManager()
    loaded = manager.load({"group": "g", "task": [own]})["tasks"]
    lm = HFLM(pretrained=model, device="cpu", dtype="float32", batch_size=1)
    found: dict[str, float] = evaluator.evaluate(lm, loaded, bootstrap_iters=0)["results"][task]
    return found


@pytest.mark.timeout(600)
def test_it_is_the_harnesss_own_number(tiny: Built, tmp_path: Path) -> None:
    given = "benchmarks=['xnli=tiny:data/nli/test.{language}.tsv', belebele=tiny:data/choice/test]"
    done = run(tmp_path, tiny, given, "model=tiny:llm", "at_most=30", "guesses=false", "harness.dtype=float32")
    assert done.returncode == 0, done.stderr
    scores = {(one["benchmark"], one["language"], one["metric"]): one for one in report(tmp_path)["scores"]}
    language = declare("qaa_Latn", "Qaa")
    for name, path, task in (
        ("xnli", tiny.data / "nli" / "test.qaa_Latn.tsv", "xnli_en"),
        ("belebele", tiny.data / "choice" / "test" / "qaa_Latn.jsonl", "belebele_eng_Latn"),
    ):
        items = formats.read(name, path, language)[:30]
        documents = [PROMPTS[name].document(item.segments, [str(item.label)]) for item in items]
        theirs = by_the_harness(str(tiny.llm), task, documents)
        for ours, its in (("accuracy", "acc,none"), ("accuracy_norm", "acc_norm,none")):
            if its in theirs:
                assert scores[name, "qaa_Latn", ours]["value"] == pytest.approx(theirs[its], abs=1e-4)
        assert scores[name, "qaa_Latn", "accuracy"]["signature"].endswith(task)


def test_every_prompt_is_one_that_the_harness_has() -> None:
    from lm_eval.tasks import TaskManager

    there = TaskManager().task_index
    assert [name for name, prompt in PROMPTS.items() if prompt.english not in there] == []
    assert set(PROMPTS) < set(official.OFFICIAL)
    for name, tag, task in (
        ("xnli", "sw", "xnli_sw"), ("xcopa", "quy_Latn", "xcopa_qu"), ("mgsm", "te", "mgsm_direct_te"),
        ("belebele", "lug_Latn", "belebele_lug_Latn"), ("xquad", "el", "xquad_el"),
    ):  # fmt: skip
        assert PROMPTS[name].task.format(**formats.names(resolve(tag))) == task
        assert task in there


@pytest.mark.skipif(not REAL, reason="needs real data")
@pytest.mark.timeout(900)
def test_real_benchmarks_are_asked_by_their_own_prompts(tiny: Built, tmp_path: Path) -> None:
    """And what guesses score on them is what their labels say."""
    for code in ("eng_Latn", "deu_Latn"):
        belebele(Path(REAL or "", "belebele_en_de", f"{code}.jsonl"), tmp_path / "data")
    those = ", ".join(f"{name}={REAL}/{name}" for name in ("xcopa", "mgsm", "nusax"))
    places = f"benchmarks=[{those}, belebele={tmp_path}]"
    done = run(tmp_path, tiny, places, "model=tiny:llm", "languages=[sw,th,jv,deu_Latn]", "at_most=6")
    assert done.returncode == 0, done.stderr
    found = report(tmp_path)
    asked = {(one["benchmark"], one["language"]): one["signature"].partition(": ")[2] for one in found["scores"]
             if one["mode"] == "zero_shot"}  # fmt: skip
    assert asked == {
        ("xcopa", "swh_Latn"): "xcopa_sw", ("xcopa", "tha_Thai"): "xcopa_th",
        ("mgsm", "eng_Latn"): "mgsm_direct_en", ("mgsm", "swh_Latn"): "mgsm_direct_sw",
        ("mgsm", "tha_Thai"): "mgsm_direct_th", ("mgsm", "deu_Latn"): "mgsm_direct_de",
        ("nusax", "eng_Latn"): "afrisenti_swa_prompt_1", ("nusax", "jav_Latn"): "afrisenti_swa_prompt_1",
        ("belebele", "eng_Latn"): "belebele_eng_Latn", ("belebele", "deu_Latn"): "belebele_deu_Latn",
    }  # fmt: skip
    lacking = {one["where"]: one["finding"] for one in found["findings"] if one["check"] == "languages"}
    assert lacking["xcopa"] == "has no file for jav_Latn, deu_Latn"
