"""AfriSenti: sentiment of tweets in African languages, data/TAG/{train,dev,test}.tsv, in each language its own.

The files have no quoting: a quotation mark is a letter, also where one stands at both ends. Some have an ID, most
call a tweet by its row. Oromo and Tigrinya have no training file but its head. The hub has it as Parquet, with the
labels as classes.

The folders are {iso3}, but for Swahili and Oromo: say `swa->swh_Latn` and `orm->gaz_Latn`. Algerian Arabic (arq)
and Nigerian Pidgin (pcm) are unknown to NLLB, and something must stand in for them, too, as `pcm->eng_Latn`.
"""

from pathlib import Path

from xlnu.evaluate.benchmarks.files import rows, table
from xlnu.evaluate.benchmarks.items import Item, Kind

KIND: Kind = "text"
LABELS = {each: each for each in ("positive", "neutral", "negative")}


def read(path: Path) -> list[Item]:
    return [
        Item(
            row.name("ID") if "ID" in row.fields else str(row.number),
            (row.text("tweet"),),
            row.one_of("label", LABELS),
            row.origin,
        )
        for row in rows(path, lambda path: table(path, "\t", quoted=False))
    ]
