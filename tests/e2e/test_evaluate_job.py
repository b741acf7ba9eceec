"""`python jobs/evaluate.py` as a user runs it, on models of every kind, in a world that makes no sense."""

import signal
from pathlib import Path

import pytest

from tests.evaluate.evaluated import a_classifier, a_stack, report, run, start
from xlnu.tiny.build import Built

pytestmark = pytest.mark.timeout(900)

NLI = "benchmarks=['xnli=tiny:data/nli/test.{language}.tsv']"


def test_a_stack_a_classifier_and_an_llm_are_scored_beside_guesses(tiny: Built, tmp_path: Path) -> None:
    stack, classifier = a_stack(tmp_path, tiny), a_classifier(tmp_path, tiny)
    those = [f"model={stack}", f"models=[hf={classifier}, llm=tiny:llm]", "at_most=8"]
    translating = ["ways=[direct,translate_test]", "translator.model=tiny:mt", "translator.max_tokens=20"]
    done = run(tmp_path, tiny, NLI, *those, *translating)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "runs/evaluate/report.html"
    found = report(tmp_path)
    scores = {(one["model"], one["mode"], one["language"], one["metric"]): one for one in found["scores"]}
    languages = ("eng_Latn", "qaa_Latn", "qab_Cyrl")
    accuracies = {place[:3] for place in scores if place[3] == "accuracy"}
    direct = [("stack_pair", "stacked"), ("hf", "classifier"), ("llm", "zero_shot")]
    guesses = [(None, "majority"), (None, "random")]
    assert accuracies == {
        *((*who, language) for who in (*direct, *guesses) for language in languages),
        *((name, "translate_test", language) for name, _ in direct for language in languages[1:]),
    }
    assert all(one["n"] == 8 for one in scores.values())
    addresses = {step["address"] for step in found["steps"]}
    assert {one["address"] for one in scores.values()} <= addresses, "each number has the step it came from"
    llm = scores["llm", "zero_shot", "qaa_Latn", "accuracy"]
    assert llm["signature"].startswith("lm-eval ")
    assert llm["signature"].endswith(": xnli_en")
    assert {one["other"] for one in found["comparisons"]} > {"hf classifier", "llm zero_shot", "majority"}
    assert {one["one"] for one in found["comparisons"]} == {"stack_pair stacked"}
    assert {one["group"] for one in found["averages"]} >= {"all targets", "encoder: seen"}
    assert {(one["mode"], one["correct"]) for one in found["samples"]} >= {("stacked", False), ("zero_shot", False)}

    again = run(tmp_path, tiny, NLI, *those, *translating)
    assert "nothing was left to do: every step was done before" in again.stderr
    assert report(tmp_path)["scores"] == found["scores"]


def test_an_adapter_of_an_llm_answers_what_is_written(tiny: Built, tmp_path: Path) -> None:
    import peft
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = AutoModelForCausalLM.from_pretrained(tiny.llm)
    torch.manual_seed(0)
    tuned = peft.get_peft_model(base, peft.LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False))
    tuned.save_pretrained(str(tmp_path / "adapter"))
    AutoTokenizer.from_pretrained(tiny.llm).save_pretrained(tmp_path / "adapter")  # type: ignore[no-untyped-call]
    written = ["benchmarks=[mkqa=tiny:data/mkqa, flores=tiny:data/flores]", "at_most=10", "answer.max_new_tokens=8"]
    written.append("comet=tiny:qe")
    done = run(tmp_path, tiny, f"model={tmp_path}/adapter", "models=[llm=tiny:llm]", *written)
    assert done.returncode == 0, done.stderr
    found = report(tmp_path)
    metrics = {(one["model"], one["metric"], one["language"]) for one in found["scores"]}
    for name in ("adapter", "llm"):
        assert {(name, "exact_match", "eng_Latn"), (name, "chrf_to_source", "qab_Cyrl")} <= metrics
        assert {(name, "comet_to_source", "qaa_Latn"), (name, "comet_from_source", "qab_Cyrl")} <= metrics
    judged = [one for one in found["scores"] if one["metric"].startswith("comet")]
    assert {one["signature"].partition("@")[0] for one in judged} == {f"COMET {tiny.qe.name}"}
    assert {one["n"] for one in judged} == {10}
    said = {(one["model"], one["question"]): one["said"] for one in found["samples"]}
    both = [(said["adapter", q], said["llm", q]) for name, q in said if name == "llm" and ("adapter", q) in said]
    assert any(one != other for one, other in both), "it is asked with its adapter"


def test_killed_in_the_middle_it_asks_nothing_twice(tiny: Built, tmp_path: Path) -> None:
    stack = a_stack(tmp_path, tiny)
    those = [NLI, f"model={stack}", "models=[llm=tiny:llm]", "harness.rows_per_part=6", "at_most=8"]
    child = start(tmp_path, tiny, *those, start_new_session=True)
    assert child.stderr is not None
    next(line for line in child.stderr if "answers_xnli: done" in line)  # the second of two models is asked
    child.send_signal(signal.SIGKILL)
    child.communicate()
    done = run(tmp_path, tiny, *those)
    assert done.returncode == 0, done.stderr
    assert "answers_xnli: done before, 24 rows" in done.stderr
    undisturbed = run(tmp_path, tiny, *those, "run.store=other", "run.dir=runs/other")
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert report(tmp_path)["scores"] == report(tmp_path, "other")["scores"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["model=tiny:llm"], "benchmarks: name at least one, as benchmarks=[sib200=FOLDER]"),
        ([NLI, "guesses=false"], "model: name at least one, or guesses=true"),
        (["model=tiny:llm", "benchmarks=[xlni]"], "'xlni' is no benchmark (did you mean xnli?)"),
        (["model=tiny:llm", "benchmarks=[xcopa=/nowhere/at/all]"], "xcopa: /nowhere/at/all: there is no such file"),
        (["model=tiny:mt", NLI], "is M2M100ForConditionalGeneration: what can be evaluated is a stack"),
        (
            ["model=STACK", "benchmarks=[sib200=tiny:data/topic]"],
            "STACK: can answer none of the benchmarks; sib200: ",
        ),
        (["model=tiny:llm", NLI.replace("'", "")], "in a list, what holds a { stands in quotation marks"),
        (["models=[one]", NLI], "models: 'one': each is NAME=FOLDER or NAME=HUB/NAME"),
        (["models=[a=tiny:llm, a=tiny:llm]", NLI], "models: two are called a"),
        (["model=tiny:llm", NLI, "ways=[translate_test]"], "translator.model: must be given"),
    ],
)
def test_mistakes_are_told_in_one_line(settings: list[str], told: str, tiny: Built, tmp_path: Path) -> None:
    stack = a_stack(tmp_path, tiny) if "model=STACK" in settings else Path("none")
    done = run(tmp_path, tiny, *(one.replace("STACK", str(stack)) for one in settings))
    assert done.returncode == 2, done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("evaluate: ")
    assert told.replace("STACK", stack.name) in line
    assert "Traceback" not in done.stderr
