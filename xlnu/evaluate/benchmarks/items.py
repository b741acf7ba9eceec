"""An example of a benchmark or of a task's training data, whatever file it was read from."""

from dataclasses import dataclass
from typing import Literal

# What is asked. A head answers the first five; the others are answered in words.
Kind = Literal["text", "pair", "choice", "regression", "tokens", "qa", "number", "summary"]
GENERATED = ("qa", "number", "summary")
Label = str | int | float | tuple[str, ...]


@dataclass(frozen=True)
class Item:
    key: str  # names the example in all of its languages
    # text, number, summary: one; pair: two; regression: one or two; tokens: words;
    # choice: passage (may be empty), question, choices; qa: passage (may be empty), question
    segments: tuple[str, ...]
    # choice: number of the right one, from 0; regression: a float; tokens: a tag a word;
    # qa: all right answers; number and summary: the one
    label: Label
    origin: str = ""  # file and line, for messages
    reject: str | None = None  # why it is of no use; None: it is of use
