"""MKQA: its file read, and answers compared as its own evaluation compares them."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from xlnu.errors import UserError
from xlnu.evaluate import mkqa
from xlnu.languages import resolve

# Text, code, and what MKQA's own mkqa_eval_util.py makes of it, by its name for the language.
OFFICIAL = [
    ("The Beatles, a band!", "eng_Latn", "beatles band"),
    ("中国 北京。", "zho_Hans", "中 国 北 京 。"),
    ("l'homme des bois", "fra_Latn", "lhomme s bois"),
    ("gli uomini dell'arte", "ita_Latn", "uomini larte"),
    ("في البيت الكبير", "arb_Arab", "في بيت كبير"),
    ("a ház az egy", "hun_Latn", "ház"),
    ("The Beatles, a band!", "rus_Cyrl", "the beatles a band"),
]


@pytest.mark.parametrize(("text", "code", "right"), OFFICIAL)
def test_texts_are_made_comparable_as_mkqa_has_it(text: str, code: str, right: str) -> None:
    assert mkqa.normalised(text, code) == right


def test_the_best_wording_counts() -> None:
    assert mkqa.exact_match("Beatles!", ["Stones", "the beatles"], "eng_Latn") == 1
    assert mkqa.exact_match("the Beatles of Liverpool", ["the beatles"], "eng_Latn") == 0
    assert mkqa.f1("The Beatles, a band!", ["Stones", "Beatles"], "eng_Latn") == pytest.approx(2 / 3)
    assert mkqa.f1("中国 北京。", ["北京"], "zho_Hans") == pytest.approx(4 / 7)
    assert mkqa.f1("", ["x"], "eng_Latn") == 0


def record(**others: Any) -> dict[str, Any]:
    text = {"en": "who?", "no": "hvem?", "zh_cn": "谁?", "zh_hk": "邊個?"}
    answers = {name: [{"type": "entity", "text": name, "aliases": [f"{name} too"]}] for name in text}
    return {"example_id": -5, "query": "who?", "queries": text, "answers": answers, **others}


def written(folder: Path, *records: Any) -> Path:
    path = folder / "mkqa.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    return path


def test_languages_are_found_by_the_files_names(tmp_path: Path) -> None:
    languages = [resolve(code) for code in ("eng_Latn", "nob_Latn", "zho_Hans", "yue_Hant", "swh_Latn")]
    found = list(mkqa.read(written(tmp_path, record()), languages))
    assert [(language.code, key, question, right) for language, key, question, right in found] == [
        ("eng_Latn", "-5", "who?", ["en", "en too"]),
        ("nob_Latn", "-5", "hvem?", ["no", "no too"]),
        ("zho_Hans", "-5", "谁?", ["zh_cn", "zh_cn too"]),
    ]


def test_what_has_no_short_answer_has_nothing_to_be_right(tmp_path: Path) -> None:
    none = {"en": [{"type": "unanswerable", "text": None}]}
    long = {"en": [{"type": "long_answer", "text": "a page", "aliases": []}]}
    path = written(tmp_path, record(answers=none), record(answers=long, example_id=6))
    assert [right for *_, right in mkqa.read(path, [resolve("eng_Latn")])] == [[], []]


def test_it_is_read_as_it_is_published(tmp_path: Path) -> None:
    path = written(tmp_path, record())
    packed = tmp_path / "mkqa.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    languages = [resolve("eng_Latn"), resolve("arb_Latn")]
    assert list(mkqa.read(packed, languages)) == list(mkqa.read(path, languages))
    (tmp_path / "broken.gz").write_text("no gzip")
    with pytest.raises(UserError, match=r"broken.gz: cannot be read: .*gzip"):
        list(mkqa.read(tmp_path / "broken.gz", languages))


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: data[:40] + b"00000000" + data[48:]])
def test_a_file_that_is_cut_or_damaged_is_named(tmp_path: Path, damage: Any) -> None:
    path = tmp_path / "mkqa.jsonl.gz"
    path.write_bytes(damage(gzip.compress(json.dumps(record()).encode() * 3, mtime=0)))
    with pytest.raises(UserError, match=r"mkqa\.jsonl\.gz: cannot be read"):
        list(mkqa.read(path, [resolve("eng_Latn")]))


def test_a_line_that_is_none_is_named(tmp_path: Path) -> None:
    for broken, why in (
        ("no object", "there must be queries, answers"),
        (record(answers={}, example_id=6), "answers.en"),
        (record(), "example_id -5 stands there twice"),
    ):
        with pytest.raises(UserError, match=f"mkqa.jsonl, line 2: not as MKQA has it: .*{why}"):
            list(mkqa.read(written(tmp_path, record(), broken), [resolve("eng_Latn")]))
    with pytest.raises(UserError, match="cannot be read: No such file"):
        list(mkqa.read(tmp_path / "none", [resolve("eng_Latn")]))
