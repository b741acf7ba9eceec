"""Kardes-NLU: entailment, similarity and causes in five Turkic languages, Data/NAME/TASK.{dev,test}.TAG.csv.

Each file has the English of XNLI, STS-B or XCOPA, and what it was translated into: asked for English it gives the
former. The folders are {name}. Uyghur is written in Cyrillic letters, which NLLB does not know it in: say
`ug->uig_Arab`, and the encoder reads a script it was not trained on. Similarity goes from 0 to 5.
"""

from pathlib import Path

from xlnu.evaluate.benchmarks import xnli
from xlnu.evaluate.benchmarks.files import Row, table
from xlnu.evaluate.benchmarks.items import Item
from xlnu.evaluate.benchmarks.xcopa import QUESTIONS
from xlnu.languages import Language

ENGLISH = "eng_Latn"
# Its folders where they are not called as the language is here.
FOLDERS = {"azj_Latn": "azeri", "kaz_Cyrl": "kazakh", "kir_Cyrl": "kyrgyz", "uzn_Latn": "uzbek", "ug": "uyghur"}


def nli(path: Path, language: Language | None) -> list[Item]:
    return [
        Item(_key(row), _pair(row, language), row.one_of("gold_label", xnli.LABELS), row.origin)
        for row in table(path, ",")
    ]


def sts(path: Path, language: Language | None) -> list[Item]:
    return [Item(_key(row), _pair(row, language), _score(row), row.origin) for row in table(path, ",")]


def copa(path: Path, language: Language | None) -> list[Item]:
    """Cause and effect, which stand in English."""
    return [
        Item(
            row.name("id"),
            (
                row.text(_in("p", language)),
                row.one_of("asks-for", QUESTIONS),
                row.text(_in("a1", language)),
                row.text(_in("a2", language)),
            ),
            row.number_of("most-plausible-alternative", 1, 2) - 1,
            row.origin,
        )
        for row in table(path, ",")
    ]


def _in(column: str, language: Language | None) -> str:
    return column if _english(language) else f"{column}_translation"


def _english(language: Language | None) -> bool:
    return language is not None and language.code == ENGLISH


def _pair(row: Row, language: Language | None) -> tuple[str, str]:
    if _english(language):
        return row.text("sentence1"), row.text("sentence2")
    return row.text("s1_translation"), row.text("s2_translation")


def _key(row: Row) -> str:
    """The number of the English row: the first column, which has no name of its own."""
    return row.name(next(iter(row.fields)))


def _score(row: Row) -> float:
    score = row.real("score")
    if not 0 <= score <= 5:
        raise row.wrong(f"score must be from 0 to 5, and is {score:g}")
    return score
