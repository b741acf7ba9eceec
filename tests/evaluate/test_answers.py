"""What models say to the questions: the same by both engines, also of an adapter alone; and what is asked."""

from pathlib import Path
from typing import Any

import pytest

from xlnu import steps
from xlnu.engines.adapters import merge
from xlnu.engines.checkpoint import find
from xlnu.errors import UserError
from xlnu.evaluate import answers, questions
from xlnu.evaluate.questions import EvaluateConfig
from xlnu.languages import Language, declare, resolve
from xlnu.progress import Display
from xlnu.steps import Step, Work
from xlnu.store import Store
from xlnu.tiny.build import Built
from xlnu.transfer.ask import AskConfig

pytestmark = [pytest.mark.timeout(400), pytest.mark.usefixtures("ray_here")]


def config(tiny: Built, **others: Any) -> EvaluateConfig:
    made = EvaluateConfig(
        mkqa=str(tiny.data / "mkqa" / "mkqa.jsonl"), flores=str(tiny.data / "flores"), at_most=6,
        compute="float32", max_new_tokens=8, **others,
    )  # fmt: skip
    made.pool.actors = 1
    return made


def languages() -> tuple[Language, Language]:
    return resolve("eng_Latn"), declare("qaa_Latn", "Velan")


def asked(tiny: Built, **others: Any) -> Step:
    source, other = languages()
    return questions.step(config(tiny, **others), AskConfig(), source, [other])


def adapter(tiny: Built, folder: Path) -> tuple[Step, Step]:
    """Random adapters on the tiny LLM, strong enough to change what it says, alone and merged. The LLM is not any
    more where the adapters say it was.
    """
    import peft
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_pretrained(tiny.llm)
    made: Any = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules="all-linear"))
    for name, one in made.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(one, std=0.5)
    made.peft_config["default"].base_model_name_or_path = "/it/was/here"
    made.save_pretrained(folder / "model")
    AutoTokenizer.from_pretrained(tiny.llm).save_pretrained(folder / "model")  # type: ignore[no-untyped-call]
    merge(str(tiny.llm), str(folder / "model"), folder / "merged")

    def run(work: Work) -> int:
        for path in (folder / work.name).iterdir():
            work.write_part.store.put(f"{work.write_part.address}/{path.name}", path)
        return 0

    return Step("model", {}, run), Step("merged", {}, run)


def said(todo: list[Step], store: Path) -> list[str]:
    made = steps.run(todo, Store(str(store)), Display())
    found: list[str] = made[todo[-1].address].table()["said"].to_pylist()
    return found


def test_both_engines_say_the_same_of_a_model_and_of_an_adapter_alone(tiny: Built, tmp_path: Path) -> None:
    (model, merged), found = adapter(tiny, tmp_path / "adapter"), {}
    base, ask, store = find("english.model", str(tiny.llm)), asked(tiny), tmp_path / "store"
    for engine in ("ct2", "hf"):
        about = config(tiny, engine=engine)
        found["before", engine] = said([ask, *answers.steps(about, ask, base)], store)
        after, below = (model, base) if engine == "ct2" else (merged, None)
        found["after", engine] = said([ask, after, *answers.steps(about, ask, after, below)], store)
    assert found["before", "ct2"] == found["before", "hf"]
    assert found["after", "ct2"] == found["after", "hf"]
    assert found["before", "hf"] != found["after", "hf"]
    assert len(found["after", "hf"]) == 6 * 2 + 6 * 2


def test_what_is_asked_is_in_the_files_words(tiny: Built, tmp_path: Path) -> None:
    ask = asked(tiny)
    rows = steps.run([ask], Store(str(tmp_path)), Display())[ask.address].table().to_pylist()
    lines = {code: (tiny.data / "flores" / "devtest" / f"{code}.devtest").read_text().splitlines() for code in
             ("eng_Latn", "qaa_Latn")}  # fmt: skip
    first = {(row["kind"], row["language"]): row for row in reversed(rows)}
    into, out = first["to_source", "qaa_Latn"], first["from_source", "qaa_Latn"]
    assert into["prompt"] == f"Translate this sentence from Velan to English:\n{lines['qaa_Latn'][0]}"
    assert into["right"] == [lines["eng_Latn"][0]]
    assert out["prompt"] == f"Translate this sentence from English to Velan:\n{lines['eng_Latn'][0]}"
    assert out["right"] == [lines["qaa_Latn"][0]]
    keys = {code: {row["key"] for row in rows if row["kind"] == "qa" and row["language"] == code} for code in lines}
    assert keys["eng_Latn"] == keys["qaa_Latn"], "one example has one key in all languages"


def test_a_sentence_that_stands_there_twice_is_two_examples(tiny: Built, tmp_path: Path) -> None:
    (tmp_path / "flores" / "devtest").mkdir(parents=True)
    for path in (tiny.data / "flores" / "devtest").glob("*.devtest"):
        (tmp_path / "flores" / "devtest" / path.name).write_text(2 * path.read_text())
    source, other = languages()
    about = config(tiny)
    about.flores, about.at_most = str(tmp_path / "flores"), 0
    ask = questions.step(about, AskConfig(), source, [other])
    rows = steps.run([ask], Store(str(tmp_path / "store")), Display())[ask.address].table().to_pylist()
    assert len({row["id"] for row in rows}) == len(rows) > 0


def test_other_words_are_other_questions_and_a_place_is_not(tiny: Built, tmp_path: Path) -> None:
    moved = tmp_path / "moved.jsonl"
    moved.write_bytes((tiny.data / "mkqa" / "mkqa.jsonl").read_bytes())
    source, other = languages()
    one, there = config(tiny), config(tiny)
    there.mkqa = str(moved)
    addresses = [questions.step(each, AskConfig(), source, [other]).address for each in (one, there)]
    assert addresses[0] == addresses[1]
    moved.write_text(moved.read_text() + "\n")
    assert questions.step(there, AskConfig(), source, [other]).address != addresses[0]


def test_a_benchmark_that_is_not_there_is_said_before_any_work(tiny: Built, tmp_path: Path) -> None:
    source, other = languages()
    for setting, message in (
        ("mkqa", "evaluate.mkqa: .*: no such file"),
        ("flores", "eng_Latn.devtest: no such file, and it is"),
    ):
        about = config(tiny)
        setattr(about, setting, str(tmp_path / "none"))
        with pytest.raises(UserError, match=message):
            questions.step(about, AskConfig(), source, [other])
