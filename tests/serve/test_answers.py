"""What the endpoints answer is what the model says offline, whatever it was computed beside."""

import base64
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.serve.serving import CODES, LABELS, SENTENCES, STACKS, Server
from xlnu.stack.predict import Predictor

TOLERANCE = 1e-3
PASSAGE, QUESTION = "the boy sees the old horse near the river.", "who sees it?"
CHOICES = ["the boy", "a baker", "the red plum"]


def offline(place: Path, segments: list[str], language: str, as_text: bool = False) -> Any:
    predictor = Predictor.open(str(place))
    (answer,) = (predictor.as_text() if as_text else predictor).read([segments], [language])
    return answer


def probabilities(answer: Any) -> list[float]:
    found: list[float] = answer.logits.softmax(-1).tolist()
    return found


@pytest.mark.parametrize(("text", "code"), list(zip(SENTENCES, CODES, strict=True)))
def test_a_text_is_classified_as_offline(text: str, code: str, served: Server, stacks: dict[str, Path]) -> None:
    answer = offline(stacks["topic"], [text], code)
    said = served.ask("classify", input=text, language=code).json()
    (one,) = said["data"]
    right = probabilities(answer)
    assert one["label"] == LABELS[right.index(max(right))]
    found = {row["label"]: row["probability"] for row in one["labels"]}
    assert [found[label] for label in LABELS] == pytest.approx(right, abs=TOLERANCE)
    assert one["probability"] == max(found.values()) == one["labels"][0]["probability"]
    assert (one["language"], one["language_found"], said["model"]) == (code, False, "topic")
    assert said["usage"]["total_tokens"] == answer.tokens


def test_a_pair_is_classified_as_offline(served: Server, stacks: dict[str, Path]) -> None:
    right = probabilities(offline(stacks["nli"], SENTENCES[:2], "qaa_Latn"))
    given = {"text": SENTENCES[0], "pair": SENTENCES[1], "language": "qaa_Latn"}
    (one,) = served.data("classify", model="nli", input=given)
    found = {row["label"]: row["probability"] for row in one["labels"]}
    assert [found[label] for label in STACKS["nli"]["labels"]] == pytest.approx(right, abs=TOLERANCE)


def test_words_are_labelled_as_offline(served: Server, stacks: dict[str, Path]) -> None:
    words = SENTENCES[1].split()
    logits = offline(stacks["words"], words, "qab_Cyrl").logits
    (one,) = served.data("classify", model="words", input={"words": words, "language": "qab_Cyrl"})
    assert [row["word"] for row in one["words"]] == words
    labels = STACKS["words"]["labels"]
    assert [labels.index(row["label"]) for row in one["words"]] == logits.argmax(-1).tolist()
    right = logits.softmax(-1).max(-1).values.tolist()
    assert [row["probability"] for row in one["words"]] == pytest.approx(right, abs=TOLERANCE)


def test_a_pair_is_scored_as_offline(served: Server, stacks: dict[str, Path]) -> None:
    right = offline(stacks["sts"], SENTENCES[:2], "eng_Latn").logits.tolist()
    given = {"text": SENTENCES[0], "pair": SENTENCES[1]}
    (one,) = served.data("classify", model="sts", input=given, language="en")
    assert [one["score"]] == pytest.approx(right, abs=TOLERANCE)


@pytest.mark.parametrize("passage", [PASSAGE, ""])
def test_an_answer_is_chosen_as_offline(passage: str, served: Server, stacks: dict[str, Path]) -> None:
    right = probabilities(offline(stacks["pick"], [passage, QUESTION, *CHOICES], "qaa_Latn"))
    asked = {"passage": passage, "question": QUESTION, "choices": CHOICES, "language": "qaa_Latn"}
    (one,) = served.data("choose", **asked)
    assert one["probabilities"] == pytest.approx(right, abs=TOLERANCE)
    assert one["choice"] == right.index(max(right))
    assert served.data("choose", input=[asked, asked])[1] == {**one, "index": 1}


@pytest.mark.parametrize("model", ["topic", "pick", "words"])
def test_a_text_is_embedded_as_offline(model: str, served: Server, stacks: dict[str, Path]) -> None:
    right = offline(stacks[model], [SENTENCES[0]], "qac_Geor", as_text=True).pooled[0].tolist()
    asked = {"model": model, "input": SENTENCES[0], "language": "qac_Geor"}
    (one,) = served.data("embeddings", **asked)
    assert one["embedding"] == pytest.approx(right, abs=TOLERANCE)
    (packed,) = served.data("embeddings", **asked, encoding_format="base64")
    bare = base64.b64decode(packed["embedding"])
    assert struct.unpack(f"<{len(right)}f", bare) == pytest.approx(right, abs=TOLERANCE)


def test_the_nearest_comes_first(served: Server, stacks: dict[str, Path]) -> None:
    predictor = Predictor.open(str(stacks["topic"])).as_text()
    states = torch.stack([one.pooled[0] for one in predictor.read([[text] for text in SENTENCES], CODES)])
    right = torch.nn.functional.cosine_similarity(states[:1], states[1:]).tolist()
    candidates = [{"text": text, "language": code} for text, code in zip(SENTENCES[1:], CODES[1:], strict=True)]
    asked = {"input": {"text": SENTENCES[0], "language": CODES[0]}, "candidates": candidates}
    (one,) = served.data("similarity", **asked)
    assert [row["similarity"] for row in one["nearest"]] == pytest.approx(
        sorted(right, reverse=True), abs=TOLERANCE
    )
    assert [row["language"] for row in one["nearest"]] == [CODES[1 + row["index"]] for row in one["nearest"]]


def test_company_changes_no_answer(served: Server, stacks: dict[str, Path]) -> None:
    """Two hundred requests at once, of all lengths, languages and endpoints, are batched as it comes."""
    cases = [(SENTENCES[i % 4] * (1 + i % 3), CODES[i % 3]) for i in range(100)]
    predictor = Predictor.open(str(stacks["topic"]))
    right = {case: predictor.read([[case[0]]], [case[1]])[0] for case in set(cases)}

    def classify(case: tuple[str, str]) -> None:
        (one,) = served.data("classify", input=case[0], language=case[1])
        expected = probabilities(right[case])
        assert one["label"] == LABELS[expected.index(max(expected))]
        found = {row["label"]: row["probability"] for row in one["labels"]}
        assert [found[label] for label in LABELS] == pytest.approx(expected, abs=TOLERANCE)

    def embed(case: tuple[str, str]) -> None:
        (one,) = served.data("embeddings", input=case[0], language=case[1])
        assert one["embedding"] == pytest.approx(right[case].pooled[0].tolist(), abs=TOLERANCE)

    with ThreadPoolExecutor(32) as pool:
        for done in [pool.submit(ask, case) for ask in (classify, embed) for case in cases]:
            done.result()


def test_a_list_is_answered_in_its_order(served: Server) -> None:
    given = [{"text": text, "language": code} for text, code in zip(SENTENCES, CODES, strict=True)] * 8
    together = served.data("classify", input=given)
    assert [one["index"] for one in together] == list(range(32))
    alone = [served.data("classify", input=one)[0] for one in given[:4]]
    for one, other in zip(together, alone * 8, strict=True):
        assert (one["label"], one["language"]) == (other["label"], other["language"])
        assert one["probability"] == pytest.approx(other["probability"], abs=TOLERANCE)
