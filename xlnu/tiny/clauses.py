"""What can be said: clauses, as meanings that no language has put into words yet.

A language (tongues.py, and `source_words` here for the source) turns a clause into words. Each word may carry
marks, which name the places of the meaning that it stands for: two words of two languages are aligned if they share
one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from xlnu.tiny.words import third_person

Asked = Literal["", "subject", "object", "place", "truth"]


@dataclass(frozen=True)
class Noun:
    head: str
    article: Literal["", "the", "a"] = ""
    adjective: str = ""
    of: "Noun | None" = None


@dataclass(frozen=True)
class Place:
    preposition: str
    noun: Noun


@dataclass(frozen=True)
class Clause:
    """`asks` names the part that is asked for, which is then left out; "truth" asks for yes or no.

    A fragment is what `subject` or `place` holds, and nothing else. `inner` is what a command such as "tell me"
    asks for. `quality` is the adjective of "the pot is red".
    """

    kind: Literal["statement", "question", "command", "fragment"] = "statement"
    verb: str = ""
    subject: Noun | None = None
    object: Noun | None = None
    place: Place | None = None
    quality: str = ""
    negated: bool = False
    asks: Asked = ""
    inner: "Clause | None" = None
    number: str = ""

    @property
    def ending(self) -> str:
        return "?" if self.kind == "question" else "" if self.number else "."


@dataclass(frozen=True)
class Word:
    text: str
    marks: tuple[str, ...] = ()
    gloss: str = ""


ASKED = {"subject": "who", "object": "what", "place": "where"}


def sentence(words: Sequence[Word], ending: str) -> str:
    return " ".join(word.text for word in words) + ending


def source_words(clause: Clause) -> list[Word]:
    """The clause in the source language."""
    return [Word(text, (mark,) if mark else (), text) for text, mark in _source(clause, "")]


Pairs = list[tuple[str, str]]


def _source(clause: Clause, at: str) -> Pairs:
    if clause.kind == "fragment":
        return _number(clause, at) + (
            _place(clause.place, f"{at}place") if clause.place else _noun(clause.subject, f"{at}subject")
        )
    if clause.kind == "command":
        words = [(clause.verb, f"{at}verb"), *_noun(clause.object, f"{at}object")]
        words += _place(clause.place, f"{at}place")
        return words + (_source(clause.inner, f"{at}inner.") if clause.inner else [])
    subject = _noun(clause.subject, f"{at}subject")
    rest = [*_noun(clause.object, f"{at}object"), *_place(clause.place, f"{at}place")]
    if clause.quality:
        rest.append((clause.quality, f"{at}quality"))
    asked = [(ASKED[clause.asks], f"{at}asked")] if clause.asks in ASKED else []
    inverted = clause.kind == "question" and clause.asks != "subject"
    negation = [("not", f"{at}not")] if clause.negated else []
    if clause.verb == "be":
        copula = ("is", f"{at}verb")
        return (
            [*asked, copula, *subject, *negation, *rest]
            if inverted
            else [*asked, *subject, copula, *negation, *rest]
        )
    if inverted:
        return [*asked, ("does", ""), *subject, *negation, (clause.verb, f"{at}verb"), *rest]
    if clause.negated:
        return [*asked, *subject, ("does", ""), *negation, (clause.verb, f"{at}verb"), *rest]
    return [*asked, *subject, (third_person(clause.verb), f"{at}verb"), *rest]


def _number(clause: Clause, at: str) -> Pairs:
    return [(clause.number, f"{at}number")] if clause.number else []


def _noun(noun: Noun | None, at: str) -> Pairs:
    if noun is None:
        return []
    first = noun.adjective or noun.head
    article = "an" if noun.article == "a" and first[0] in "aeiou" and first != "useless" else noun.article
    words: Pairs = [(article, f"{at}.article")] if article else []
    if noun.adjective:
        words.append((noun.adjective, f"{at}.adjective"))
    words.append((noun.head, f"{at}.head"))
    return [*words, ("of", f"{at}.of"), *_noun(noun.of, f"{at}.of")] if noun.of else words


def _place(place: Place | None, at: str) -> Pairs:
    return [(place.preposition, f"{at}.preposition"), *_noun(place.noun, f"{at}.noun")] if place else []
