"""The page of samples: what a reader and a browser find in it."""

from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from xlnu.languages import resolve
from xlnu.transfer.samples import Sample, page

ENGLISH = resolve("eng_Latn")
TAUS = {"COMETKiwi": 0.8, "round trip": 0.5}
GERMAN = Sample(
    language=resolve("deu_Latn"),
    id="0f1aaedf",
    origin="alpaca.json:12",
    question="Give two tips.",
    answer="1. Eat well.\n2. Sleep.\n\n    Often.",
    question_translated="Gib zwei Tipps.",
    answer_translated="1. Iss gut.\n2. Schlaf.\n\n    Oft.",
    source_switched="Give zwei tips.",
    switched="Gib two Tipps.",
    question_score=0.8,
    answer_score=0.7996,
    gate="COMETKiwi",
    engine="ct2 nllb 4f1c beam 4",
    flags=["answer: repetition", "answer: length ratio"],
    reject="answer: below tau",
)
ARABIC = replace(
    GERMAN, language=resolve("arb_Arab"), id="2c33", question_translated="اذكر نصيحتين.", answer_translated="",
    source_switched=None, switched=None, answer_score=None, flags=[], reject=None,
)  # fmt: skip
MADURESE = replace(ARABIC, language=resolve("mad->jav_Latn"), gate="round trip", question_score=0.55)
CHINESE = replace(GERMAN, language=resolve("zho_Hant"), switched=None, question_translated="給兩個建議。")
SAMPLES = [GERMAN, ARABIC, replace(GERMAN, id="0f1b", reject=None), MADURESE, CHINESE]


