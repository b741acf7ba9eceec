"""The laws of a transfer set, on real models, real actors and a real store."""

import json
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pytest

from xlnu import steps
from xlnu.config import load
from xlnu.progress import Display
from xlnu.steps import Result
from xlnu.store import Store
from xlnu.tiny.build import Built
from xlnu.tiny.embed import embed
from xlnu.transfer.build import TransferSet
from xlnu.transfer.job import TransferJobConfig

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("ray_here")]

CONFIG = Path(__file__).parents[2] / "configs" / "tiny" / "transfer.yaml"
Make = Callable[..., "Made"]


@dataclass
class Made:
    plan: TransferSet
    results: dict[str, Result]

    def rows(self, step: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.results[step].table().to_pylist()
        return found

    def done_anew(self) -> set[str]:
        return {name for name, result in self.results.items() if not result.skipped}

    def content(self) -> dict[str, list[str]]:
        """Every row of every step but files, whatever the parts they lie in."""
        found = {}
        for name, result in self.results.items():
            if any(file.rows is not None for file in result.manifest.files):
                found[name] = sorted(json.dumps(row, sort_keys=True) for row in self.rows(name))
        return found


@pytest.fixture(scope="module")
def make(able: Built) -> Make:
    def make(store: Path, *settings: str) -> Made:
        few = ("instructions.at_most=300", "languages=[qaa_Latn, qag_Armn]", "transfer.parallel.pairs=40")
        arguments = [*few, "transfer.held_out=0.1", f"tiny.cache={able.data.parent}", *settings]
        config = load(TransferJobConfig, str(CONFIG), arguments)
        _, declared = embed(config, config.tiny, Display(), plan=False)
        plan = TransferSet(config, declared)
        made = steps.run(plan.steps, Store(str(store)), Display())
        return Made(plan, steps.named(made, plan.steps))

    return make


@pytest.fixture(scope="module")
def made(make: Make, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Made]:
    store = tmp_path_factory.mktemp("transfer")
    return store, make(store)


MODELS = ("english", "translated", "returned", "quality")


def calls_a_model(names: set[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(MODELS))


@pytest.fixture
def store(made: tuple[Path, Made], tmp_path: Path) -> Path:
    """A copy of the finished store, to make something else on."""
    return Path(shutil.copytree(made[0], tmp_path / "store"))


def test_rows_in_are_rows_out_and_rejected_at_every_step(made: tuple[Path, Made]) -> None:
    for name, result in made[1].results.items():
        given = result.manifest
        assert given.rows_in == given.rows_out + sum(given.rejected.values()), name
    rows = {name: result.manifest for name, result in made[1].results.items()}
    assert rows["instructions"].rows_in == 300
    assert 0 < sum(rows["instructions"].rejected.values()) < 20, "the file has some malformed records"
    assert rows["english"].rows_in == rows["instructions"].rows_out
    assert rows["bitext_qaa_latn"].rows_in == rows["quality_qaa_latn"].rows_in == rows["english"].rows_out
    answers, pairs = rows["english"].rows_out, 40 * 2
    lost = sum(sum(rows[f"parallel_{code}"].rejected.values()) for code in ("qaa_latn", "qag_armn"))
    assert rows["transfer"].rows_in == answers + 3 * 2 * answers + 3 * (pairs - lost)


def test_an_answer_is_the_models_own_and_stands_on_the_row_with_its_engine(made: tuple[Path, Made]) -> None:
    rows = made[1].rows("english")
    assert {row["engine"] for row in rows} == {"ct2"}
    same = [row["answer"] == row["output"] for row in rows if row["reject"] is None and row["output"]]
    assert sum(same) / len(same) > 0.5, "this model knows its world"
    assert not all(same), "but it is its own answer that stands there"


def test_bitext_has_a_row_an_answer_and_a_language_in_their_order(made: tuple[Path, Made]) -> None:
    answers = [row["id"] for row in made[1].rows("english") if row["reject"] is None]
    for code, script in (("qaa_latn", "LATIN"), ("qag_armn", "ARMENIAN")):
        rows = made[1].rows(f"bitext_{code}")
        assert [row["parent"] for row in rows] == answers
        text = "".join(row["instruction"] + row["answer"] for row in rows)
        letters = [letter for letter in text if letter.isalpha()]
        assert sum(unicodedata.name(letter).startswith(script) for letter in letters) > 0.75 * len(letters), (
            "names in Latin letters among them"
        )
        assert {(row["engine"], row["beam"]) for row in rows} == {("ct2", 4)}
        assert all(row["model"].partition("@")[2] for row in rows)
        scored = made[1].rows(f"quality_{code}")
        assert [row["id"] for row in scored] == [row["id"] for row in rows]
        assert all(row["gate"] == "COMETKiwi" and row["question_score"] is not None for row in scored)


def test_each_distinct_sentence_is_translated_once(made: tuple[Path, Made]) -> None:
    texts = [row["text"] for row in made[1].rows("sentences")]
    assert len(texts) == len(set(texts))
    pieces = made[1].rows("pieces")
    asked = [text for row in pieces for name in ("instruction", "input", "answer") for text in row[name][1::2]]
    assert set(asked) == set(texts)
    assert len(asked) > 1.3 * len(texts), "the memory spares something here"
    assert len(made[1].rows("translated_qaa_latn")) == len(texts)


def test_the_set_opens_as_people_open_sets(made: tuple[Path, Made]) -> None:
    folder = made[0] / made[1].results["transfer"].manifest.address
    opened: Any = datasets.load_dataset(str(folder))
    rows_out = made[1].results["transfer"].manifest.rows_out
    assert {*opened} == {"train", "held_out"}
    assert sum(len(rows) for rows in opened.values()) == rows_out
    files = [str(path) for path in (folder / "train").glob("*.parquet")]
    again: Any = datasets.load_dataset("parquet", data_files=files, split="train")
    assert again["id"] == opened["train"]["id"]
    for row in again:
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
        assert all(message["content"].strip() for message in row["messages"])


def test_no_instruction_is_on_both_sides_of_the_split(made: tuple[Path, Made]) -> None:
    transfer = made[1].results["transfer"]
    sides = {
        side: {row["parent"] for path in transfer.paths(side) for row in _read(transfer, path)}
        for side in ("train", "held_out")
    }
    assert sides["train"]
    assert sides["held_out"]
    assert not sides["train"] & sides["held_out"]
    rows = [row for path in transfer.paths("held_out") for row in _read(transfer, path)]
    assert {"eng_Latn", "qaa_Latn", "qag_Armn"} == {row["language"] for row in rows}


def _read(result: Any, path: str) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(path, filesystem=result.store.fs).to_pylist()
    return rows


def test_families_are_made_of_what_they_say(made: tuple[Path, Made]) -> None:
    answers = {row["id"]: row for row in made[1].rows("english")}
    bitext = {(row["language"], row["parent"]): row for row in made[1].rows("bitext_qaa_latn")}
    seen = Counter[str]()
    for row in made[1].rows("transfer"):
        if row["language"] == "qag_Armn" or row["parent"] not in answers:
            continue
        seen[row["family"]] += 1
        source, said = answers[row["parent"]], row["messages"][-1]["content"]
        translated = bitext.get(("qaa_Latn", row["parent"]), {}).get("answer")
        assert said == {"en_en": source["answer"], "tgt_en": source["answer"]}.get(row["family"], translated)
        cue = {"tgt_en": "\nanswer in english.", "en_tgt": "\nanswer in velan."}.get(row["family"], "")
        question = row["messages"][-2]["content"]
        assert question.endswith(cue)
        assert cue or "answer in" not in question
        asked = "\n".join(filter(None, (source["instruction"], source["input"])))
        assert row["teacher_question"] == (asked if row["family"] == "tgt_en" else None)
        if row["family"] == "en_en":
            assert question == "\n".join(filter(None, (source["instruction"], source["input"])))
    assert set(seen) == {"en_en", "tgt_tgt", "tgt_en", "en_tgt"}


def test_only_questions_are_switched_and_the_rate_is_told(made: tuple[Path, Made]) -> None:
    rows = [row for row in made[1].rows("transfer") if row["language"] == "qaa_Latn"]
    known, switched = (sum(row[name] for row in rows) for name in ("known", "switched"))
    assert known > 300
    assert abs(switched - 0.15 * known) < 5 * (0.15 * 0.85 * known) ** 0.5
    assert not any(
        row["switched"] for row in rows if row["family"] in ("translate_fwd", "translate_bwd", "complete")
    )


def test_the_same_again_does_nothing(made: tuple[Path, Made], make: Make) -> None:
    assert make(made[0]).done_anew() == set()


@pytest.mark.parametrize(
    ("setting", "anew"),
    [
        ("transfer.tau=0.7", {"transfer"}),
        ("transfer.filter=none", {"transfer"}),
        ("transfer.families.tgt_tgt=0", {"transfer"}),
        ("transfer.switch.p=0.5", {"transfer", "switched_qaa_latn", "switched_qag_armn"}),
        ("transfer.switch.p=0", {"transfer"}),
        ("transfer.seed=1", {"transfer", "switched_qaa_latn", "switched_qag_armn"}),
        ("transfer.parallel.source=''", {"transfer"}),
    ],
)
def test_what_is_decided_at_assembly_calls_no_model(store: Path, make: Make, setting: str, anew: set[str]) -> None:
    changed = make(store, setting)
    assert changed.done_anew() == anew
    assert calls_a_model(changed.done_anew()) == []


def test_one_more_language_translates_only_itself(store: Path, make: Make) -> None:
    more = make(store, "languages=[qaa_Latn, qac_Geor, qag_Armn]")
    names = ("translated", "bitext", "quality", "switched", "parallel")
    assert more.done_anew() == {"transfer", *(f"{name}_qac_geor" for name in names)}


def test_another_llm_redoes_all_that_it_said(store: Path, make: Make, able: Built, tmp_path: Path) -> None:
    other = Path(shutil.copytree(able.llm, tmp_path / "other"))
    assert make(store, f"english.model={other}").done_anew() == set(), "a model that moved is the same model"
    settings = json.loads((other / "generation_config.json").read_text())
    (other / "generation_config.json").write_text(json.dumps({**settings, "max_length": 99}))
    changed = make(store, f"english.model={other}")
    kept = {"instructions", "mt_ct2", "parallel_qaa_latn", "parallel_qag_armn"}
    assert changed.done_anew() == set(changed.results) - kept


def test_two_actors_and_other_cuts_give_the_same_rows(made: tuple[Path, Made], make: Make, tmp_path: Path) -> None:
    other = make(
        tmp_path,
        "english.pool.actors=2", "english.pool.cpus=1", "english.rows_per_part=7", "english.batch_tokens=300",
        "translator.pool.actors=2", "translator.pool.cpus=1", "translator.sentences_per_part=13",
        "translator.batch_tokens=100", "quality.pool.actors=2", "quality.pool.cpus=1", "quality.rows_per_part=11",
    )  # fmt: skip
    expected, found = made[1].content(), other.content()
    scores = ("question_score", "answer_score")
    for name in expected:
        if not name.startswith(("quality", "transfer")):
            assert found[name] == expected[name], name
    for name in ("quality_qaa_latn", "quality_qag_armn"):
        for one, two in zip(made[1].rows(name), other.rows(name), strict=True):
            assert all(abs(one[score] - two[score]) < 1e-4 for score in scores)
    assert {row["id"] for row in made[1].rows("transfer")} == {row["id"] for row in other.rows("transfer")}


def test_a_language_that_the_translator_lacks_is_rejected_and_the_others_go_on(
    made: tuple[Path, Made], store: Path, make: Make
) -> None:
    more = make(
        store, "languages=[qaa_Latn, swh_Latn, arb_Latn, qag_Armn]", "quality.covers=xlm-r", "quality.model=''"
    )
    answers = more.results["english"].manifest.rows_out
    for code in ("swh_latn", "arb_latn"):
        rejected = more.results[f"bitext_{code}"].manifest.rejected
        assert rejected == {"the translator does not know the language": answers}
    assert {row["language"] for row in more.rows("transfer") if row["reject"] is None} == {
        "eng_Latn", "qaa_Latn", "qag_Armn"
    }  # fmt: skip
    gates = {row["gate"] for row in more.rows("quality_qaa_latn")}
    assert gates == {"round trip"}
    assert more.rows("bitext_qaa_latn") != made[1].rows("bitext_qaa_latn"), "it carries the round trip's score"


def test_the_baselines_are_settings(store: Path, make: Make) -> None:
    nothing = [f"transfer.families.{name}=0" for name in ("en_en", "tgt_tgt", "tgt_en", "en_tgt")]
    gold = make(store, *nothing, "transfer.families.gold_tgt_tgt=1", "transfer.families.gold_en_en=1")
    assert "english" not in gold.done_anew()
    assert calls_a_model(gold.done_anew()) == [], "the gold chain is beside the other"
    assert {"gold_translated_qaa_latn", "gold_quality_qaa_latn"} <= gold.done_anew()
    answers = {row["id"]: row["output"] for row in gold.rows("english")}
    for row in gold.rows("transfer"):
        if row["family"] == "gold_en_en":
            assert row["messages"][-1]["content"] == (answers[row["parent"]] or "")
    for row in gold.rows("gold_pieces"):
        assert "".join(row["output"] or ()) == (answers[row["id"]] or "")
    translated = {row["parent"]: row["answer"] for row in gold.rows("gold_bitext_qaa_latn")}
    of_velan = [r for r in gold.rows("transfer") if (r["family"], r["language"]) == ("gold_tgt_tgt", "qaa_Latn")]
    assert of_velan
    assert all(row["messages"][-1]["content"] == (translated[row["parent"]] or "") for row in of_velan)


def test_a_set_of_equal_size_has_as_many_rows_as_tau_leaves(store: Path, make: Make) -> None:
    def counts(rows: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
        return Counter((row["language"], row["family"]) for row in rows if row["reject"] is None)

    control = make(store, "transfer.filter=size", "transfer.benchmarks=[]")
    by_tau = make(store, "transfer.benchmarks=[]")
    assert counts(control.rows("transfer")) == counts(by_tau.rows("transfer"))
    kept = {row["id"] for row in control.rows("transfer") if row["reject"] is None}
    assert kept != {row["id"] for row in by_tau.rows("transfer") if row["reject"] is None}


def test_the_same_of_gold_answers_and_they_may_be_missing(store: Path, make: Make) -> None:
    nothing = [f"transfer.families.{name}=0" for name in ("en_en", "tgt_tgt", "tgt_en", "en_tgt", "complete")]
    gold = [*nothing, "transfer.families.gold_tgt_tgt=1", "transfer.benchmarks=[]"]
    control, by_tau = make(store, *gold, "transfer.filter=size"), make(store, *gold)
    counts = [
        Counter((row["language"], row["family"]) for row in made.rows("transfer") if row["reject"] is None)
        for made in (control, by_tau)
    ]
    assert counts[0] == counts[1]
    missing = [not row["output"] for row in control.rows("english") if row["reject"] is None]
    assert any(missing), "else this shows nothing"
    assert control.results["transfer"].manifest.rejected["the source gives no answer"] == 2 * sum(missing)


def test_copies_stand_beside_what_was_switched_and_nothing_stands_twice(store: Path, make: Make) -> None:
    made = make(store, "transfer.switch.copies=true", "transfer.families.en_en=0")
    assert calls_a_model(made.done_anew()) == []
    kept = [row for row in made.rows("transfer") if row["reject"] is None]
    same = Counter((row["family"], row["language"], row["parent"], str(row["messages"])) for row in kept)
    assert max(same.values()) == 1
    families = ("tgt_tgt", "tgt_en", "en_tgt")
    asked = Counter((r["family"], r["language"], r["parent"]) for r in kept if r["family"] in families)
    assert set(asked.values()) == {1, 2}
    alone = made.results["transfer"].manifest.rejected["nothing was switched: it stands there as it is"]
    assert alone > 0


def test_a_licence_that_is_named_later_comes_onto_the_card(store: Path, make: Make) -> None:
    made = make(store, "licences={instructions: CC-BY-NC-4.0}")
    assert made.done_anew() == {"transfer"}
    card = (store / made.results["transfer"].manifest.address / "README.md").read_text(encoding="utf-8")
    assert "CC-BY-NC-4.0" in card


def test_an_instruction_that_stands_twice_is_on_one_side_of_the_split(made: tuple[Path, Made]) -> None:
    """With another input it is another record, and gives away what the held-out one asks."""
    texts = {row["id"]: row["instruction"] for row in made[1].rows("english")}
    transfer = made[1].results["transfer"]
    sides = [
        {
            texts[row["parent"]]
            for path in transfer.paths(side)
            for row in _read(transfer, path)
            if row["parent"] in texts
        }
        for side in ("train", "held_out")
    ]
    several = Counter(texts.values())
    assert any(several[text] > 1 for text in sides[1]), "else this shows nothing"
    assert not sides[0] & sides[1]
    pairs = [
        {row["messages"][0]["content"] for path in transfer.paths(side) for row in _read(transfer, path)
         if row["family"] == "translate_fwd"}
        for side in ("train", "held_out")
    ]  # fmt: skip
    sources = [{text.partition("\n")[2] for text in texts} for texts in pairs]
    assert sources[1]
    assert not sources[0] & sources[1], "a source sentence of two languages is on one side"


def test_weights_repeat_and_leave_out(store: Path, make: Make) -> None:
    settings = ("transfer.families.en_en=2.5", "transfer.families.complete=0.25", "transfer.benchmarks=[]")
    rows = make(store, *settings).rows("transfer")
    assert len({row["id"] for row in rows}) == len(rows)
    for family, weight in (("en_en", 2.5), ("complete", 0.25)):
        found = [row for row in rows if row["family"] == family]
        left_out = [row for row in found if row["reject"] == "left out by the family's weight"]
        parents = {row["parent"] for row in found}
        share = (len(found) - len(left_out)) / len(parents)
        assert abs(share - weight) < 5 * (0.25 / len(parents)) ** 0.5
