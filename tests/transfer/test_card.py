"""The card as Hugging Face reads it, with real Parquet files beside it, and as a reader of Markdown shows it."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard
from markdown_it import MarkdownIt

from xlnu import __version__
from xlnu.languages import declare, resolve
from xlnu.transfer.card import Facts, Switching, card

FACTS = Facts(
    title="Small: a set",
    source=resolve("eng_Latn"),
    targets=[resolve("swh_Latn"), resolve("mad->jav_Latn"), resolve("kmb_Latn")],
    counts={
        ("eng_Latn", "en_en"): (900, 18),
        ("swh_Latn", "tgt_en"): (1200, 20),
        ("swh_Latn", "en_tgt"): (1100, 19),
        ("mad->jav_Latn", "tgt_en"): (700, 0),
    },
    rejected={"answer: below tau": 41, "question: empty": 5, "text of a benchmark: flores/eng_Latn.devtest": 41},
    survival={"swh_Latn": {0.6: 1.0, 0.8: 0.905}, "mad->jav_Latn": {0.6: 0.5, 0.95: 0.0}},
    switching={"swh_Latn": Switching(0.15, 10_000, 6_000, 912), "mad->jav_Latn": Switching(0.15, 0, 0, 0)},
    dictionaries={"swh_Latn": "en_sw.tsv", "mad->jav_Latn": "none"},
    gates={"swh_Latn": "COMETKiwi", "mad->jav_Latn": "round trip"},
    engines={"translator": "nllb 600M 0f3a", "llm": "hf tiny 9c1d"},
    licences={"NLLB": "CC-BY-NC 4.0", "instructions": "Apache 2.0"},
    settings={"transfer.tau": 0.8, "languages": ["swh_Latn", "mad->jav_Latn"], "run.dir": ""},
)


def a_folder(top: Path, facts: Facts, splits: dict[str, int]) -> Path:
    for name, rows in splits.items():
        (top / name).mkdir()
        for part in range(2):
            table = pa.table({"id": [f"{name} {part} {row}" for row in range(rows)], "reject": [None] * rows})
            pq.write_table(
                table.cast(pa.schema({"id": pa.string(), "reject": pa.string()})), top / name / f"{part}.parquet"
            )
    (top / "README.md").write_bytes(card(facts))
    (top / "manifest.json").write_text('{"rows": 7}')
    return top


def test_a_folder_loads_as_train_and_held_out_without_what_was_rejected(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, FACTS, {"train": 4, "held_out": 2, "rejected": 3})
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {split: rows.num_rows for split, rows in loaded.items()} == {"train": 8, "held_out": 4}
    assert {row["id"].split()[0] for row in loaded["train"]} == {"train"}
    assert {row["id"].split()[0] for row in loaded["held_out"]} == {"held_out"}
    files = {"train": str(folder / "train/*.parquet"), "held_out": str(folder / "held_out/*.parquet")}
    named = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
    assert {split: rows.num_rows for split, rows in named.items()} == {"train": 8, "held_out": 4}


def test_a_set_without_held_out_rows_loads_too(tmp_path: Path) -> None:
    facts = replace(FACTS, counts={("swh_Latn", "tgt_en"): (8, 0)})
    folder = a_folder(tmp_path, facts, {"train": 4, "rejected": 3})
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {split: rows.num_rows for split, rows in loaded.items()} == {"train": 8}


def metadata(facts: Facts) -> dict[str, Any]:
    read: dict[str, Any] = vars(DatasetCard(card(facts).decode()).data)
    return read


def test_the_hub_reads_languages_licence_and_size() -> None:
    read = metadata(FACTS)
    assert read["pretty_name"] == "Small: a set"
    assert read["language"] == ["en", "sw", "jv", "kmb"]
    assert read["license"] == "other"
    assert read["size_categories"] == ["1K<n<10K"]


def test_languages_that_share_a_code_stand_once_and_made_ones_keep_theirs() -> None:
    targets = [resolve("zho_Hans"), resolve("zho_Hant"), declare("qaa_Cyrl", "Aa")]
    assert metadata(replace(FACTS, targets=targets))["language"] == ["en", "zh", "qaa"]


@pytest.mark.parametrize(
    ("rows", "category"),
    [
        (0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (99_999, "10K<n<100K"), (2_000_000, "1M<n<10M"),
        (10**12 - 1, "100B<n<1T"), (10**12, "n>1T"),
    ],
)  # fmt: skip
def test_the_size_is_one_of_the_hubs(rows: int, category: str) -> None:
    counts = {("swh_Latn", "tgt_en"): (rows - rows // 2, rows // 2)}
    assert metadata(replace(FACTS, counts=counts))["size_categories"] == [category]


def tables(facts: Facts) -> dict[str, list[list[str]]]:
    """The tables by their headings, as GitHub and the Hub show them."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    body = card(facts).decode().split("---\n", 2)[2]
    tokens = MarkdownIt("commonmark").enable("table").parse(body)
    for before, token in pairwise(tokens):
        if before.type == "heading_open":
            heading = token.content
        if before.type == "tr_open":
            found.setdefault(heading, []).append([])
        if before.type in ("td_open", "th_open"):
            parts = token.children or []
            assert {part.type for part in parts} <= {"text", "code_inline", "strong_open", "strong_close"}, parts
            found[heading][-1].append("".join(part.content for part in parts))
    return found


