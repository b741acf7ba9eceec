"""Labels of words over translations: by hand, and with the tiny world's translation model."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers import AutoTokenizer

from tests.evaluate.measures import answer, measures
from xlnu.engines.checkpoint import find
from xlnu.errors import UserError
from xlnu.evaluate import said
from xlnu.evaluate.benchmarks import conll
from xlnu.evaluate.benchmarks.items import Item
from xlnu.evaluate.judge import Judge
from xlnu.evaluate.measured import Known, Measured, System
from xlnu.evaluate.schemas import ANSWERED
from xlnu.evaluate.spans import counts, f1
from xlnu.languages import Language, declare, resolve
from xlnu.mtllm import translated
from xlnu.mtllm.claims import claims
from xlnu.mtllm.projected import PROJECTED, ProjectConfig, Words, apart, back, together, words_of
from xlnu.mtllm.schemas import EXAMPLES
from xlnu.mtllm.tasks import Task
from xlnu.progress import Display
from xlnu.report.document import Mode
from xlnu.stack import parents
from xlnu.stack.project import THRESHOLD, align_words, piece_states
from xlnu.steps import Result, Rows, Step, Work, run
from xlnu.store import Store
from xlnu.tiny.build import Built
from xlnu.tiny.tongues import SOURCE
from xlnu.transfer.models import Mt
from xlnu.transfer.translate import TranslatorConfig, Way

LABELS = ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")
ENGLISH = resolve(SOURCE)
QAA = declare("qaa_Latn", "Qaa")


def task(kind: Any = "tokens", labels: Sequence[str] = LABELS) -> Task:
    return Task("names", kind, "conll", tuple(labels), {})


# Words


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["Ann", "(", "a", "smith", ")", ",", "sees", "3.5", "dogs", "."], "Ann (a smith), sees 3.5 dogs."),
        (["我", "爱", "北", "京", "。"], "我爱北京。"),
        (["ส", "วั", "ส", "ดี", "Bob", "!"], "สวัสดี Bob!"),
        (["दुनिया", "है", "।"], "दुनिया है।"),
        (["L'Italie", "well-known", "12:30", "?"], "L'Italie well-known 12:30?"),
    ],
)
def test_words_become_a_text_and_a_text_becomes_words(words: list[str], text: str) -> None:
    assert together(words) == text
    assert apart(text) == words


def test_only_labels_of_spans_are_carried() -> None:
    assert words_of(task("text", ["good", "bad"]), ProjectConfig(), None) is None
    with pytest.raises(UserError, match="and there are NOUN, O, VERB: leave out"):
        words_of(task(labels=["NOUN", "O", "VERB"]), ProjectConfig(), None)


def test_the_threshold_is_the_published_one() -> None:
    assert ProjectConfig().threshold == THRESHOLD


# Back from a translation


def logits(*tags: str, second: str = "O") -> "np.ndarray[Any, Any]":
    """Of a word each: 5 for its tag, more the further to the right, and 2 for another."""
    made = np.zeros((len(tags), len(LABELS)), dtype=np.float32)
    for at, tag in enumerate(tags):
        made[at, LABELS.index(second)] = 2
        made[at, LABELS.index(tag)] = 5 + at
    return made


def tags(numbers: Sequence[float]) -> list[str]:
    return [LABELS[int(number)] for number in numbers]


def test_what_was_said_goes_back_to_the_words_that_were_translated() -> None:
    """A name of two words whose order is turned about: its first word is B- wherever it stands."""
    found = logits("O", "B-PER", "I-PER", "B-LOC")
    answered, told = back(found, LABELS, [[3], [2], [1], []], 4)
    assert tags(answered) == ["B-LOC", "B-PER", "I-PER", "O"]
    assert told[0].tolist() == found[3].tolist()
    assert told[1].tolist() == found[1].tolist()  # what its first word had, and not what it is aligned with
    assert told[2].tolist() == found[2].tolist()
    assert not told[3].any()  # of it nothing is known


def test_one_word_that_becomes_two_has_its_tag_exchanged_in_the_second() -> None:
    answered, told = back(logits("B-LOC", "O"), LABELS, [[0], [0], [1]], 2)
    assert tags(answered) == ["B-LOC", "I-LOC", "O"]
    assert told[1, LABELS.index("I-LOC")] == told[0, LABELS.index("B-LOC")] == 5
    assert told[1, LABELS.index("B-LOC")] == told[0, LABELS.index("I-LOC")] == 0


def test_a_span_without_a_counterpart_is_lost() -> None:
    answered, told = back(logits("B-PER", "B-LOC"), LABELS, [[1], []], 2)
    assert tags(answered) == ["B-LOC", "O"]
    assert told.any(1).tolist() == [True, False]


def test_without_a_label_for_the_inside_a_span_is_its_first_word() -> None:
    few = ("B-LOC", "O")
    answered, told = back(np.array([[3, 1]], dtype=np.float32), few, [[0], [0]], 1)
    assert [few[int(number)] for number in answered] == ["B-LOC", "O"]
    assert told.any(1).tolist() == [True, False]


def test_words_that_were_not_answered_have_no_name() -> None:
    """A translation longer than the model reads."""
    assert tags(back(logits("B-PER"), LABELS, [[0], [2]], 3)[0]) == ["B-PER", "O"]


# Together


def answers(name: str, rows: Sequence[tuple[str, Any, Any]], of: Task) -> Step:
    """A step `said`: of each row its key, its gold and its logits, answered in qaa by what is likeliest."""

    def made(work: Work) -> int:
        found = []
        for key, gold, some in rows:
            best = np.atleast_1d(np.array(some).argmax(-1)).tolist()
            row: dict[str, Any] = {"id": f"{name} {key}", "reject": None, "language": "qaa_Latn", "key": key}
            row |= {"segments": ["?"], "gold": gold}
            written = [of.labels[one] for one in best] if of.labels else [str(some[0])]
            found.append(said.answered(row, of, written, np.array(some, dtype=np.float32).flatten().tolist(), 3))
        for part in work.todo(len(found), 100):
            work.write(part, pa.Table.from_pylist(found[part.start : part.stop], schema=ANSWERED))
        return len(found)

    return Step(name, {"rows": repr(rows)}, made)


def ensembled(folder: Path, one: Step, other: Step, of: Task) -> list[dict[str, Any]]:
    both = said.ensemble("both", one, other, of)
    results = run([one, other, both], Store(str(folder)), Display())
    found: list[dict[str, Any]] = results[both.address].table().to_pylist()
    return found


def test_two_modes_answer_by_the_mean_of_their_probabilities(tmp_path: Path) -> None:
    of = task("pair", ["a", "b"])
    one = answers("one", [("1", [0], [0.0, 1.0]), ("2", [1], [3.0, 0.0]), ("3", [1], [0.0, 1.0])], of)
    other = answers("other", [("2", [1], [0.0, 1.0]), ("1", [0], [9.0, 0.0])], of)
    found = ensembled(tmp_path, one, other, of)
    assert [(row["key"], row["said"], row["tokens"]) for row in found] == [("1", ["a"], 6), ("2", ["a"], 6)]
    kept = np.exp(found[0]["logits"])
    assert kept == pytest.approx((np.array([1, np.e]) / (1 + np.e) + np.array([1, np.exp(-9)])) / 2, abs=1e-3)


def test_of_words_the_one_decides_where_the_other_knows_nothing(tmp_path: Path) -> None:
    silent = np.zeros((2, len(LABELS)), dtype=np.float32)
    silent[0] = logits("B-PER")[0] * 2
    one = answers("one", [("1", [1, 0], logits("O", "B-LOC").tolist())], task())
    other = answers("other", [("1", [1, 0], silent.tolist())], task())
    (found,) = ensembled(tmp_path, one, other, task())
    assert found["said"] == ["B-PER", "B-LOC"]
    assert len(found["logits"]) == 2 * len(LABELS)


def test_of_a_regression_it_is_the_mean_value(tmp_path: Path) -> None:
    of = task("regression", [])
    one, other = answers("one", [("1", [2.5], [2.0])], of), answers("other", [("1", [2.5], [4.0])], of)
    (found,) = ensembled(tmp_path, one, other, of)
    assert (found["said"], found["logits"]) == (["3"], [3.0])


# Scores


def told(mode: Mode, answered: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> list[Measured]:
    rows = [
        answer("tokens", "qaa_Latn", f"{key}", tags, right, "names")
        for key, (tags, right) in enumerate(zip(answered, gold, strict=True))
    ]
    known = Known(ENGLISH, (QAA,), {"qaa_Latn": "low"})
    return measures(rows, Judge(ENGLISH, (QAA,), {}), System(mode, seed=0), known)


def test_names_are_scored_by_f1_and_held_against_one_another() -> None:
    gold = [["B-PER", "O"], ["O", "B-LOC"], ["O", "O"]] * 20
    worse = [["B-PER", "O"], ["O", "O"], ["B-LOC", "O"]] * 20
    score = told("translate_test", worse, gold)[0].score()
    assert (score.metric, score.value, score.n) == ("span_f1", 0.5, 60)
    assert score.ci_low is not None
    assert score.ci_low < 0.5
    nothing = told("majority", [["O", "O"]] * 60, gold)
    both = [told("ensemble", gold, gold), told("translate_test", worse, gold), nothing]
    found = [claim for claim in claims([one for some in both for one in some]) if "all target" in claim.claim]
    assert [claim.holds for claim in found] == [True]
    assert "span f1: a difference of +0.5 " in found[0].evidence
    perfect = both[0][0].score()
    assert perfect.value == perfect.ci_low == perfect.ci_high == 1
    assert nothing[0].value == 0


# With a translation model


def tags_of(item: Item) -> list[str]:
    assert isinstance(item.label, tuple)
    return list(item.label)


def example(item: Item, language: Language) -> dict[str, Any]:
    return {
        "id": f"{language.label} {item.key}", "reject": None, "task": "names", "split": "train",
        "language": language.label, "key": item.key, "segments": list(item.segments),
        "gold": [float(LABELS.index(tag)) for tag in tags_of(item)],
    }  # fmt: skip


def carried(
    folder: Path, built: Built, items: dict[Language, list[Item]], ways: dict[str, Way], *, into: bool
) -> dict[str, Result]:
    """By language, what the steps make of examples."""

    def examples(work: Work) -> int:
        rows = [example(item, language) for language, some in items.items() for item in some]
        if into:  # by these a model is chosen, in the language they are in: nobody translates them
            rows.append(rows[0] | {"id": "another", "key": "another", "split": "validation"})
        for part in work.todo(len(rows), 10_000):
            work.write(part, pa.Table.from_pylist(rows, schema=EXAMPLES))
        return len(rows)

    todo = [Step("examples", {}, examples)]

    def add(step: Step) -> Step:
        todo.append(step)
        return step

    config = TranslatorConfig(model=str(built.mt), compute="float32", max_tokens=60)
    config.pool.cpus = 1
    mt = Mt(config, None, {}, add)
    words = Words(LABELS, 0.1, find("translator.model", config.model, "main"))
    made = translated.steps("carried", todo[0], ways, mt, into=into, words=words)
    results = run([*todo, *made.values()], Store(str(folder)), Display())
    return {label: results[step.address] for label, step in made.items()}


def names(built: Built, code: str, at_most: int | None = None) -> list[Item]:
    return conll.read(built.data / f"ner/{code}/test.txt")[:at_most]


@pytest.mark.usefixtures("ray_here")
def test_each_row_comes_out_with_a_label_a_word_and_what_was_lost(tiny: Built, tmp_path: Path) -> None:
    """Of a world that hardly makes sense, in two languages at once, one of them a stand-in for a third."""
    qaa = declare("qaa_Latn", "Qaa")
    items = names(tiny, SOURCE, 40)
    ways = {one.label: Way(ENGLISH, one) for one in (qaa, replace(qaa, stands_in_for="qag_Armn"))}
    for label, made in carried(tmp_path, tiny, {ENGLISH: items}, ways, into=True).items():
        table = made.table()
        assert table.schema.equals(PROJECTED)
        rows = table.to_pylist()
        assert [row["key"] for row in rows] == [item.key for item in items]
        for row, item in zip(rows, items, strict=True):
            assert row["language"] == label
            assert len(row["gold"]) == len(row["segments"]) > 0
            assert len(row["links"]) == len(item.segments)
            assert all(0 <= word < len(row["segments"]) for some in row["links"] for word in some)
            before, after = (counts(some, some).gold for some in (tags_of(item), tags(row["gold"])))
            assert row["dropped"] == before - after >= 0


@pytest.mark.usefixtures("ray_here")
def test_names_reach_the_translation(able: Built, tmp_path: Path) -> None:
    """Tests stand in all languages: where the translation is what stands there, its tags are known."""
    for code, well in (("qaa_Latn", 0.97), ("qag_Armn", 0.85)):
        language = declare(code, code)
        ways = {code: Way(ENGLISH, language)}
        made = carried(tmp_path / code, able, {ENGLISH: names(able, SOURCE)}, ways, into=True)[code]
        rows, there = made.table().to_pylist(), names(able, code)
        same = [(row, item) for row, item in zip(rows, there, strict=True) if row["segments"] == [*item.segments]]
        reached = f1([counts(tags(row["gold"]), tags_of(item)) for row, item in same])
        print(code, len(same), reached)  # noqa: T201
        assert len(same) > 10
        assert reached > well


@pytest.mark.usefixtures("ray_here")
def test_each_sentence_is_read_in_its_own_language(able: Built, tmp_path: Path) -> None:
    qag, items = declare("qag_Armn", "Qag"), names(able, SOURCE, 40)
    made = carried(tmp_path, able, {ENGLISH: items}, {"qag_Armn": Way(ENGLISH, qag)}, into=True)["qag_Armn"]
    rows = made.table().to_pylist()
    tokenizer: Any = AutoTokenizer.from_pretrained(able.mt)  # type: ignore[no-untyped-call]
    encoder = parents.encoder(str(able.mt), torch.float32)

    def linked(*codes: str) -> list[list[list[int]]]:
        given = [item.segments for item in items], [row["segments"] for row in rows]
        one, other = (
            piece_states(encoder, tokenizer, tokenizer.convert_tokens_to_ids(code), some)
            for code, some in zip(codes, given, strict=True)
        )
        found = [align_words(a, b, 0.1) for a, b in zip(one, other, strict=True)]
        return [[word.nonzero().flatten().tolist() for word in alignment] for alignment in found]

    assert [row["links"] for row in rows] == linked(SOURCE, "qag_Armn") != linked(SOURCE, SOURCE)


def test_rows_of_translations_stand_beside_those_they_were_made_of(tmp_path: Path) -> None:
    made = {"segments": ["a"], "gold": [4.0], "links": [[0]], "dropped": 1}
    row = example(Item("1", ("a",), ("O",)), ENGLISH)
    tables = pa.Table.from_pylist([row], schema=EXAMPLES), pa.Table.from_pylist([row | made], schema=PROJECTED)

    def written(work: Work, table: pa.Table) -> int:
        for part in work.todo(1, 1):
            work.write(part, table)
        return 1

    steps = [Step(f"rows{n}", {}, partial(written, table=table)) for n, table in enumerate(tables)]
    results = run(steps, Store(str(tmp_path)), Display())
    read = Rows.joined([results[step.address].rows() for step in steps]).read(0, 2)
    assert read["dropped"].to_pylist() == [None, 1]
    assert read["segments"].to_pylist() == [["a"], ["a"]]


@pytest.mark.usefixtures("ray_here")
def test_names_come_back_from_the_translation(able: Built, tmp_path: Path) -> None:
    """Who knows the tags of the English words and nothing else, in each language of its own rows alone."""
    qaa, qae = declare("qaa_Latn", "Qaa"), declare("qae_Latn", "Qae")
    items = {language: names(able, language.code) for language in (ENGLISH, qaa, qae)}
    ways = {one.label: Way(one, ENGLISH) for one in (qaa, qae)}
    made = carried(tmp_path, able, items, ways, into=False)
    english = {item.segments: item for item in items[ENGLISH]}
    for (label, result), (language, well) in zip(made.items(), ((qaa, 0.97), (qae, 0.85)), strict=True):
        found = []
        for row, item in zip(result.table().to_pylist(), items[language], strict=True):
            assert (row["key"], row["language"], tags(row["gold"])) == (item.key, label, tags_of(item))
            if known := english.get(tuple(row["segments"])):
                answered, _ = back(logits(*tags_of(known)), LABELS, row["links"], len(row["segments"]))
                found.append(counts(tags(answered), tags_of(item)))
        print(label, len(found), f1(found))  # noqa: T201
        assert len(found) > 10
        assert f1(found) > well
