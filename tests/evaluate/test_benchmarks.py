"""Task data: read from the real files, the tiny world's, and files in the other forms; damage is named."""

import gzip
import json
import os
import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xlnu.errors import UserError
from xlnu.evaluate.benchmarks.formats import FORMATS, place, read
from xlnu.evaluate.benchmarks.items import Item
from xlnu.languages import declare, resolve
from xlnu.tiny.build import Built

needs_real = pytest.mark.skipif(
    "XLNU_REAL_DATA" not in os.environ, reason="XLNU_REAL_DATA names no folder of real data"
)
ENGLISH, SWAHILI = resolve("eng_Latn"), resolve("swh_Latn")


def real(name: str) -> Path:
    return Path(os.environ["XLNU_REAL_DATA"], name)


def keys(items: Sequence[Item]) -> list[tuple[str, Any]]:
    return [(item.key, item.label) for item in items]


def labels(items: Sequence[Item]) -> dict[Any, int]:
    return dict(Counter(item.label for item in items))


def written(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def json_lines(path: Path, *rows: Any) -> Path:
    return written(path, *(json.dumps(row, ensure_ascii=False) for row in rows))


# The real files


@needs_real
def test_sib200_in_all_languages(tmp_path: Path) -> None:
    splits = ("train", "dev", "test")
    english = {split: read("sib200", real(f"sib200/eng_Latn/{split}.tsv"), None) for split in splits}
    assert [len(items) for items in english.values()] == [701, 99, 204]
    assert sum((Counter(item.label for item in items) for items in english.values()), Counter()) == {
        "science/technology": 252, "travel": 198, "politics": 146, "sports": 122, "health": 110,
        "entertainment": 93, "geography": 83,
    }  # fmt: skip
    seen = 0
    with tarfile.open(real("sib200/all_205_languages.tar.xz")) as archive:
        for member in archive:
            if member.name.endswith(("/dev.tsv", "/test.tsv")):
                file = archive.extractfile(member)
                assert file is not None
                path = tmp_path / "file.tsv"
                path.write_bytes(file.read())
                items = read("sib200", path, None)
                assert keys(items) == keys(english[Path(member.name).stem])
                assert not [item for item in items if item.reject]
                seen += 1
    assert seen == 2 * 205
    assert english["train"][11].segments[0].startswith('"She’s very cute and sings quite well, too," he said')


@needs_real
def test_nusax_in_all_languages() -> None:
    folders = sorted(real("nusax/sentiment").iterdir())
    assert len(folders) == 12
    for split, counts in (("train", (192, 119, 189)), ("valid", (38, 24, 38)), ("test", (153, 96, 151))):
        english = read("nusax", real(f"nusax/sentiment/english/{split}.csv"), None)
        assert labels(english) == dict(zip(("negative", "neutral", "positive"), counts, strict=True))
        for folder in folders:
            items = read("nusax", folder / f"{split}.csv", None)
            assert keys(items) == keys(english)
            assert all(item.segments[0] and item.segments[0] == item.segments[0].strip() for item in items)


@needs_real
def test_nusax_folders_are_found_by_their_languages() -> None:
    tags = "ace_Latn ban_Latn bjn_Latn bug_Latn eng_Latn ind_Latn jav_Latn min_Latn sun_Latn"
    languages = [resolve(tag) for tag in [*tags.split(), *(f"{tag}->jav_Latn" for tag in ("bbc", "mad", "nij"))]]
    pattern = str(real("nusax/sentiment/{name}/test.csv"))
    assert {place(pattern, language).parent for language in languages} == {*real("nusax/sentiment").iterdir()}


@needs_real
def test_xnli_extension_in_its_languages() -> None:
    paths = (real(f"xnli_extension_train/multinli.train.{tag}.tsv.gz") for tag in ("en", "sw", "tr"))
    files = [read("xnli", path, None) for path in paths]
    assert labels(files[0]) == {"contradiction": 5504, "entailment": 5100, "neutral": 4397}
    assert keys(files[0]) == keys(files[1]) == keys(files[2])
    assert not [item for items in files for item in items if item.reject]
    assert files[1][0].segments == (
        "Sakata cream ya conceptually ina vipimo viwili vya msingi - bidhaa na geography .",
        "Bidhaa na geography ndio hufanya kazi ya utoaji wa cream .",
    )


@needs_real
@pytest.mark.parametrize("code", ["eng_Latn", "deu_Latn"])
def test_belebele(tmp_path: Path, code: str) -> None:
    """Its text lies here in another form, and is put back into its own."""
    rows = []
    for line in real(f"belebele_en_de/{code}.jsonl").read_text(encoding="utf-8").splitlines():
        passage = json.loads(line)
        for number, item in enumerate(passage["items"], 1):
            texts = {f"mc_answer{i}": answer["text"] for i, answer in enumerate(item["answers"], 1)}
            right = [i for i, answer in enumerate(item["answers"], 1) if answer["correct"]]
            link = passage["metadata"]["extra"]["url"]
            row = {"link": link, "question_number": number, "flores_passage": passage["text"]}
            rows.append(row | texts | {"question": item["question"], "correct_answer_num": str(right[0])})
    items = read("belebele", json_lines(tmp_path / "rows.jsonl", *rows), None)
    assert len(items) == 900
    assert len({item.segments[0] for item in items}) == 488
    assert all(len(item.segments) == 6 for item in items)
    for item, row in zip(items, rows, strict=True):
        assert isinstance(item.label, int)
        assert item.segments[2 + item.label] == row[f"mc_answer{row['correct_answer_num']}"].strip()


@needs_real
def test_xcopa_in_its_languages() -> None:
    pattern = str(real("xcopa/{iso1}/{split}.{iso1}.jsonl"))
    languages = [resolve(tag) for tag in ("et", "ht", "id", "it", "qu", "sw", "ta", "th", "tr", "vi", "zho_Hans")]
    for split, rows in (("val", 100), ("test", 500)):
        files = [read("xcopa", place(pattern.replace("{split}", split), each), each) for each in languages]
        assert all([item.key for item in items] == [str(i) for i in range(rows)] for items in files)
        assert not [item for items in files for item in items if item.reject]
    for items in files:
        assert labels(items) == {0: 250, 1: 250}
        assert {item.segments[1] for item in items} <= {"cause", "effect"}
    premise = "Kifaa kilikuwa kimefungwa kwenye mfuko vibofu."
    assert files[5][0].segments == (premise, "cause", "Kikuwa nyepesi kuvunjika.", "Kilikuwa kidogo.")


# The tiny world's


@pytest.mark.parametrize(
    ("form", "pattern", "test"),
    [
        ("sib200", "topic/eng_Latn/{split}.tsv", "topic/{language}/test.tsv"),
        ("nusax", "sentiment/english/{split}.csv", "sentiment/{name}/test.csv"),
        ("xnli", "nli/{split}.eng_Latn.tsv", "nli/test.{language}.tsv"),
        ("belebele", "choice/{split}/eng_Latn.jsonl", "choice/test/{language}.jsonl"),
    ],
)
def test_tiny_files(tiny: Built, form: str, pattern: str, test: str) -> None:
    validation = {"sib200": "dev", "nusax": "valid"}.get(form, "validation")
    train, tuning = (read(form, tiny.data / pattern.format(split=each), ENGLISH) for each in ("train", validation))
    assert (len(train), len(tuning)) == (24, 12)
    english = read(form, place(str(tiny.data / test), ENGLISH), ENGLISH)
    assert len(english) == 12
    assert not [item for item in (*train, *tuning, *english) if item.reject]
    assert {item.label for item in english} <= {item.label for item in train}
    _, *others = json.loads((tiny.data / "languages.json").read_text())
    made = [declare(each["code"], each["name"]) for each in others]
    assert made
    for language in made:
        items = read(form, place(str(tiny.data / test), language), language)
        assert keys(items) == keys(english)
        assert [item.segments for item in items] != [item.segments for item in english]


# Other forms


XNLI = (
    "language\tgold_label\tsentence1_parse\tsentence1\tsentence2\tpairID",
    'ar\tneutral\t(ROOT "\tقال "ماما\tاتصل\t1',
    "ar\tcontradiction\t(ROOT)\tقال\tلم\t2",
    'en\tneutral\t(ROOT "\tand he said, "Mama\tHe called\t1',
    "en\tcontradiction\t(ROOT)\tand he said\tHe did not\t2",
)


def test_xnli_has_all_languages_in_a_file(tmp_path: Path) -> None:
    path = written(tmp_path / "xnli.dev.tsv", *XNLI)
    items = read("xnli", path, ENGLISH)
    assert [(item.key, item.segments, item.label) for item in items] == [
        ("1", ('and he said, "Mama', "He called"), "neutral"),
        ("2", ("and he said", "He did not"), "contradiction"),
    ]
    assert keys(read("xnli", path, resolve("arb_Arab"))) == keys(items)
    for language in (resolve("arb_Latn"), SWAHILI, None):
        with pytest.raises(UserError, match=r"xnli.dev.tsv: has several languages; ask for one of ar, en"):
            read("xnli", path, language)


def test_americas_nli(tmp_path: Path) -> None:
    head = "id\tlanguage\tpremise\thypothesis\tlabel"
    rows = [f'{n}\t{tag}\tp "{n}\th{n}\tneutral' for tag in ("aym", "bzd") for n in (12451, 12452)]
    path = written(tmp_path / "anli.dev.tsv", head, *rows)
    for name in ("ayr_Latn", "bzd->spa_Latn"):
        items = read("xnli", path, resolve(name))
        assert [(item.key, item.segments, item.label) for item in items] == [
            ("12451", ('p "12451', "h12451"), "neutral"), ("12452", ('p "12452', "h12452"), "neutral"),
        ]  # fmt: skip
    with pytest.raises(UserError, match="ask for one of aym, bzd, not for quy_Latn"):
        read("xnli", path, resolve("quy_Latn"))


def test_afrisenti(tmp_path: Path) -> None:
    path = written(tmp_path / "test.tsv", "tweet\tlabel", '"a" b\tnegative', '"c\tneutral')
    items = read("afrisenti", path, SWAHILI)
    assert [(item.key, item.segments, item.label) for item in items] == [
        ("1", ('"a" b',), "negative"), ("2", ('"c',), "neutral"),
    ]  # fmt: skip
    named = read("afrisenti", written(tmp_path / "dev.tsv", "ID\ttweet\tlabel", "orm_1\tx\tpositive"), None)
    assert [item.key for item in named] == ["orm_1"]
    assert place("data/{iso3}/test.tsv", resolve("orm->gaz_Latn")) == Path("data/orm/test.tsv")


KARDES = {
    "kardes_nli": ("\ufeff,gold_label,sentence1,sentence2,s1_translation,s2_translation",
                   '5,neutral,"a, b",c,ә,"б ""в"""'),
    "kardes_sts": ("Unnamed: 0,sentence1,sentence2,score,s1_translation,s2_translation", "10,a,b,3.2,ә,б"),
    "kardes_copa": ("id,asks-for,most-plausible-alternative,p,a1,a2,p_translation,a1_translation,a2_translation",
                    "401,effect,2,a,b,c,ә,б,в"),
}  # fmt: skip
KARDES_READ: dict[str, tuple[Any, ...]] = {
    "kardes_nli": ("5", "neutral", ("a, b", "c"), ("ә", 'б "в"')),
    "kardes_sts": ("10", 3.2, ("a", "b"), ("ә", "б")),
    "kardes_copa": ("401", 1, ("a", "effect", "b", "c"), ("ә", "effect", "б", "в")),
}


@pytest.mark.parametrize("form", KARDES)
def test_kardes_nlu_has_english_and_a_translation_in_a_file(form: str, tmp_path: Path) -> None:
    path = written(tmp_path / "test.ug.csv", *KARDES[form])
    key, label, english, uyghur = KARDES_READ[form]
    for language, segments in ((ENGLISH, english), (resolve("ug->uig_Arab"), uyghur)):
        (item,) = read(form, path, language)
        assert (item.key, item.label, item.segments) == (key, label, segments)


def test_kardes_nlu_has_its_own_folders() -> None:
    pattern = "Data/{name}/xnli.test.{iso1}.csv"
    for language, path in (
        ("uzn_Latn", "uzbek/xnli.test.uz"),
        ("kir_Cyrl", "kyrgyz/xnli.test.ky"),
        ("ug->uig_Arab", "uyghur/xnli.test.ug"),
    ):
        assert place(pattern, resolve(language)) == Path(f"Data/{path}.csv")


def test_multinli_without_a_decision_is_rejected(tmp_path: Path) -> None:
    row = {"gold_label": "entailment", "sentence1": "a b ", "sentence2": "c", "pairID": "31193e"}
    path = json_lines(tmp_path / "multinli_1.0_train.jsonl", row, row | {"gold_label": "-", "pairID": "31193n"})
    items = read("xnli", path, ENGLISH)
    assert [(item.key, item.segments, item.reject) for item in items] == [
        ("31193e", ("a b", "c"), None),
        ("31193n", ("a b", "c"), "annotators disagree"),
    ]


def test_sentences_with_tags(tmp_path: Path) -> None:
    sentences = ("John B-PER", "Lewis I-PER", "a\u00a0b O", "", "", "Alhamisi\tB-DATE")
    items = read("conll", written(tmp_path / "test.txt", *sentences), SWAHILI)
    assert [(item.key, item.segments, item.label) for item in items] == [
        ("1", ("John", "Lewis", "a\u00a0b"), ("B-PER", "I-PER", "O")),
        ("2", ("Alhamisi",), ("B-DATE",)),
    ]
    assert [item.origin.rpartition(", ")[2] for item in items] == ["line 1", "line 6"]


def test_conll_2003_becomes_iob2(tmp_path: Path) -> None:
    columns = ("EU NNP I-NP I-ORG", "Ann NNP I-NP I-PER", "Lee NNP I-NP I-PER", "Bob NNP I-NP B-PER", ". . O O")
    items = read("conll", written(tmp_path / "eng.train", "-DOCSTART- -X- O O", "", *columns, ""), ENGLISH)
    assert len(items) == 1
    assert items[0].segments == ("EU", "Ann", "Lee", "Bob", ".")
    assert items[0].label == ("B-ORG", "B-PER", "I-PER", "B-PER", "O")


OWN: list[tuple[str, dict[str, Any], tuple[str, ...], Any]] = [
    ("text", {"text": " Good. ", "label": 1}, ("Good.",), "1"),
    ("pair", {"premise": "A.", "hypothesis": "B.", "label": "yes"}, ("A.", "B."), "yes"),
    ("pair", {"text": "A.", "text2": "B.", "label": "yes"}, ("A.", "B."), "yes"),
    ("regression", {"text": "A.", "label": 2.5}, ("A.",), 2.5),
    ("regression", {"text": "A.", "text2": "B.", "label": "-1"}, ("A.", "B."), -1.0),
    ("choice", {"question": "Q?", "choices": ["a", "b"], "label": 1}, ("", "Q?", "a", "b"), 1),
    ("choice", {"passage": "P.", "question": "Q?", "choices": ["a", "b"], "label": 0}, ("P.", "Q?", "a", "b"), 0),
    ("tokens", {"words": ["I", "run"], "tags": ["PRON", "VERB"]}, ("I", "run"), ("PRON", "VERB")),
]


@pytest.mark.parametrize(("kind", "row", "segments", "label"), OWN)
def test_ones_own_data(tmp_path: Path, kind: str, row: dict[str, Any], segments: Any, label: Any) -> None:
    assert FORMATS[kind].kind == kind
    table = pa.Table.from_pylist([row, row | {"id": "x"}], pa.Table.from_pylist([{"id": "x"} | row]).schema)
    pq.write_table(table.slice(1), tmp_path / "own.parquet")
    for path, key in (
        (json_lines(tmp_path / "own.jsonl", row), "1"),
        (json_lines(tmp_path / "own.id.jsonl", row | {"id": "x"}), "x"),
        (tmp_path / "own.parquet", "x"),
    ):
        (item,) = read(kind, path, None)
        assert (item.key, item.segments, item.label) == (key, segments, label)
    if not any(isinstance(value, list) for value in row.values()):
        for ending, between in ((".csv", ","), (".tsv", "\t")):
            quoted = (f'"{value}"' for value in row.values())
            path = written(tmp_path / f"own{ending}", "\ufeff" + between.join(row), between.join(quoted))
            (item,) = read(kind, path, None)
            assert (item.segments, item.label) == (segments, label)


# What is damaged


BELEBELE = {"link": "l", "question_number": 1, "flores_passage": "p", "question": "q", "correct_answer_num": "1"}
BELEBELE |= {f"mc_answer{number}": "a" for number in range(1, 5)}
TOPICS, PREMISES = "index_id\tcategory\ttext", "premise\thypo\tlabel"
DAMAGED = [
    ("sib200", "a.tsv", [TOPICS, "1\tsports"], "line 2: has 2 columns, and must have 3: index_id"),
    ("sib200", "a.tsv", [TOPICS, ""], "line 2: has 0 columns, and must have 3"),
    ("sib200", "a.tsv", ["index_id\ttext", "1\tA."], "line 2: category is missing; there are index_id, text"),
    ("sib200", "a.tsv", [TOPICS, "1\t\tA."], "line 2: category must be text .*, and is ''"),
    ("sib200", "a.tsv", [TOPICS], "holds no example"),
    ("sib200", "a.tsv", [], "holds no example"),
    ("nusax", "a.csv", ["id,text,label", '1,"A', 'b",good', '2,"A" b,good'], "line 4: cannot be told into"),
    ("nusax", "a.csv", ["id,text,label", '1,"A,good', "2,B,good"], "line 2: cannot be told into columns"),
    ("nusax", "a.csv", ["id,text,label", "1,A,good", '1,"B', 'b",bad'], "line 3: its id '1' stands already in"),
    ("xnli", "a.tsv", [PREMISES, "A.\tB.\tneutral", "A.\tB.\tother"], "line 3: label must be one of .*'other'"),
    ("xnli", "a.tsv", [PREMISES, "A.\tneutral"], "line 2: has 2 columns, and must have 3"),
    ("xnli", "a.jsonl", ['{"gold_label": "-"}'], "line 1: pairID is missing; there are gold_label"),
    ("belebele", "a.jsonl", [json.dumps(BELEBELE), "{"], "line 2: is not JSON"),
    ("belebele", "a.jsonl", ["[1]"], r"line 1: must be a JSON object, and is \[1\]"),
    ("belebele", "a.jsonl", [json.dumps(BELEBELE | {"correct_answer_num": "5"})], "a number from 1 to 4, and is"),
    ("belebele", "a.jsonl", [json.dumps(BELEBELE | {"question": 7})], "question must be text, and is 7"),
    ("xcopa", "a.jsonl", ['{"question": "why"}'], "line 1: question must be one of cause, effect, and is 'why'"),
    ("conll", "a.txt", ["John B-PER", "Lewis"], "line 2: must be a word and its tag .*'Lewis'"),
    ("conll", "a.txt", ["John PER"], "line 1: must be a word and its tag .*'John PER'"),
    ("text", "a.json", ["{}"], "must end in one of .jsonl, .csv, .tsv, .parquet"),
    ("text", "a.jsonl", ['{"text": "A.", "label": 1.5}'], "line 1: label must be text or a whole number"),
    ("text", "a.jsonl", ['{"text": "A.", "label": true}'], "label must be text or a whole number, and is True"),
    ("pair", "a.jsonl", ['{"text": "A.", "label": "x"}'], "line 1: a pair is premise .* there are text, label"),
    ("regression", "a.jsonl", ['{"text": "A.", "label": "many"}'], "label must be a number, and is 'many'"),
    ("regression", "a.jsonl", ['{"text": "A.", "label": NaN}'], "line 1: label must be a number, and is nan"),
    ("choice", "a.csv", ["question,choices,label", "q,a b,0"], "choices must be a list of texts, and is 'a b'"),
    ("choice", "a.jsonl", ['{"question": "q", "choices": ["a"], "label": 0}'], "choices must be two or more"),
    ("tokens", "a.jsonl", ['{"words": ["a", "b"], "tags": ["O"]}'], "there are 2 words and 1 tags"),
    ("sib", "a.tsv", [], r"'sib' is no format \(did you mean sib200\?\); there are sib200, nusax"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "name", "lines", "why"), DAMAGED)
def test_damage_is_named(tmp_path: Path, form: str, name: str, lines: list[str], why: str) -> None:
    with pytest.raises(UserError, match=why) as raised:
        read(form, written(tmp_path / name, *lines), ENGLISH)
    assert "\n" not in str(raised.value)
    assert form == "sib" or str(raised.value).startswith(f"{tmp_path / name}")


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.csv", b"id,text,label\n1,A,good\n2,\xff,bad\n", "a.csv, line 3: is not UTF-8"),
        ("a.csv.gz", gzip.compress(b"id,text,label\n1,A,good\n", mtime=0)[:-9], "a.csv.gz: cannot be read"),
        ("a.csv.gz", b"no gzip", "a.csv.gz: cannot be read"),
        ("none/a.csv", None, "a.csv: cannot be read: No such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, data: bytes | None, why: str) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=why):
        read("nusax", tmp_path / name, None)


def test_parquet_that_is_damaged_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist([{"text": "A.", "label": "x"}, {"text": None, "label": "x"}]), path)
    with pytest.raises(UserError, match=r"a.parquet, row 2: text is missing; there are label"):
        read("text", path, None)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"a.parquet: cannot be read"):
        read("text", path, None)


