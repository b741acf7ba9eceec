"""Belebele: questions about FLORES-200's passages, CODE.jsonl (or Parquet), the same in all languages."""

from pathlib import Path

from xlnu.evaluate.benchmarks.files import Row, json_lines, rows
from xlnu.evaluate.benchmarks.items import Item, Kind

KIND: Kind = "choice"


def read(path: Path) -> list[Item]:
    return [_item(row) for row in rows(path, json_lines)]


def _item(row: Row) -> Item:
    key = f"{row.name('link')} {row.name('question_number')}"
    answers = (row.text(f"mc_answer{number}") for number in range(1, 5))
    segments = (row.text("flores_passage"), row.text("question"), *answers)
    return Item(key, segments, row.number_of("correct_answer_num", 1, 4) - 1, row.origin)