class Reader(HTMLParser):
    """The elements, and what each text stands in."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, dict[str, str]]] = []
        self.all = ""
        self.feed(html.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.all += data
        if data.strip():
            self.texts.append((data, self.elements[-1][1]))


def said(*samples: Sample) -> str:
    return " ".join(Reader(page(samples, ENGLISH, TAUS, "Samples")).all.split())


@pytest.mark.parametrize(
    ("text", "tag", "direction"),
    [
        (GERMAN.question, "en-Latn", "ltr"),
        (GERMAN.answer, "en-Latn", "ltr"),
        (GERMAN.source_switched, "en-Latn", "ltr"),
        (GERMAN.question_translated, "de-Latn", "ltr"),
        (GERMAN.answer_translated, "de-Latn", "ltr"),
        (GERMAN.switched, "de-Latn", "ltr"),
        (ARABIC.question_translated, "ar-Arab", "rtl"),
        (CHINESE.question_translated, "zh-Hant", "ltr"),
        (MADURESE.question_translated, "jv-Latn", "ltr"),
    ],
)
def test_every_text_is_whole_and_says_its_language_and_direction(text: str, tag: str, direction: str) -> None:
    found = Reader(page(SAMPLES, ENGLISH, TAUS, "Samples")).texts
    assert {"lang": tag, "dir": direction} in [attributes for data, attributes in found if data == text]


def test_texts_keep_their_lines() -> None:
    assert ".said p { margin: 0; white-space: pre-wrap;" in page(SAMPLES, ENGLISH, TAUS, "Samples").decode()


def test_a_right_to_left_source_is_one_too() -> None:
    found = Reader(page([GERMAN], resolve("heb_Hebr"), TAUS, "Samples")).texts
    assert ("Give two tips.", {"lang": "he-Hebr", "dir": "rtl"}) in found
    assert ("Gib zwei Tipps.", {"lang": "de-Latn", "dir": "ltr"}) in found


def test_the_languages_are_sections_with_their_samples_and_the_nav_leads_there() -> None:
    read = Reader(page(SAMPLES, ENGLISH, TAUS, "Samples"))
    labels = ["deu_Latn", "arb_Arab", "mad->jav_Latn", "zho_Hant"]
    links = [unquote(a["href"].removeprefix("#")) for tag, a in read.elements if tag == "a"]
    assert links == labels
    assert [a["id"] for tag, a in read.elements if tag == "h2"] == labels
    order = [tag for tag, _ in read.elements if tag in ("section", "article")]
    assert order == ["section", "article", "article", *["section", "article"] * 3]
    text = " ".join(read.all.split())
    assert "5 samples in 4 languages. English, the source language, stands first." in text
    assert "COMETKiwi 0.8, round trip 0.5." in text
    assert "German 1 of 2 passed Modern Standard Arabic 1 of 1 passed Javanese 1 of 1 passed" in text


def test_a_verdict_has_its_reason_its_scores_and_its_flags() -> None:
    text = said(GERMAN)
    assert "rejected – answer: below tau Question 0.800 ≥ tau 0.8 Answer 0.799 < tau 0.8" in text
    assert "Flags: answer: repetition, answer: length ratio." in text
    assert "Judged by COMETKiwi, translated by ct2 nllb 4f1c beam 4, from alpaca.json:12, 0f1aaedf" in text
    assert "passed Question 0.800 ≥ tau 0.8 Answer not scored" in said(ARABIC)
    assert "Flags" not in said(ARABIC)


def test_what_is_under_tau_does_not_look_like_tau() -> None:
    assert "Answer 0.799 < tau 0.8" in said(GERMAN)
    assert "Answer 0.570 < tau 0.8" in said(replace(GERMAN, answer_score=0.56999999))  # 0.57 in 32 bits


def test_each_gate_has_its_own_tau() -> None:
    assert "Question 0.550 ≥ tau 0.5" in said(MADURESE)
    assert "Question 0.550 < tau 0.8" in said(replace(MADURESE, gate="COMETKiwi"))


def test_the_line_of_tau_is_drawn_on_the_score() -> None:
    bars = [
        a for tag, a in Reader(page([GERMAN], ENGLISH, TAUS, "Samples")).elements if a.get("class", "")[:3] == "bar"
    ]
    assert bars == [
        {"class": "bar good", "style": "--score: 80.0%; --tau: 80.0%"},
        {"class": "bar bad", "style": "--score: 79.9%; --tau: 80.0%"},
    ]


def test_what_is_empty_and_what_there_is_not_are_two_things() -> None:
    assert "Answer, translated (empty)" in said(ARABIC)
    assert "switched" not in said(ARABIC).partition("passed Question")[2]
    assert "Question, words switched Give zwei tips. Translated question, words switched (none)" in said(CHINESE)


def test_text_of_others_cannot_become_markup_and_nothing_is_fetched() -> None:
    evil = "<script>alert(1)</script>\"'><img src=//x onerror=alert(1)></p>{{ 7 * 7 }}"
    texts = dict.fromkeys(
        ("id", "origin", "question", "answer", "question_translated", "answer_translated", "source_switched",
         "switched", "engine", "reject"), evil,
    )  # fmt: skip
    language = replace(GERMAN.language, code=evil, name=evil)
    sample = replace(GERMAN, language=language, gate=evil, flags=[evil], **texts)  # type: ignore[arg-type]
    read = Reader(page([sample], replace(ENGLISH, name=evil), {evil: 0.5}, evil))
    plain = Reader(page([GERMAN], ENGLISH, {"COMETKiwi": 0.5}, "Samples"))
    assert [tag for tag, _ in read.elements] == [tag for tag, _ in plain.elements]
    assert [set(a) for _, a in read.elements] == [set(a) for _, a in plain.elements]
    assert read.all.count(evil) == 19
    assert {tag for tag, _ in plain.elements} & {"script", "img", "iframe", "object", "form"} == set()
    places = [a[name] for _, a in plain.elements for name in ("src", "href") if name in a]
    assert places == ["data:,", "#deu_Latn"]
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert policy in [a.get("content") for tag, a in plain.elements if tag == "meta"]


def test_half_a_character_does_not_stop_the_page() -> None:
    assert "Gib zwei ? Tipps." in said(replace(GERMAN, question_translated="Gib zwei \ud83d Tipps."))
