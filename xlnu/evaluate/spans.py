"""F1 of spans of words (names, slots), and what each sentence is worth in it.

A span is right if its kind, its first word and its last word are. Tags are IOB2, read leniently: an I- that goes on
with nothing begins a span. F1 is that of all sentences together, 2 right / (found + gold), as conlleval has it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_IOB2 = re.compile(r"O|[BI]-.+")


@dataclass(frozen=True)
class Counts:
    """Spans of one sentence, or of several together."""

    right: int
    found: int
    gold: int


def are_of_spans(labels: Iterable[str]) -> bool:
    """Whether they are tags in IOB2, and not parts of speech, say."""
    some = set(labels)
    return "O" in some and all(map(_IOB2.fullmatch, some))


def counts(said: Sequence[str], gold: Sequence[str]) -> Counts:
    """Of one sentence, by its tags."""
    one, other = {*spans(said)}, {*spans(gold)}
    return Counts(len(one & other), len(one), len(other))


def f1(sentences: Iterable[Counts]) -> float:
    """0 where there is no span, neither said nor gold: nothing was shown."""
    some = list(sentences)
    total = sum(one.found + one.gold for one in some)
    return 2 * sum(one.right for one in some) / total if total else 0.0


def worth(sentences: Sequence[Counts]) -> list[float]:
    """A number for each sentence, so that their mean is the F1 of all, and their spread is its uncertainty.

    F1 is a ratio of sums and no mean over sentences. This is its linear part: what F1 is, and how much each
    sentence pulls it up or down. So intervals of means, and of differences of means, hold for F1 as well.
    """
    whole, total = f1(sentences), sum(one.found + one.gold for one in sentences)
    usual = total / max(1, len(sentences)) or 1.0
    return [whole + (2 * one.right - whole * (one.found + one.gold)) / usual for one in sentences]


def spans(tags: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """The kind of each span, where it starts and where it stops. An I- that continues nothing starts one."""
    start = 0
    for stop in range(1, len(tags) + 1):
        kind = tags[start][2:]
        if stop == len(tags) or tags[stop] != f"I-{kind}":
            if kind:
                yield kind, start, stop
            start = stop
