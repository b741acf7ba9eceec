"""An example of a benchmark or of a task's training data, whatever file it was read from."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "pair", "choice", "regression", "tokens"]  # what is asked, and so which head answers
Label = str | int | float | tuple[str, ...]


@dataclass(frozen=True)
class Item:
    key: str  # names the example in all of its languages
    # text: one; pair: two; regression: one or two; tokens: words;
    # choice: passage (may be empty), question, choices
    segments: tuple[str, ...]
    label: Label  # choice: number of the right one, from 0; regression: a float; tokens: a tag a word
    origin: str = ""  # file and line, for messages
    reject: str | None = None  # why it is of no use; None: it is of use
