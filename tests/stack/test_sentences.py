"""A stack's directory as a SentenceTransformer, and on a task of MTEB's."""

import json
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from mteb.abstasks import AbsTaskClassification
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.abstasks.text.bitext_mining import AbsTaskBitextMining
from sentence_transformers import SentenceTransformer

from tests.stack.stacks import stack
from tests.stack.test_artefact import adapted
from xlnu.errors import UserError
from xlnu.mtllm.trained import save
from xlnu.stack.mteb import MtebEncoder
from xlnu.stack.predict import Predictor
from xlnu.tiny.build import Built

LONG = " ".join(["the boy sees the old horse."] * 40)
GIVEN = [("the boy sees the old horse.", "eng_Latn"), (LONG, "eng_Latn"), ("x", "qaa_Latn"), ("a b", "qab_Cyrl")]
OPEN: Any = SentenceTransformer


@pytest.fixture(scope="module")
def folder(tiny: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With an adapter, a head, and windows of 64 tokens."""
    model = adapted(stack(str(tiny.mt), str(tiny.llm), length=64))
    place = tmp_path_factory.mktemp("sentences") / "stack"
    save(model, place, str(tiny.mt), "# A card\n")
    return place


def pooled(folder: Path, given: list[tuple[str, str]] = GIVEN) -> np.ndarray[Any, Any]:
    read = Predictor.open(str(folder)).read([[text] for text, _ in given], [language for _, language in given])
    return torch.stack([one.pooled[0] for one in read]).numpy()


def same(found: Any, right: Any) -> None:
    np.testing.assert_allclose(np.asarray(found), right, atol=1e-6)


def test_it_gives_the_predictors_pooled_states(folder: Path) -> None:
    """Each text in its own language, long ones in windows, in the order given; one alone as well."""
    model = OPEN(str(folder), device="cpu")
    texts = [{"text": text, "language": language} for text, language in GIVEN]
    right = pooled(folder)
    same(model.encode(texts), right)
    same(model.encode(texts, batch_size=1), right)
    same(model.encode(texts[2]), right[2])
    assert model.get_embedding_dimension() == right.shape[1]
    assert model.max_seq_length == 64
    assert model.similarity(right[:1], right[:1]).item() == pytest.approx(1)


def test_a_call_has_a_language(folder: Path) -> None:
    model = OPEN(str(folder), device="cpu")
    texts = [text for text, _ in GIVEN if text != LONG]
    right = pooled(folder, [(text, "qaa_Latn") for text in texts])
    same(model.encode(texts, language="qaa_Latn"), right)
    same(model.encode(texts, prompt="qaa_Latn"), right)
    named = OPEN(str(folder), device="cpu", prompts={"SIB200Classification": "qaa_Latn"})
    same(named.encode(texts, prompt_name="SIB200Classification"), right)
    assert np.abs(right - pooled(folder, [(text, "eng_Latn") for text in texts])).max() > 1e-3
    same(model.encode(texts), pooled(folder, [(text, "eng_Latn") for text in texts]))
    same(model.encode_query(texts), pooled(folder, [(text, "eng_Latn") for text in texts]))


def test_the_languages_are_prompts_by_their_names(folder: Path) -> None:
    """The encoder here knows none but English of those that there are; NLLB's would."""
    model = OPEN(str(folder), device="cpu")
    same(model.encode(["x"], prompt_name="eng_Latn"), pooled(folder, [("x", "eng_Latn")]))
    with pytest.raises(UserError, match=r"prompt: 'swh_Latn': .*swh_Latn: the encoder does not know this language"):
        model.encode(["x"], prompt_name="swh_Latn")


def test_what_is_no_language_is_no_prompt(folder: Path) -> None:
    model = OPEN(str(folder), device="cpu")
    with pytest.raises(UserError, match="prompt: 'query: ': to a stack it is the language of the texts"):
        model.encode(["x"], prompt="query: ")
    with pytest.raises(UserError, match="not with text, lang"):
        model.encode([{"text": "x", "lang": "qaa_Latn"}])


def test_two_texts_are_a_pair(tiny: Built, tmp_path: Path) -> None:
    model = stack(str(tiny.mt), str(tiny.llm), task="pair", separator=" | ")
    save(model, tmp_path / "stack", str(tiny.mt), "# A card\n")
    right = Predictor.open(str(tmp_path / "stack")).read([["the boy", "the horse"]], ["eng_Latn"])[0].pooled
    same(OPEN(str(tmp_path / "stack"), device="cpu").encode([("the boy", "the horse")]), right)


@pytest.mark.parametrize("task", ["choice", "tokens"])
def test_whatever_the_head_answers_a_text_is_one_state(task: str, tiny: Built, tmp_path: Path) -> None:
    model = stack(str(tiny.mt), str(tiny.llm), task=task)
    save(model, tmp_path / "stack", str(tiny.mt), "# A card\n")
    text = "the boy sees the old horse."
    found = OPEN(str(tmp_path / "stack"), device="cpu").encode([text])
    plain = json.loads((tmp_path / "stack" / "config.json").read_text())
    assert plain["task"] == task
    model.config.task = None
    del model.head
    save(model, tmp_path / "bare", str(tiny.mt), "# A card\n")
    same(found, pooled(tmp_path / "bare", [(text, "eng_Latn")]))


def test_it_saves_what_it_opened(folder: Path, tmp_path: Path) -> None:
    model = OPEN(str(folder), device="cpu")
    model.save_pretrained(str(tmp_path / "again"))
    same(OPEN(str(tmp_path / "again"), device="cpu").encode([LONG]), pooled(folder, [(LONG, "eng_Latn")]))
    same(pooled(tmp_path / "again"), pooled(folder))


def test_its_parents_may_have_moved(folder: Path, tiny: Built) -> None:
    model = OPEN(str(folder), device="cpu", model_kwargs={"llm": str(tiny.llm), "dtype": torch.bfloat16})
    assert {one.dtype for one in model.parameters()} == {torch.bfloat16}
    with pytest.raises(UserError, match="is not what this stack was trained with"):
        OPEN(str(folder), device="cpu", model_kwargs={"llm": str(tiny.mt)})


# ------------------------------------------------------------------------------------------------ MTEB


def about(kind: Any, name: str, languages: Any, score: str) -> TaskMetadata:
    return TaskMetadata(
        name=name, description="In memory.", type=kind, category="t2c", eval_splits=["test"], main_score=score,
        eval_langs=languages, dataset={"path": "none", "revision": "none"},
    )  # fmt: skip


class Topics(AbsTaskClassification):
    metadata = about("Classification", "Topics", {"en": ["eng-Latn"], "aa": ["swh-Latn"]}, "accuracy")
    n_experiments = 1

    def load_data(self, num_proc: int | None = None, **_: Any) -> None:  # noqa: ARG002
        texts = ["the boy sees the old horse.", "a baker buys a red plum."]
        rows = Dataset.from_dict({"text": texts * 8, "label": [0, 1] * 8})
        self.dataset = {subset: DatasetDict(train=rows, test=rows) for subset in ("en", "aa")}
        self.data_loaded = True


class Pairs(AbsTaskBitextMining):
    metadata = about("BitextMining", "Pairs", {"en-aa": ["eng-Latn", "swh-Latn"]}, "f1")

    def load_data(self, num_proc: int | None = None, **_: Any) -> None:  # noqa: ARG002
        rows = Dataset.from_dict({"sentence1": ["the boy", "the horse"], "sentence2": ["x", "y"]})
        self.dataset = {"en-aa": DatasetDict(test=rows)}
        self.data_loaded = True


class Parallel(AbsTaskBitextMining):
    parallel_subsets = True
    metadata = about("BitextMining", "Parallel", {"eng_Latn-qaa_Latn": ["eng-Latn", "swh-Latn"]}, "f1")

    def load_data(self, num_proc: int | None = None, **_: Any) -> None:  # noqa: ARG002
        rows = Dataset.from_dict({"eng_Latn": ["the boy", "the horse"], "qaa_Latn": ["x", "y"]})
        self.dataset = DatasetDict(test=rows)
        self.data_loaded = True


class Noting(MtebEncoder):
    """Notes which texts it was given in which language, and what came of them."""

    def encode(self, inputs: Any, **given: Any) -> Any:
        texts = [text for batch in inputs for text in batch["text"]]
        found = super().encode(inputs, **given)
        self.noted.append((texts, self._language(given["task_metadata"], given["hf_subset"]), found))
        return found

    noted: list[tuple[list[str], str, Any]]


def evaluated(folder: Path, task: Any, **given: Any) -> Noting:
    model = Noting(str(folder), device="cpu", **given)
    model.noted = []
    done = mteb.evaluate(model, task, cache=None, show_progress_bar=False)
    assert len(done.task_results) == 1
    return model


def test_mteb_reads_each_subset_in_its_language(folder: Path) -> None:
    model = evaluated(folder, Topics(), languages={"aa": "qaa_Latn"})
    assert {language for _, language, _ in model.noted} == {"eng-Latn", "qaa_Latn"}
    for texts, language, found in model.noted:
        same(found, pooled(folder, [(text, language) for text in texts]))


def test_mteb_reads_each_side_of_parallel_texts_in_its_language(folder: Path) -> None:
    model = evaluated(folder, Parallel())
    assert [(texts, language) for texts, language, _ in model.noted] == [
        (["the boy", "the horse"], "eng_Latn"),
        (["x", "y"], "qaa_Latn"),
    ]


def test_where_mteb_does_not_say_the_language_we_are_asked(folder: Path) -> None:
    with pytest.raises(UserError, match=r"Pairs: .* en-aa are in eng-Latn and swh-Latn, .*languages=\{'en-aa': "):
        evaluated(folder, Pairs())
    assert len(evaluated(folder, Pairs(), languages={"en-aa": "qaa_Latn"}).noted) == 2


def test_a_language_that_the_encoder_does_not_know_ends_it(folder: Path) -> None:
    with pytest.raises(UserError, match="swh_Latn: the encoder does not know this language"):
        evaluated(folder, Topics())
