"""MGSM: school maths that asks for a number, mgsm_TAG.tsv, the same questions in all languages.

The files have a question and its number a line, and no head; the hub also has Parquet. Numbers are told without the
commas that the files have in some: 2,125 is 2125.
"""

import re
from pathlib import Path

from xlnu.evaluate.benchmarks.files import Row, rows, table
from xlnu.evaluate.benchmarks.items import Item, Kind

KIND: Kind = "number"
_NUMBER = re.compile(r"-?\d+(,\d{3})*(\.\d+)?")


def read(path: Path) -> list[Item]:
    bare = rows(path, lambda path: table(path, "\t", quoted=False, head=("question", "answer_number")))
    return [Item(str(row.number), (row.text("question"),), (_number(row),), row.origin) for row in bare]


def _number(row: Row) -> str:
    number = row.name("answer_number")
    if not _NUMBER.fullmatch(number):
        raise row.wrong(f"answer_number must be a number, and is {number!r}")
    return number.replace(",", "")
