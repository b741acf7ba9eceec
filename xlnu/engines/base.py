"""What the engines have in common: three small protocols, and how an answer is drawn.

An engine is opened once where it runs (an actor) and called many times. It never drops and never reorders: as many
answers come back as questions went in, in their order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from xlnu.languages import Language

Message = dict[str, str]  # {"role": "system" | "user" | "assistant", "content": ...}


@dataclass(frozen=True)
class Question:
    """A chat that ends with a user's turn. `seed` is the row's own: what is drawn depends on nothing else.

    `parts` are that turn's instruction and input, for models whose prompt keeps them apart.
    """

    messages: tuple[Message, ...]
    seed: int
    parts: tuple[str, str] | None = None


@dataclass(frozen=True)
class Answer:
    text: str
    tokens: int
    cut_off: bool  # it reached the limit before its end
    refused: str | None = None  # why there is no answer, in a few words that many rows share


@dataclass(frozen=True)
class Decoding:
    """How an answer is drawn. Temperature 0 is greedy."""

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0


@dataclass(frozen=True)
class Translation:
    text: str
    tokens: int
    cut_off: bool
    refused: str | None = None  # as of an answer


class Generator(Protocol):
    def answer(self, questions: Sequence[Question], decoding: Decoding) -> list[Answer]: ...


class Translator(Protocol):
    def knows(self, language: Language) -> bool: ...

    def translate(self, texts: Sequence[str], source: Language, target: Language) -> list[Translation]: ...


class Scorer(Protocol):
    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """How good each (source, translation) is, 0 to 1."""
        ...
