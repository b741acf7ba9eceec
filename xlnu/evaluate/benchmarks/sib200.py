"""SIB-200: topics of FLORES-200's sentences, CODE/{train,dev,test}.tsv (or Parquet), the same in all languages."""

from pathlib import Path

from xlnu.evaluate.benchmarks.files import rows, table
from xlnu.evaluate.benchmarks.items import Item, Kind

KIND: Kind = "text"


def read(path: Path) -> list[Item]:
    return [
        Item(row.name("index_id"), (row.text("text"),), row.name("category"), row.origin)
        for row in rows(path, lambda path: table(path, "\t"))
    ]
