"""Names in sentences, as MasakhaNER and CoNLL-2003 have them: a word a line, its tag last, blank lines between.

The tags come out as IOB2, in which each name begins with B-. CoNLL-2003's own files have I- there, unless the name
before is of the same kind and ends right there (IOB1): an I- that goes on with nothing is read as B-. Lines that
say -DOCSTART- are no words, and left out. Sentences are called by their number. The hub has them as Parquet, a
sentence a row: tokens, and ner_tags as classes.
"""

import re
from itertools import chain, pairwise
from pathlib import Path

from xlnu.errors import UserError
from xlnu.evaluate.benchmarks.files import Row, lines, parquet
from xlnu.evaluate.benchmarks.items import Item, Kind

KIND: Kind = "tokens"
_BLANKS = " \t\r\n"  # and no others: a word may hold a no-break space
_TAG = re.compile(r"O|[BI]-\S+")


def read(path: Path) -> list[Item]:
    return [_sentence(row) for row in parquet(path)] if path.suffix == ".parquet" else _sentences(path)


def _sentence(row: Row) -> Item:
    words, tags = row.texts("tokens"), row.texts("ner_tags")
    if len(words) != len(tags):
        raise row.wrong(f"each word needs a tag: there are {len(words)} words and {len(tags)} tags")
    return Item(str(row.number), words, _iob2(list(tags)), row.origin)


def _sentences(path: Path) -> list[Item]:
    items: list[Item] = []
    words: list[str] = []
    tags: list[str] = []
    for number, line in enumerate(chain(lines(path), [""]), 1):
        if not line.strip(_BLANKS):
            if words:
                first = f"{path}, line {number - len(words)}"
                items.append(Item(str(len(items) + 1), tuple(words), _iob2(tags), first))
            words, tags = [], []
        elif not line.startswith("-DOCSTART-"):
            word, tag = _cells(line, f"{path}, line {number}")
            words.append(word)
            tags.append(tag)
    return items


def _cells(line: str, origin: str) -> tuple[str, str]:
    cells = re.split(r"[ \t]+", line.strip(_BLANKS))
    if len(cells) < 2 or not _TAG.fullmatch(cells[-1]):
        said = " ".join(cells)[:60]
        raise UserError(f"{origin}: must be a word and its tag (O, B-... or I-...), and is {said!r}")
    return cells[0], cells[-1]


def _iob2(tags: list[str]) -> tuple[str, ...]:
    return tuple(
        f"B{tag[1:]}" if tag.startswith("I") and before[1:] != tag[1:] else tag
        for before, tag in pairwise(["O", *tags])
    )
