"""The step `parallel_LANGUAGE`: clean sentence pairs from outside, a fixed number a language."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from xlnu.cache import hash_file
from xlnu.config import setting
from xlnu.errors import UserError
from xlnu.languages import Language
from xlnu.rows import PAIRS, row_id
from xlnu.steps import Step, Work
from xlnu.transfer.dictionaries import find
from xlnu.transfer.gates import flags


@dataclass
class ParallelConfig:
    """A parallel corpus: two files a language, whose lines belong together."""

    source: str = setting(
        "",
        "the source language's file, with {source} and {target} for the codes, as opus/{source}-{target}.{source} "
        "({target_iso1}, {target_iso3}, {target_tag} for other names); empty: no parallel corpus",
    )
    target: str = setting("", "the other language's file, likewise")
    pairs: int = setting(1000, "pairs a language, drawn by their hash", at_least=1)


@dataclass(frozen=True)
class Corpus:
    source: str
    target: str


def corpus(
    config: ParallelConfig, source: Language, target: Language, key: str = "transfer.parallel"
) -> Corpus | None:
    """The files for a language; None when there are none. `key`: of the settings, in what is said of them."""
    if not config.source:
        return None
    if not config.target:
        raise UserError(f"{key}.target: must be given beside {key}.source")
    one, other = find(config.source, source, target), find(config.target, source, target)
    there = [Path(path).is_file() for path in (one, other)]
    if there[0] != there[1]:
        missing = other if there[0] else one
        raise UserError(f"{key}: {missing}: no such file, though its other half is there")
    if not all(there):
        return None
    return Corpus(one, other)


def step(name: str, files: Corpus, config: ParallelConfig, source: Language, target: Language) -> Step:
    content = [hash_file(Path(path)) for path in (files.source, files.target)]
    about = {"content": content, "pairs": config.pairs, "source": source.label, "target": target.label}
    return Step(name, about, lambda work: _draw(work, files, config.pairs, source, target))


def examples(files: Corpus, n: int) -> list[tuple[str, str]]:
    """Some pairs to prompt an LLM with."""
    return list(_least(files, n).values())


def _draw(work: Work, files: Corpus, pairs: int, source: Language, target: Language) -> int:
    rows = []
    for name, (one, other) in _least(files, pairs).items():
        wrong = flags(one, other, source, target, False)
        reject = f"pair: {wrong[0]}" if wrong else None
        rows.append({"id": name, "reject": reject, "language": target.label, "source": one, "target": other})
    for part in work.todo(len(rows), max(1, len(rows))):
        work.write(part, pa.Table.from_pylist(rows, schema=PAIRS))
    return len(rows)


def _least(files: Corpus, n: int) -> dict[str, tuple[str, str]]:
    """The pairs of least id: which they are does not depend on their order in the file."""
    kept = dict[str, tuple[str, str]]()
    largest: list[tuple[int, str]] = []
    for one, other in _lines(files):
        name = row_id(one, other)
        rank = (-int(name, 16), name)
        if name in kept or (len(kept) == n and rank < largest[0]):
            continue
        kept[name] = (one, other)
        if len(kept) <= n:
            heapq.heappush(largest, rank)
        else:
            del kept[heapq.heappushpop(largest, rank)[1]]
    return dict(sorted(kept.items()))


def _lines(files: Corpus) -> Iterator[tuple[str, str]]:
    number = 0
    try:
        # only \n ends a line: a stray \r inside one would shift all that follow
        how: Any = {"encoding": "utf-8-sig", "newline": "\n"}
        with open(files.source, **how) as one, open(files.target, **how) as other:
            for left, right in zip(one, other, strict=True):
                number += 1
                if left.strip() and right.strip():
                    yield left.strip(), right.strip()
    except UnicodeDecodeError:
        raise UserError(f"{files.source}, {files.target}: not UTF-8, after line {number}") from None
    except ValueError:
        raise UserError(
            f"{files.source} and {files.target} have not as many lines: after line {number} one of them ends"
        ) from None
