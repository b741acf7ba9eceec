"""Task data: read from the tiny world's files, and files in the other forms; damage is named."""

import gzip
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xlnu.errors import UserError
from xlnu.evaluate.benchmarks.formats import FORMATS, place, read, with_a_head
from xlnu.evaluate.benchmarks.items import Item
from xlnu.languages import declare, resolve
from xlnu.mtllm.tasks import TasksConfig, found
from xlnu.tiny.build import Built

ENGLISH, SWAHILI = resolve("eng_Latn"), resolve("swh_Latn")


def keys(items: Sequence[Item]) -> list[tuple[str, Any]]:
    return [(item.key, item.label) for item in items]


def written(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def json_lines(path: Path, *rows: Any) -> Path:
    return written(path, *(json.dumps(row, ensure_ascii=False) for row in rows))


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


def hub_parquet(path: Path, rows: list[dict[str, Any]], classes: dict[str, list[str]]) -> Path:
    """As the library `datasets` writes it, the names of the classes in the file."""
    from datasets import ClassLabel, Dataset, Features, List

    features = Dataset.from_list(rows).features
    for name, names in classes.items():
        several = isinstance(rows[0][name], list)
        features[name] = List(ClassLabel(names=names)) if several else ClassLabel(names=names)
    Dataset.from_list(rows, features=Features(features)).to_parquet(str(path))
    return path


MOODS = ["negative", "neutral", "positive"]
TAGS = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-DATE", "I-DATE"]
QUESTION = {"question": "why", "choice1": "a", "choice2": "b", "label": 1, "idx": 3, "changed": False}
HUB: list[tuple[str, dict[str, Any], dict[str, list[str]], Item]] = [
    ("xnli", {"premise": "A.", "hypothesis": "B.", "label": 1},
     {"label": ["entailment", "neutral", "contradiction"]}, Item("1", ("A.", "B."), "neutral")),
    ("xcopa", QUESTION | {"premise": "P", "question": "effect"}, {}, Item("3", ("P", "effect", "a", "b"), 1)),
    ("nusax", {"id": "7", "text": "A.", "lang": "ace", "label": 2}, {"label": MOODS},
     Item("7", ("A.",), "positive")),
    ("sib200", {"index_id": 4, "category": "sports", "text": "A."}, {}, Item("4", ("A.",), "sports")),
    ("afrisenti", {"tweet": '"A', "label": 0}, {"label": ["positive", "neutral", "negative"]},
     Item("1", ('"A',), "positive")),
    ("conll", {"id": "0", "tokens": ["Ann", "Lee", "ran"], "ner_tags": [1, 2, 0]}, {"ner_tags": TAGS},
     Item("1", ("Ann", "Lee", "ran"), ("B-PER", "I-PER", "O"))),
    ("xquad", {"id": "q", "context": "C.", "question": "Q?", "answers": {"text": ["a"], "answer_start": [0]}}, {},
     Item("q", ("C.", "Q?"), ("a",))),
    ("xlsum", {"id": "i", "url": "u", "title": "t", "summary": "S.", "text": "A."}, {},
     Item("1", ("A.",), ("S.",))),
    ("mgsm", {"question": "Q?", "answer": None, "answer_number": 2125, "equation_solution": None}, {},
     Item("1", ("Q?",), ("2125",))),
]  # fmt: skip


@pytest.mark.parametrize(("form", "row", "classes", "item"), HUB, ids=[form for form, *_ in HUB])
def test_what_the_hub_has_is_read(
    tmp_path: Path, form: str, row: dict[str, Any], classes: dict[str, list[str]], item: Item
) -> None:
    path = hub_parquet(tmp_path / "test-00000-of-00001.parquet", [row], classes)
    assert read(form, path, ENGLISH) == [replace(item, origin=f"{path}, row 1")]


def test_belebele_as_parquet(tmp_path: Path) -> None:
    path = hub_parquet(tmp_path / "0000.parquet", [BELEBELE], {})
    assert [(item.key, item.label) for item in read("belebele", path, None)] == [("l 1", 0)]


def test_a_class_that_is_not_told_is_refused(tmp_path: Path) -> None:
    row = {"premise": "A.", "hypothesis": "B.", "label": -1}
    path = hub_parquet(tmp_path / "a.parquet", [row], {"label": ["entailment", "neutral"]})
    with pytest.raises(UserError, match=r"a.parquet, row 1: label must be one of entailment, .*, and is -1"):
        read("xnli", path, None)


def test_classes_of_xnli_are_told_without_their_names(tmp_path: Path) -> None:
    rows = [{"premise": "A.", "hypothesis": "B.", "label": label} for label in (0, 1, 2)]
    items = read("xnli", json_lines(tmp_path / "a.jsonl", *rows), None)
    assert keys(items) == [("1", "entailment"), ("2", "neutral"), ("3", "contradiction")]


def test_americas_nli_without_ids_counts_in_each_language(tmp_path: Path) -> None:
    rows = [f"{tag}\tp{n}\th{n}\tneutral" for tag in ("aym", "quy") for n in (1, 2)]
    path = written(tmp_path / "test.tsv", "language\tpremise\thypothesis\tlabel", *rows)
    for name in ("ayr_Latn", "quy_Latn"):
        assert keys(read("xnli", path, resolve(name))) == [("1", "neutral"), ("2", "neutral")]


def squad(path: Path, *questions: Any) -> Path:
    paragraphs = [{"context": " The Panthers. ", "qas": questions}]
    return json_lines(path, {"data": [{"title": "x", "paragraphs": paragraphs}], "version": "1.1"})


ANSWERED = {"id": "56be", "question": "Who? ", "answers": [{"text": each, "answer_start": 4} for each in "aab"]}


def test_xquad(tmp_path: Path) -> None:
    (item,) = read("xquad", squad(tmp_path / "xquad.de.json", ANSWERED), None)
    assert (item.key, item.segments, item.label) == ("56be", ("The Panthers.", "Who?"), ("a", "b"))
    assert item.origin == f"{tmp_path}/xquad.de.json, data 1, paragraphs 1, qas 1"


def test_mgsm(tmp_path: Path) -> None:
    items = read("mgsm", written(tmp_path / "mgsm_en.tsv", 'A "3" b?\t2,125', "C?\t-1.5"), None)
    assert [(item.key, item.segments, item.label) for item in items] == [
        ("1", ('A "3" b?',), ("2125",)), ("2", ("C?",), ("-1.5",)),
    ]  # fmt: skip


def test_xlsum(tmp_path: Path) -> None:
    row = {"id": "uk-1", "url": "u", "title": "t", "summary": "S. ", "text": "A."}
    items = read("xlsum", json_lines(tmp_path / "english_test.jsonl", row, row | {"summary": ""}), None)
    assert [(item.key, item.segments, item.label, item.reject) for item in items] == [
        ("1", ("A.",), ("S.",), None), ("2", ("A.",), ("",), "empty summary"),
    ]  # fmt: skip


def mkqa(path: Path, *names: str) -> Path:
    def asked(number: int, kind: str, text: str | None) -> dict[str, Any]:
        answer = {"type": kind, "entity": "Q1", "text": text, "aliases": ["b"]}
        return {"example_id": number, "queries": dict.fromkeys(names, "Q?"),
                "answers": {name: [answer] for name in names}}  # fmt: skip

    return json_lines(path, asked(-5, "entity", "a"), asked(6, "unanswerable", None))


def test_mkqa_as_examples(tmp_path: Path) -> None:
    path = mkqa(tmp_path / "mkqa.jsonl", "en", "ar")
    items = read("mkqa", path, ENGLISH)
    assert [(item.key, item.segments, item.label, item.reject) for item in items] == [
        ("-5", ("", "Q?"), ("a", "b"), None), ("6", ("", "Q?"), (), "no short answer"),
    ]  # fmt: skip
    with pytest.raises(UserError, match="holds no example"):
        read("mkqa", path, SWAHILI)
    with pytest.raises(UserError, match="has several languages; ask for one"):
        read("mkqa", path, None)


@pytest.mark.parametrize("form", ["xquad", "mkqa", "mgsm", "xlsum"])
def test_what_is_answered_in_words_trains_no_head(form: str) -> None:
    with pytest.raises(UserError, match=f"'{form}' is answered in words, .* train on one of sib200, nusax"):
        with_a_head(form)
    assert with_a_head("conll").kind == "tokens"
    paths = {"q": "x.{iso1}"}
    config = TasksConfig(format={"q": form}, train=paths, validation=paths, test=paths)
    with pytest.raises(UserError, match=f"'{form}' is answered in words"):
        found(config, ENGLISH, [SWAHILI])


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
    ("mgsm", "a.tsv", ["Q?\t7", "Q?\tseven"], "line 2: answer_number must be a number, and is 'seven'"),
    ("mgsm", "a.tsv", ["Q?\t7", "Q?"], "line 2: has 1 columns, and must have 2: question, answer_number"),
    ("xquad", "a.json", ['{"data": ['], "a.json: is not JSON: Expecting value: line 2 column 1"),
    ("xquad", "a.json", ["[]"], r"a.json: must be a JSON object, and is \[\]"),
    ("xquad", "a.json", ['{"data": [{"paragraphs": 1}]}'], "a.json, data 1: paragraphs must be a list, and is 1"),
    ("xquad", "a.json", ['{"data": [7]}'], "a.json: data 1 must be an object with fields, and is 7"),
    ("xlsum", "a.jsonl", ['{"text": "A.", "summary": "S."}', '{"text": "A."}'], "line 2: summary is missing"),
    ("xlsum", "a.jsonl", ['{"text": "A.", "summary": 7}'], "line 1: summary must be text, and is 7"),
    ("mkqa", "a.jsonl", ['{"queries": {}}'], "line 1: not as MKQA has it"),
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
    ("question", "why"),
    [
        (ANSWERED | {"answers": []}, "qas 2: answers must hold one at least, and hold none"),
        (ANSWERED | {"answers": [{"text": 1}]}, "qas 2, answers 1: text must be text, and is 1"),
        ({"id": "x", "answers": ANSWERED["answers"]}, "qas 2: question is missing; there are id, answers"),
    ],
)
def test_a_damaged_question_is_named(tmp_path: Path, question: Any, why: str) -> None:
    with pytest.raises(UserError, match=f"a.json, data 1, paragraphs 1, {why}"):
        read("xquad", squad(tmp_path / "a.json", ANSWERED, question), None)


def test_tags_on_the_hub_are_one_a_word(tmp_path: Path) -> None:
    path = hub_parquet(tmp_path / "a.parquet", [{"tokens": ["a", "b"], "ner_tags": [0]}], {"ner_tags": TAGS})
    with pytest.raises(UserError, match=r"a.parquet, row 1: each word needs a tag: there are 2 words and 1 tags"):
        read("conll", path, None)


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
    bare = squad(tmp_path / "c.json", ANSWERED, ANSWERED | {"id": "2", "question": " "})
    bare.write_text(bare.read_text().replace("The Panthers.", ""))
    assert [item.reject for item in read("xquad", bare, None)] == [None, "empty text"]  # it may have no passage
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
