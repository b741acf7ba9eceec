"""Sentence pairs from a parallel corpus, and the families that are made of them."""

import random
from pathlib import Path
from typing import Any

import pytest

from xlnu import steps
from xlnu.config import load
from xlnu.errors import UserError
from xlnu.languages import resolve
from xlnu.progress import Display
from xlnu.store import Store
from xlnu.transfer import parallel
from xlnu.transfer.assemble import _begun
from xlnu.transfer.build import TransferSet
from xlnu.transfer.job import TransferJobConfig

ENGLISH, SWAHILI = resolve("eng_Latn"), resolve("swh_Latn")
PAIRS = [
    (
        f"The cat number {i} sleeps in the house of my mother.",
        f"Paka namba {i} amelala katika nyumba ya mama yangu.",
    )
    for i in range(50)
]


def written(folder: Path, pairs: list[tuple[str, str]]) -> parallel.ParallelConfig:
    folder.mkdir(exist_ok=True)
    for name, lines in zip(("eng_Latn", "swh_Latn"), zip(*pairs, strict=True), strict=True):
        (folder / name).write_bytes(("\ufeff" + "".join(f"{line}\n" for line in lines)).encode())
    return parallel.ParallelConfig(f"{folder}/{{source}}", f"{folder}/{{target}}", pairs=20)


def drawn(folder: Path, pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
    config = written(folder, pairs)
    files = parallel.corpus(config, ENGLISH, SWAHILI)
    assert files is not None
    step = parallel.step("parallel_swh_latn", files, config, ENGLISH, SWAHILI)
    made = steps.run([step], Store(str(folder / "store")), Display())
    rows: list[dict[str, Any]] = made[step.address].table().to_pylist()
    return rows


def test_which_pairs_are_drawn_does_not_depend_on_their_order(tmp_path: Path) -> None:
    mixed = random.Random(0).sample(PAIRS, len(PAIRS))
    one, other = drawn(tmp_path / "one", PAIRS), drawn(tmp_path / "other", [*mixed[:9], ("", "Moja."), *mixed])
    assert one == other
    assert len({row["id"] for row in one}) == 20
    assert {(row["source"], row["target"]) for row in one} < set(PAIRS)


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    odd = [("One\rtwo\x85three\u2028four is it.", "Moja mbili tatu nne ni yake."), *PAIRS]
    for row in drawn(tmp_path, odd):
        assert row["target"] == dict(odd)[row["source"]], "all others stay beside their own"


def test_a_pair_that_is_none_is_rejected(tmp_path: Path) -> None:
    copied = [(text, text) for text, _ in PAIRS[:4]]
    rows = drawn(tmp_path, copied + PAIRS[4:10])
    assert len(rows) == 10
    assert sum(row["reject"] == "pair: copied source" for row in rows) == 4


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data + b"One more.\n", "have not as many lines: after line 50 one of them ends"),
        (lambda data: data[:10] + b"\xff" + data[10:], "not UTF-8, after line 0"),
    ],
)
def test_a_damaged_corpus_is_one_line(tmp_path: Path, damage: Any, message: str) -> None:
    config = written(tmp_path, PAIRS)
    (tmp_path / "swh_Latn").write_bytes(damage((tmp_path / "swh_Latn").read_bytes()))
    files = parallel.corpus(config, ENGLISH, SWAHILI)
    assert files is not None
    with pytest.raises(UserError, match=message):
        parallel.examples(files, 5)


@pytest.mark.parametrize("drawn", [0, 2**63, 2**64 - 1])
def test_a_sentence_without_spaces_is_begun_by_its_letters(drawn: int) -> None:
    text = "ฉันเห็นแมวตัวใหญ่นอนอยู่ในบ้าน"
    begun, rest = _begun(text, resolve("tha_Thai"), drawn)
    assert begun + rest == text
    assert 0.25 < len(begun) / len(text) < 0.75


@pytest.mark.usefixtures("ray_here")
def test_pairs_become_questions_both_ways_and_begun_sentences(tmp_path: Path) -> None:
    written(tmp_path, [*PAIRS[:10], ("Hello!", "Habari!")])
    (tmp_path / "asked.jsonl").write_text('{"instruction": "Say it.", "output": "It."}\n')
    others = [f"transfer.families.{name}=0" for name in ("en_en", "tgt_tgt", "tgt_en", "en_tgt")]
    corpus = [f"transfer.parallel.source={tmp_path}/{{source}}", f"transfer.parallel.target={tmp_path}/{{target}}"]
    arguments = [
        f"instructions.path={tmp_path}/asked.jsonl",
        "languages=[sw]",
        "english.engine=echo",
        *others,
        *corpus,
    ]
    config = load(TransferJobConfig, None, arguments)
    todo = TransferSet(config).steps
    made = steps.named(steps.run(todo, Store(str(tmp_path / "store")), Display()), todo)
    assert "mt_ct2" not in made
    rows = made["transfer"].table().to_pylist()
    assert len(rows) == 3 * 11
    pairs = {row["id"]: row for row in made["parallel_swh_latn"].table().to_pylist()}
    for row in rows:
        pair, (asked, answered) = pairs[row["parent"]], (message["content"] for message in row["messages"])
        if row["family"] == "translate_fwd":
            assert (asked, answered) == (
                f"Translate this sentence from English to Swahili:\n{pair['source']}",
                pair["target"],
            )
        elif row["family"] == "translate_bwd":
            assert (asked, answered) == (
                f"Translate this sentence from Swahili to English:\n{pair['target']}",
                pair["source"],
            )
        elif pair["source"] == "Hello!":
            assert row["reject"] == "too short to complete"
        else:
            begun = asked.removeprefix("Complete this sentence in Swahili:\n")
            assert f"{begun} {answered}" == pair["target"]
            assert 0.2 < len(begun.split()) / len(pair["target"].split()) < 0.8
            assert row["reject"] is None
