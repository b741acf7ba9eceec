"""XL-Sum: news of the BBC and what sums each up, NAME_{train,val,test}.jsonl, in each language its own.

An article is called by its row. The hub has Parquet beside the archives of these files.
"""

from pathlib import Path

from xlnu.evaluate.benchmarks.files import Row, json_lines, rows
from xlnu.evaluate.benchmarks.items import Item, Kind

KIND: Kind = "summary"
# Its names of languages where they are not called so here, or where the language is none of ours.
NAMES = {
    "arb_Arab": "arabic", "azj_Latn": "azerbaijani", "gaz_Latn": "oromo", "pan_Guru": "punjabi",
    "pbt_Arab": "pashto", "pcm": "pidgin", "pes_Arab": "persian", "run_Latn": "kirundi",
    "srp_Cyrl": "serbian_cyrillic", "srp_Latn": "serbian_latin",
    "zho_Hans": "chinese_simplified", "zho_Hant": "chinese_traditional",
}  # fmt: skip


def read(path: Path) -> list[Item]:
    return [_item(row) for row in rows(path, json_lines)]


def _item(row: Row) -> Item:
    text, summary = row.text("text"), row.text("summary")
    return Item(str(row.number), (text,), (summary,), row.origin, None if summary else "empty summary")