def test_the_tables_say_what_was_made() -> None:
    found = tables(FACTS)
    assert found["Rows"] == [
        ["Language", "en_en", "tgt_en", "en_tgt", "All"],
        ["eng_Latn", "900 + 18", "–", "–", "900 + 18"],
        ["swh_Latn", "–", "1,200 + 20", "1,100 + 19", "2,300 + 39"],
        ["mad->jav_Latn", "–", "700 + 0", "–", "700 + 0"],
        ["All", "900 + 18", "1,900 + 20", "1,100 + 19", "3,900 + 57"],
    ]
    assert found["Languages"][1:] == [
        ["swh_Latn", "Swahili", "COMETKiwi", "en_sw.tsv", "0.15", "10,000", "6,000", "912", "9.1%"],
        ["mad->jav_Latn", "Javanese", "round trip", "none", "0.15", "0", "0", "0", "–"],
        ["kmb_Latn", "Kimbundu", "–", "–", "–", "–", "–", "–", "–"],
    ]
    assert found["Rejected"][1:] == [
        ["answer: below tau", "41"],
        ["text of a benchmark: flores/eng_Latn.devtest", "41"],
        ["question: empty", "5"],
    ]
    assert found["What a threshold would leave"] == [
        ["Language", "tau 0.6", "tau 0.8", "tau 0.95"],
        ["swh_Latn", "100.0%", "90.5%", "–"],
        ["mad->jav_Latn", "50.0%", "–", "0.0%"],
    ]
    assert found["Models"][1:] == [["llm", "hf tiny 9c1d"], ["translator", "nllb 600M 0f3a"]]
    assert found["Licences"][1:] == [["NLLB", "CC-BY-NC 4.0"], ["instructions", "Apache 2.0"]]
    assert found["Settings"][1:] == [
        ["languages", "[swh_Latn,mad->jav_Latn]"], ["run.dir", "''"], ["transfer.tau", "0.8"],
    ]  # fmt: skip
    assert "\n- `tgt_en`: the question translated, the answer not\n" in card(FACTS).decode()
    assert card(FACTS).decode().endswith(f"\nMade by xlnu {__version__}.\n")


def test_what_is_not_known_has_no_table() -> None:
    bare = Facts("Bare", FACTS.source, FACTS.targets, FACTS.counts)
    assert list(tables(bare)) == ["Languages", "Rows"]


def test_other_peoples_words_stay_words() -> None:
    evil = "a|b\n`c` ``d`` *e* _f_ <b>g</b> [h](http://i) \\ ~~j~~ &amp; # k ---"
    plain = " ".join(evil.split())
    target = replace(resolve("swh_Latn"), code=evil, name=evil)
    facts = Facts(
        evil, replace(FACTS.source, name=evil), [target], {(evil, "tgt_en"): (1, 1)}, {evil: 1}, {evil: {0.8: 1.0}},
        dictionaries={evil: evil}, gates={evil: evil}, engines={evil: evil}, licences={evil: evil},
        settings={evil: evil},
    )  # fmt: skip
    found = tables(facts)
    assert metadata(facts)["pretty_name"] == evil
    assert found["Languages"][1][:4] == [plain] * 4
    for heading in ("Rows", "Rejected", "What a threshold would leave", "Models", "Licences", "Settings"):
        assert found[heading][1][0] == plain, heading
    assert found["Models"][1][1] == found["Licences"][1][1] == found["Settings"][1][1] == plain


def test_equal_facts_are_equal_bytes_whatever_the_order_of_their_maps() -> None:
    def turned(value: Any) -> Any:
        return dict(reversed([(k, turned(v)) for k, v in value.items()])) if isinstance(value, dict) else value

    other = Facts(**{name: turned(value) for name, value in vars(FACTS).items()})
    assert other == FACTS
    assert card(other) == card(FACTS)
