"""Sentences as piece ids that remember which piece belongs to which word, and batches of them."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from xlnu.tiny.world import Text, World


@dataclass(frozen=True)
class Line:
    """One text in one language. `spans` holds, for each word, where its pieces begin and end."""

    code: str
    text: str
    ids: list[int]
    spans: list[tuple[int, int]]
    marks: list[tuple[str, ...]]


def make_lines(world: World, texts: Sequence[Text], code: str, tokenizer: Any) -> list[Line]:
    """The texts in a language, in pieces of a fast tokenizer and without its special tokens."""
    spelled: list[tuple[str, list[tuple[int, int]], list[tuple[str, ...]]]] = []
    for text in texts:
        said, places, marks = "", [], []
        for clause, words in zip(text, world.aligned(text, code), strict=True):
            for i, word in enumerate(words):
                said += " " if said else ""
                places.append((len(said), len(said) + len(word.text)))
                marks.append(word.marks)
                said += word.text + (clause.ending if i == len(words) - 1 else "")
        spelled.append((said, places, marks))
    encoded = tokenizer([said for said, _, _ in spelled], add_special_tokens=False, return_offsets_mapping=True)
    lines = []
    for (said, places, marks), ids, offsets in zip(
        spelled, encoded["input_ids"], encoded["offset_mapping"], strict=True
    ):
        lines.append(Line(code, said, ids, _spans(places, offsets), marks))
    return lines


def _spans(places: list[tuple[int, int]], offsets: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """From which piece to which each word goes. A piece belongs to the word that its last letter is in."""
    owner = {letter: word for word, (start, stop) in enumerate(places) for letter in range(start, stop)}
    pieces: list[list[int]] = [[] for _ in places]
    for i, (_, stop) in enumerate(offsets):
        if stop - 1 in owner:
            pieces[owner[stop - 1]].append(i)
    return [(found[0], found[-1] + 1) for found in pieces]


def shared(one: Line, other: Line) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The spans of words that stand for the same in both."""
    there = {mark: span for span, marks in zip(other.spans, other.marks, strict=True) for mark in marks}
    return [
        (span, there[mark])
        for span, marks in zip(one.spans, one.marks, strict=True)
        for mark in marks
        if mark in there
    ]


def switch(line: Line, other: Line, p: float, rng: random.Random) -> Line:
    """The line with some of its words in the other language: those that stand for the same, with probability p."""
    there = {mark: span for span, marks in zip(other.spans, other.marks, strict=True) for mark in marks}
    ids: list[int] = []
    spans: list[tuple[int, int]] = []
    at = 0
    for (start, stop), marks in zip(line.spans, line.marks, strict=True):
        ids += line.ids[at:start]
        found = next((there[mark] for mark in marks if mark in there), None)
        word = other.ids[found[0] : found[1]] if found and rng.random() < p else line.ids[start:stop]
        spans.append((len(ids), len(ids) + len(word)))
        ids += word
        at = stop
    ids += line.ids[at:]
    return Line(line.code, line.text, ids, spans, line.marks)
