"""The user's own data: JSON lines, a table (.csv, .tsv) or Parquet, with these fields, and an id if there is one.

- text: text, label
- pair: premise and hypothesis, or text and text2; label
- regression: text, or a pair's two; label, a number
- choice: question, choices (a list), label (the right one's number, from 0), and passage where there is one
- tokens: words and tags (two lists)

Lists need JSON lines or Parquet. Rows without id are called by their number: files of several languages then need
the same rows in the same order.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from xlnu.errors import UserError
from xlnu.evaluate.benchmarks.files import Row, json_lines, parquet, table
from xlnu.evaluate.benchmarks.items import Item, Kind, Label

PAIRS = (("premise", "hypothesis"), ("text", "text2"))


def read(kind: Kind, path: Path) -> list[Item]:
    return [Item(_key(row), *_ITEMS[kind](row), row.origin) for row in _rows(path)]


def _key(row: Row) -> str:
    return row.name("id") if "id" in row.fields else str(row.number)


def _rows(path: Path) -> Iterator[Row]:
    endings: dict[str, Callable[[Path], Iterator[Row]]] = {
        ".jsonl": json_lines,
        ".csv": lambda path: table(path, ","),
        ".tsv": lambda path: table(path, "\t"),
        ".parquet": parquet,
    }
    ending = Path(path.name.removesuffix(".gz")).suffix
    if ending not in endings:
        raise UserError(f"{path}: its name must end in one of {', '.join(endings)}, by what it holds")
    return endings[ending](path)


def _text(row: Row) -> tuple[tuple[str, ...], Label]:
    return (row.text("text"),), row.name("label")


def _pair(row: Row) -> tuple[tuple[str, ...], Label]:
    return _two(row), row.name("label")


def _two(row: Row) -> tuple[str, ...]:
    for names in PAIRS:
        if names[1] in row.fields:
            return tuple(row.text(name) for name in names)
    raise row.wrong(f"a pair is premise and hypothesis, or text and text2; there are {', '.join(row.fields)}")


def _regression(row: Row) -> tuple[tuple[str, ...], Label]:
    paired = any(names[1] in row.fields for names in PAIRS)
    return _two(row) if paired else (row.text("text"),), row.real("label")


def _choice(row: Row) -> tuple[tuple[str, ...], Label]:
    passage = row.text("passage") if row.fields.get("passage") is not None else ""
    choices = row.texts("choices")
    if len(choices) < 2:
        raise row.wrong(f"choices must be two or more, and are {len(choices)}")
    return (passage, row.text("question"), *choices), row.number_of("label", 0, len(choices) - 1)


def _tokens(row: Row) -> tuple[tuple[str, ...], Label]:
    words, tags = row.texts("words"), row.texts("tags")
    if len(words) != len(tags):
        raise row.wrong(f"each word needs a tag: there are {len(words)} words and {len(tags)} tags")
    return words, tags


_ITEMS: dict[Kind, Callable[[Row], tuple[tuple[str, ...], Label]]] = {
    "text": _text,
    "pair": _pair,
    "regression": _regression,
    "choice": _choice,
    "tokens": _tokens,
}
KINDS = tuple(_ITEMS)
