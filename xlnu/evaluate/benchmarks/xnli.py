"""Whether a premise entails a hypothesis: MultiNLI, XNLI and AmericasNLI, in four forms.

- A table with premise, hypo and label: MultiNLI as it was translated for training, by XNLI and by XNLI extension.
  It has no ids, but the same rows in the same order in all languages. "contradictory" is how both spell
  contradiction.
- A table, or JSON lines, with gold_label, sentence1, sentence2 and pairID: MultiNLI's own, and SNLI's. "-" as a
  gold_label says that the annotators did not agree: such rows are read, and rejected.
- The same with a language: XNLI's dev and test sets, where one file has all languages.
- A table with id, language, premise, hypothesis and label: AmericasNLI's, a file a language or one of all. Of its
  ten languages NLLB knows Aymara, Guarani and Quechua; for the others something must stand in, as `bzd->spa_Latn`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from xlnu.errors import UserError
from xlnu.evaluate.benchmarks.files import Row, json_lines, table
from xlnu.evaluate.benchmarks.items import Item, Kind
from xlnu.languages import Language

KIND: Kind = "pair"
LABELS = {each: each for each in ("entailment", "neutral", "contradiction")} | {"contradictory": "contradiction"}
UNDECIDED = "-"
# By code, since XNLI's tags do not tell the scripts of a language apart.
TAGS = {
    "arb_Arab": "ar", "bul_Cyrl": "bg", "deu_Latn": "de", "ell_Grek": "el", "eng_Latn": "en", "spa_Latn": "es",
    "fra_Latn": "fr", "hin_Deva": "hi", "rus_Cyrl": "ru", "swh_Latn": "sw", "tha_Thai": "th", "tur_Latn": "tr",
    "urd_Arab": "ur", "vie_Latn": "vi", "zho_Hans": "zh",
    "ayr_Latn": "aym", "grn_Latn": "gn", "quy_Latn": "quy",
}  # fmt: skip


def read(path: Path, language: Language | None) -> list[Item]:
    rows = json_lines(path) if ".jsonl" in path.suffixes else table(path, "\t", quoted=False)
    return [_item(row) for row in _of(language, rows, path)]


def _of(language: Language | None, rows: Iterable[Row], path: Path) -> Iterator[Row]:
    tag = language and (language.stands_in_for or TAGS.get(language.code, language.code))
    others, found = set[str](), False
    for row in rows:
        if "language" not in row.fields or row.text("language") == tag:
            found = True
            yield row
        else:
            others.add(row.text("language"))
    if others and not found:
        asked = f", not for {language}" if language else ""
        raise UserError(f"{path}: has several languages; ask for one of {', '.join(sorted(others))}{asked}")


def _item(row: Row) -> Item:
    if "hypothesis" in row.fields:
        segments = row.text("premise"), row.text("hypothesis")
        return Item(row.name("id"), segments, row.one_of("label", LABELS), row.origin)
    if "premise" in row.fields:
        segments = row.text("premise"), row.text("hypo")
        return Item(str(row.number), segments, row.one_of("label", LABELS), row.origin)
    key, segments = row.name("pairID"), (row.text("sentence1"), row.text("sentence2"))
    if row.text("gold_label") == UNDECIDED:
        return Item(key, segments, UNDECIDED, row.origin, "annotators disagree")
    return Item(key, segments, row.one_of("gold_label", LABELS), row.origin)
