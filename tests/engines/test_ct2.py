"""CTranslate2 as our engines use it, held against transformers on the same checkpoints."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from xlnu.engines.base import Decoding
from xlnu.engines.chat import question
from xlnu.engines.ct2 import Ct2Generator, Ct2Translator, compute_type, convert
from xlnu.engines.hf import HfGenerator, HfTranslator
from xlnu.errors import UserError
from xlnu.languages import declare, resolve
from xlnu.tiny.build import Built

ENGLISH, VELAN = resolve("eng_Latn"), declare("qaa_Latn", "Velan")


@pytest.fixture(scope="module")
def folders(able: Built, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for name, model in (("llm", able.llm), ("mt", able.mt)):
        made[name] = tmp_path_factory.mktemp(name)
        convert(str(model), "float32", made[name])
    return made


@pytest.fixture(scope="module")
def translator(folders: dict[str, Path]) -> Ct2Translator:
    return Ct2Translator(folders["mt"], "float32", beam=1, max_tokens=8, batch_tokens=512, threads=1, gpus=0)


@pytest.fixture(scope="module")
def reference(able: Built) -> HfTranslator:
    return HfTranslator(str(able.mt), "float32", beam=1, max_tokens=8, batch_tokens=512, threads=1, gpus=0)


def lines(able: Built, code: str, n: int) -> list[str]:
    text = (able.data / "flores" / "devtest" / f"{code}.devtest").read_text(encoding="utf-8")
    return text.splitlines()[:n]


@pytest.mark.parametrize("forth", [True, False])
def test_a_translation_is_that_of_transformers(
    able: Built, translator: Ct2Translator, reference: HfTranslator, forth: bool
) -> None:
    source, target = (ENGLISH, VELAN) if forth else (VELAN, ENGLISH)
    texts = lines(able, source.code, 30)
    ours, theirs = (engine.translate(texts, source, target) for engine in (translator, reference))
    assert ours == theirs
    assert len({one.text for one in ours}) > 5, "a model that always says the same would make this easy"


def test_what_is_too_long_is_told(
    translator: Ct2Translator, reference: HfTranslator, able: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = lines(able, "eng_Latn", 30)
    for engine in (translator, reference):
        found = engine.translate(texts, ENGLISH, VELAN)
        assert {one.tokens for one in found if one.cut_off} == {8}, "8 tokens are all it may write"
        assert not all(one.cut_off for one in found)
        assert engine.translate([" ".join(texts * 60)], ENGLISH, VELAN)[0].cut_off
        monkeypatch.setattr(engine, "longest", 3)
        assert all(one.cut_off for one in engine.translate(texts, ENGLISH, VELAN)), "only their beginning was read"


def test_a_language_that_the_model_lacks_is_known_to_be_lacking(
    translator: Ct2Translator, reference: HfTranslator
) -> None:
    for engine in (translator, reference):
        assert engine.knows(VELAN)
        assert not engine.knows(resolve("swh_Latn"))
        assert not engine.knows(resolve("arb_Latn")), "NLLB has no code for it at all"


def test_nothing_asked_is_nothing_answered(translator: Ct2Translator, folders: dict[str, Path]) -> None:
    llm = Ct2Generator(folders["llm"], "float32", batch_tokens=512, threads=1, gpus=0)
    assert translator.translate([], ENGLISH, VELAN) == []
    assert llm.answer([], Decoding(5)) == []


def test_an_answer_is_that_of_transformers(able: Built, folders: dict[str, Path]) -> None:
    questions = [question(None, text, "", 0) for text in lines(able, "eng_Latn", 30)]
    ours = Ct2Generator(folders["llm"], "float32", batch_tokens=256, threads=1, gpus=0)
    theirs = HfGenerator(str(able.llm), "float32", batch_tokens=256, threads=1, gpus=0)
    found = ours.answer(questions, Decoding(4))
    assert found == theirs.answer(questions, Decoding(4))
    assert {one.cut_off for one in found} == {True, False}
    assert all(one.cut_off == (one.tokens == 4) for one in found if one.cut_off)


def test_drawing_is_refused_where_it_could_not_be_repeated(folders: dict[str, Path]) -> None:
    llm = Ct2Generator(folders["llm"], "float32", batch_tokens=512, threads=1, gpus=0)
    with pytest.raises(UserError, match="take temperature 0, or hf, vllm or openai"):
        llm.answer([question(None, "who?", "", 0)], Decoding(5, temperature=0.7))


def test_a_checkpoint_that_cannot_be_converted_is_named(able: Built, tmp_path: Path) -> None:
    shutil.copytree(able.qe / "encoder", tmp_path / "encoder")
    config = json.loads((tmp_path / "encoder/config.json").read_text())
    (tmp_path / "encoder/config.json").write_text(json.dumps(config | {"model_type": "albert"}))
    with pytest.raises(
        UserError, match=r"encoder: CTranslate2 does not convert it: .*; take the engine hf instead"
    ):
        convert(str(tmp_path / "encoder"), "float32", tmp_path)


def test_numbers_are_small_on_processors_and_halves_on_gpus() -> None:
    assert [compute_type("auto", gpus) for gpus in (0, 1)] == ["int8", "float16"]
    assert compute_type("float32", 1) == "float32"


def test_numbers_that_the_processor_does_not_have_are_one_line(folders: dict[str, Path]) -> None:
    with pytest.raises(UserError, match=r"compute=float16: .*; compute=auto always can"):
        Ct2Generator(folders["llm"], "float16", batch_tokens=512, threads=1, gpus=0)


def test_text_is_not_tidied(able: Built, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokenizers that ask for it (Llama 3's does) would make "a!= b" of "a != b"."""
    limits: Any = {"batch_tokens": 512, "threads": 1, "gpus": 0}
    more: Any = {"beam": 1, "max_tokens": 8}
    asked = [question(None, text, "", 0) for text in lines(able, "eng_Latn", 5)]
    for llm in (Ct2Generator(folders["llm"], "float32", **limits), HfGenerator(str(able.llm), "float32", **limits)):
        plain = llm.answer(asked, Decoding(9))
        monkeypatch.setattr(llm.tokenizer, "clean_up_tokenization_spaces", True)
        monkeypatch.setattr(type(llm.tokenizer), "clean_up_tokenization", staticmethod(lambda _: "tidied"))
        assert llm.answer(asked, Decoding(9)) == plain
        monkeypatch.undo()
    for mt in (
        Ct2Translator(folders["mt"], "float32", **more, **limits),
        HfTranslator(str(able.mt), "float32", **more, **limits),
    ):
        said = mt.translate(lines(able, "eng_Latn", 5), ENGLISH, VELAN)
        monkeypatch.setattr(mt.tokenizer, "clean_up_tokenization_spaces", True)
        monkeypatch.setattr(type(mt.tokenizer), "clean_up_tokenization", staticmethod(lambda _: "tidied"))
        assert mt.translate(lines(able, "eng_Latn", 5), ENGLISH, VELAN) == said
        monkeypatch.undo()


def test_int8_translates_too(able: Built, tmp_path: Path) -> None:
    convert(str(able.mt), "int8", tmp_path)
    small = Ct2Translator(tmp_path, "int8", beam=2, max_tokens=8, batch_tokens=512, threads=1, gpus=0)
    texts = lines(able, "eng_Latn", 5)
    assert len(small.translate(texts, ENGLISH, VELAN)) == 5
    assert (tmp_path / "model.bin").stat().st_size < 0.4 * sum(
        f.stat().st_size for f in able.mt.glob("*.safetensors")
    )
