"""MKQA, as examples: questions without a passage, one file of all languages. See xlnu/evaluate/mkqa.py."""

from pathlib import Path

from xlnu.errors import UserError
from xlnu.evaluate import mkqa
from xlnu.evaluate.benchmarks.items import Item, Kind
from xlnu.languages import Language, all_languages

KIND: Kind = "qa"


def read(path: Path, language: Language | None) -> list[Item]:
    if language is None:
        raise UserError(f"{path}: has several languages; ask for one")
    return [
        Item(key, ("", question), tuple(answers), f"{path}, {key}", None if answers else "no short answer")
        for _, key, question, answers in mkqa.read(path, [language])
    ]


def has(path: Path, language: Language) -> bool:
    """Whether the first question has the language: all questions have the same ones."""
    first = next(mkqa.read(path, [language, *all_languages()]), None)
    return first is not None and first[0] == language
