"""NusaX: sentiment in languages of Indonesia, NAME/{train,valid,test}.csv, the same texts in all languages.

The hub has it as Parquet, with the labels as classes.
"""

from pathlib import Path

from xlnu.evaluate.benchmarks.files import rows, table
from xlnu.evaluate.benchmarks.items import Item, Kind

KIND: Kind = "text"
# Its folders where they are not called as the language is here, or where the language is none of ours.
FOLDERS = {"bjn_Latn": "banjarese", "bbc": "toba_batak", "mad": "madurese", "nij": "ngaju"}


def read(path: Path) -> list[Item]:
    return [
        Item(row.name("id"), (row.text("text"),), row.name("label"), row.origin)
        for row in rows(path, lambda path: table(path, ","))
    ]
