"""XCOPA: which of two was the cause or the effect, TAG/{val,test}.TAG.jsonl.

The question of an item is "cause" or "effect", as the file has it: that is English in all languages. The premises
are the same in all languages, but some are asked for the other of the two. The hub has it as Parquet.
"""

from pathlib import Path

from xlnu.evaluate.benchmarks.files import Row, json_lines, rows
from xlnu.evaluate.benchmarks.items import Item, Kind

KIND: Kind = "choice"
QUESTIONS = {"cause": "cause", "effect": "effect"}


def read(path: Path) -> list[Item]:
    return [_item(row) for row in rows(path, json_lines)]


def _item(row: Row) -> Item:
    question = row.one_of("question", QUESTIONS)
    segments = row.text("premise"), question, row.text("choice1"), row.text("choice2")
    return Item(row.name("idx"), segments, row.number_of("label", 0, 1), row.origin)
