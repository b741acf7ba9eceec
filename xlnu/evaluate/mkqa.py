"""MKQA: questions about facts, the same in many languages, each with its answer and other wordings of it.

A line of mkqa.jsonl is a question. Its own names for languages are "en", "zh_cn" and so on; a file may also name
them as we do. Questions without an answer, or with a long one, have nothing that an answer could be held against.
"""

import gzip
import json
import re
import string
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from xlnu.errors import UserError, first_line
from xlnu.languages import Language

# Where MKQA's name is not the language's ISO 639-1 code. Its zh_hk, Chinese as written in Hong Kong, is none here.
_NAMES = {"nob_Latn": "no", "zho_Hans": "zh_cn", "zho_Hant": "zh_tw", "zsm_Latn": "ms"}
_NOT = ("arb_Latn",)  # its questions are in the script that its ISO 639-1 code is most often written in
_UNSPACED = ("zho_Hans", "zho_Hant", "jpn_Jpan", "tha_Thai", "khm_Khmr")  # compared letter by letter
# What counts for nothing, as MKQA's own evaluation has it: there, some need not end a word to be taken out.
_ARTICLES = {
    "eng_Latn": r"\b(a|an|the)\b",
    "spa_Latn": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "vie_Latn": r"\b(của|là|cái|chiếc|những)\b",
    "deu_Latn": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "arb_Arab": r"\sال^|ال",
    "nld_Latn": r"\b(de|het|een|des|der|den)\b",
    "swe_Latn": r"\b(en|ett)\b",
    "dan_Latn": r"\b(en|et)\b",
    "nob_Latn": r"\b(en|et|ei)\b",
    "fra_Latn": r"\b(le|la|l'|les|du|de|d'|des|un|une|des)",
    "por_Latn": r"\b(o|a|os|as|um|uma|uns|umas)\b",
    "ita_Latn": r"\b(il|lo|la|l'|i|gli|le|del|dello|della|dell'|dei|degli|degl'|delle|un'|uno|una|un)",
    "fin_Latn": r"\b(se|yks|yksi)\b",
    "hun_Latn": r"\b(a|az|egy)\b",
}
_MARKS = str.maketrans("", "", string.punctuation)


def read(path: Path, languages: Sequence[Language]) -> Iterator[tuple[Language, str, str, list[str]]]:
    """Language, number, question and answers; of those without a short answer, no answers."""
    for line, record in _records(path):
        for language in languages:
            name = _name(language, record["queries"])
            if name is None:
                continue
            try:
                answers = [text for one in record["answers"][name] for text in _wordings(one)]
                yield language, str(record["example_id"]), record["queries"][name], answers
            except (KeyError, TypeError, AttributeError) as error:
                raise UserError(f"{path}, line {line}: not as MKQA has it: {error!r} in answers.{name}") from None


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    line, seen = 1, set[str]()
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file
        ):
            for line, text in enumerate(file, 1):
                record = json.loads(text)
                if not isinstance(record, dict) or not {"queries", "answers", "example_id"} <= record.keys():
                    raise ValueError("there must be queries, answers and example_id")
                if str(record["example_id"]) in seen:
                    raise ValueError(f"example_id {record['example_id']} stands there twice")
                seen.add(str(record["example_id"]))
                yield line, record
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(
            f"{path}: cannot be read: {getattr(error, 'strerror', None) or first_line(error)}"
        ) from None
    except ValueError as error:
        raise UserError(f"{path}, line {line}: not as MKQA has it: {error}") from None


def _name(language: Language, queries: dict[str, str]) -> str | None:
    """How this file calls a language."""
    own = language.code, _NAMES.get(language.code), None if language.code in _NOT else language.iso1
    return next((name for name in (language.label, *own) if name in queries), None)


def _wordings(answer: dict[str, Any]) -> list[str]:
    if answer["type"] in ("unanswerable", "long_answer") or not answer["text"]:
        return []
    return [answer["text"], *answer.get("aliases", [])]


def normalised(text: str, code: str) -> str:
    """Small letters, no punctuation, no articles; letters apart in languages that do not set words apart."""
    small = text.lower().translate(_MARKS)
    if code in _ARTICLES:
        small = _articles(code).sub(" ", small)
    return " ".join(small.split() if code not in _UNSPACED else (c for c in small if not c.isspace()))


@cache
def _articles(code: str) -> re.Pattern[str]:
    return re.compile(_ARTICLES[code])


def exact_match(said: str, answers: Sequence[str], code: str) -> float:
    return float(normalised(said, code) in {normalised(answer, code) for answer in answers})


def f1(said: str, answers: Sequence[str], code: str) -> float:
    """The overlap of words with the answer that fits best."""
    return max(_overlap(normalised(said, code).split(), normalised(answer, code).split()) for answer in answers)


def _overlap(said: list[str], right: list[str]) -> float:
    if not said or not right:
        return float(said == right)
    shared = sum((Counter(said) & Counter(right)).values())
    return 2 * shared / (len(said) + len(right))
