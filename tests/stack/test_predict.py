"""A stack at work: texts of any length, in any company."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.stack.stacks import stack
from xlnu.mtllm.trained import save
from xlnu.stack.inputs import Tokens
from xlnu.stack.predict import Predictor
from xlnu.stack.windows import Window
from xlnu.tiny.build import Built

SENTENCES = [
    f"the {colour} {noun} sees the old horse."
    for colour in ("red", "old", "big")
    for noun in ("boy", "man", "baker", "horse")
]
LONG = " ".join(SENTENCES)
LENGTH = 40
TEXTS = [["x"], [LONG], ["the boy sees the old horse."], [LONG[: len(LONG) // 2]], ["a red plum"]]
CODES = ["qaa_Latn", "eng_Latn", "eng_Latn", "eng_Latn", "qab_Cyrl"]


def opened(built: Built, place: Path, **about: Any) -> Predictor:
    model = stack(str(built.mt), str(built.llm), **({"length": LENGTH} | about))
    save(model, place, str(built.mt), "# A card\n")
    return Predictor.open(str(place))


@pytest.fixture(scope="module")
def predictor(tiny: Built, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return opened(tiny, tmp_path_factory.mktemp("predict") / "stack")


def windows(predictor: Predictor, segments: list[str]) -> list[Tokens]:
    (found,) = predictor.windows.of([segments], ["eng_Latn"])
    return [one.tokens for one in found]


def inside(predictor: Predictor, tokens: Tokens) -> str:
    return str(predictor.reader.tokenizer.decode(tokens.ids, skip_special_tokens=True))


def test_a_short_text_is_read_as_it_is(predictor: Predictor) -> None:
    (found,) = windows(predictor, ["the boy sees the old horse."])
    assert found == predictor.reader.read([["the boy sees the old horse."]], ["eng_Latn"])[0]


def test_a_long_text_is_read_in_windows_of_whole_sentences(predictor: Predictor) -> None:
    found = windows(predictor, [LONG])
    assert len(found) > 2
    assert all(len(one.ids) <= LENGTH for one in found)
    texts = [inside(predictor, one) for one in found]
    assert " ".join(" ".join(texts).split()) == " ".join(
        inside(predictor, predictor.reader.read([[LONG]], ["eng_Latn"])[0]).split()
    )
    assert all(text.rstrip().endswith(".") for text in texts)
    sizes = [len(one.ids) for one in found]
    assert all(one + other > LENGTH for one, other in itertools.pairwise(sizes)), "as few as there can be"


def test_each_window_of_a_passage_has_its_question(tiny: Built, tmp_path: Path) -> None:
    predictor = opened(tiny, tmp_path / "stack", task="pair", separator=" | ")
    question = "the man sees it?"
    found = windows(predictor, [LONG, question])
    ids = predictor.reader.tokenizer(f" | {question}", add_special_tokens=False)["input_ids"]
    assert len(found) > 2
    for one in found:
        assert len(one.ids) <= LENGTH
        assert one.ids[-1 - len(ids[1:]) : -1] == ids[1:]


def test_words_are_read_in_windows_of_whole_words(tiny: Built, tmp_path: Path) -> None:
    predictor = opened(tiny, tmp_path / "stack", task="tokens")
    words = LONG.split()
    found = windows(predictor, words)
    assert len(found) > 2
    assert all(len(one.ids) <= LENGTH for one in found)
    assert sum(max(one.groups) for one in found) == len(words)
    (answer,) = predictor.read([words], ["eng_Latn"])
    assert answer.logits.shape == (len(words), 3)


def test_a_sentence_longer_than_a_window_is_read_up_to_its_end(predictor: Predictor) -> None:
    endless = " ".join(["the old horse"] * 40)
    found = windows(predictor, [f"the boy sees it. {endless}. the man sees it."])
    assert max(len(one.ids) for one in found) == LENGTH
    assert "man" in inside(predictor, found[-1])
    assert all(one.ids[-1] == predictor.reader.tokenizer.eos_token_id for one in found)


def test_windows_count_by_their_tokens(predictor: Predictor) -> None:
    found = windows(predictor, [LONG])
    assert len({len(one.ids) for one in found}) > 1, "else the test shows little"
    said = predictor.pooled([Window(one) for one in found])
    right = sum(one * len(tokens.ids) for one, tokens in zip(said, found, strict=True))
    (answer,) = predictor.read([[LONG]], ["eng_Latn"])
    torch.testing.assert_close(answer.pooled, right / sum(len(one.ids) for one in found), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(
        answer.logits, answer.pooled[0] @ predictor.model.head.weight.T, atol=1e-5, rtol=1e-5
    )
    assert answer.tokens == sum(len(one.ids) for one in found)


@pytest.mark.parametrize("batch_tokens", [1, 100, 100_000])
def test_neither_company_nor_order_changes_an_answer(batch_tokens: int, predictor: Predictor) -> None:
    alone = [predictor.read([text], [code])[0] for text, code in zip(TEXTS, CODES, strict=True)]
    together = Predictor(predictor.model, predictor.reader, batch_tokens)
    for way in (1, -1):
        for found, right in zip(together.read(TEXTS[::way], CODES[::way]), alone[::way], strict=True):
            torch.testing.assert_close(found.pooled, right.pooled, atol=1e-6, rtol=1e-6)
            torch.testing.assert_close(found.logits, right.logits, atol=1e-6, rtol=1e-5)
            assert found.tokens == right.tokens


def test_choices_of_different_numbers_stand_beside_each_other(tiny: Built, tmp_path: Path) -> None:
    predictor = opened(tiny, tmp_path / "stack", task="choice", labels=None, length=60)
    short = ["the boy sees it.", "who sees it?", "the boy", "the man"]
    long = [LONG, "who sees it?", "the boy", "the man", "the horse", "the plum"]
    one, other = predictor.read([short, long], ["eng_Latn"] * 2)
    assert (one.logits.shape, other.logits.shape) == ((2,), (4,))
    (alone,) = predictor.read([short], ["eng_Latn"])
    torch.testing.assert_close(one.logits, alone.logits, atol=1e-6, rtol=1e-5)


def test_a_number_is_one(tiny: Built, tmp_path: Path) -> None:
    predictor = opened(tiny, tmp_path / "stack", task="regression", labels=None)
    (found,) = predictor.read([["the boy"]], ["eng_Latn"])
    assert found.logits.shape == (1,)


def test_nothing_asked_is_nothing_said(predictor: Predictor) -> None:
    assert predictor.read([], []) == []