def test_what_is_empty_is_rejected_and_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tsv", PREMISES, "A.\t \tneutral", "A.\tB.\tneutral")
    assert [item.reject for item in read("xnli", path, None)] == ["empty text", None]
    rows = ({"question": "Q?", "choices": choices, "label": 0} for choices in (["a", ""], ["a", "b"]))
    assert [item.reject for item in read("choice", json_lines(tmp_path / "a.jsonl", *rows), None)] == [
        "empty text",
        None,
    ]
    path = json_lines(tmp_path / "b.jsonl", {"words": [], "tags": []})
    assert [item.reject for item in read("tokens", path, None)] == ["empty text"]


# Where the files are


def test_a_pattern_is_filled_in() -> None:
    assert place("x/{language}.{iso3}.{iso1}.{name}", SWAHILI) == Path("x/swh_Latn.swh.sw.swahili")
    assert place("{name}", resolve("zho_Hans")) == Path("simplified_chinese")
    assert place("{name}", resolve("ace_Latn")) == Path("acehnese")
    assert place("{language}.{iso3}", resolve("mad->jav_Latn")) == Path("mad.mad")
    assert place("~/x", SWAHILI) == Path.home() / "x"


@pytest.mark.parametrize(
    ("pattern", "tag", "why"),
    [
        ("x/{lang}", "sw", "'x/{lang}': there is no {lang} to fill in; there are {language}, {iso3}, {iso1}"),
        ("{iso1}", "ace_Latn", r"'{iso1}': ace_Latn has no {iso1}; what it has is {language}, {iso3}, {name}"),
        ("{name}", "xyz->jav_Latn", r"xyz->jav_Latn has no {name}; what it has is {language}, {iso3}$"),
    ],
)
def test_what_cannot_be_filled_in_is_refused(pattern: str, tag: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        place(pattern, resolve(tag))
