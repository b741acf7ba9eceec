"""Samples side by side on one page of HTML, for people who read both languages to judge the translations."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from xlnu.languages import Language

RIGHT_TO_LEFT = {"Arab", "Hebr", "Nkoo"}


@dataclass(frozen=True)
class Sample:
    """An instruction in one language: what was asked and answered, what became of it, and what is held of that."""

    language: Language
    id: str
    origin: str
    question: str
    answer: str
    question_translated: str
    answer_translated: str
    source_switched: str | None  # the question with words of the other language; None: it has none
    switched: str | None  # the same of the translated question
    question_score: float | None
    answer_score: float | None
    gate: str
    engine: str
    flags: Sequence[str]
    reject: str | None


def page(samples: Sequence[Sample], source: Language, taus: Mapping[str, float], title: str) -> bytes:
    """The page; a threshold for each gate, whose scores are not on one scale."""
    # Texts are other people's: escaped, always.
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"tag": _tag, "direction": _direction, "down": _down}
    languages: dict[Language, list[Sample]] = {}
    for sample in samples:
        languages.setdefault(sample.language, []).append(sample)
    template = files(__package__).joinpath("samples.html").read_text(encoding="utf-8")
    shown = environment.from_string(template).render(title=title, source=source, taus=taus, languages=languages)
    return shown.encode("utf-8", "replace")  # half of a surrogate pair would be no UTF-8


def _tag(language: Language) -> str:
    """As browsers know it, to choose fonts and line breaks by: zh-Hans."""
    return f"{language.iso1 or language.iso3}-{language.script}"


def _direction(language: Language) -> str:
    return "rtl" if language.script in RIGHT_TO_LEFT else "ltr"


def _down(score: float) -> float:
    """To three digits: rounded up, what is under tau could look like tau. Kept in 32 bits, 0.57 is 0.56999999."""
    return math.floor(score * 1000 + 1e-4) / 1000
