"""Whether a premise entails a hypothesis: MultiNLI, XNLI and AmericasNLI, in five forms.

- A table with premise, hypo and label: MultiNLI as it was translated for training, by XNLI and by XNLI extension.
  It has no ids, but the same rows in the same order in all languages. "contradictory" is how both spell
  contradiction.
- A table, or JSON lines, with gold_label, sentence1, sentence2 and pairID: MultiNLI's own, and SNLI's. "-" as a
  gold_label says that the annotators did not agree: such rows are read, and rejected.
- The same with a language: XNLI's dev and test sets, where one file has all languages.
- A table with id, language, premise, hypothesis and label: AmericasNLI's, a file a language or one of all, also
  without ids. Of its ten languages NLLB knows Aymara, Guarani and Quechua; for the others something must stand in,
  as `bzd->spa_Latn`.
- Parquet or JSON lines with premise, hypothesis and label, 0, 1 or 2: the hub's, of XNLI and of AmericasNLI.

What has no ids is called by its place among the rows of its language, which is the same in all of them.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from xlnu.errors import UserError
from xlnu.evaluate.benchmarks.files import Row, rows, table
from xlnu.evaluate.benchmarks.items import Item, Kind
from xlnu.languages import Language

KIND: Kind = "pair"
CLASSES = ("entailment", "neutral", "contradiction")
LABELS = {each: each for each in CLASSES} | {"contradictory": "contradiction"}
LABELS |= {str(number): each for number, each in enumerate(CLASSES)}
UNDECIDED = "-"
# By code, since XNLI's tags do not tell the scripts of a language apart.
TAGS = {
    "arb_Arab": "ar", "bul_Cyrl": "bg", "deu_Latn": "de", "ell_Grek": "el", "eng_Latn": "en", "spa_Latn": "es",
    "fra_Latn": "fr", "hin_Deva": "hi", "rus_Cyrl": "ru", "swh_Latn": "sw", "tha_Thai": "th", "tur_Latn": "tr",
    "urd_Arab": "ur", "vie_Latn": "vi", "zho_Hans": "zh",
    "ayr_Latn": "aym", "grn_Latn": "gn", "quy_Latn": "quy",
}  # fmt: skip


def read(path: Path, language: Language | None) -> list[Item]:
    return [_item(str(number), row) for number, row in enumerate(_of(language, _rows(path), path), 1)]


def languages(path: Path) -> frozenset[str]:
    """What a file calls its languages; none where it has one, and does not say which."""
    return frozenset(row.text("language") for row in _rows(path) if "language" in row.fields)


def called(language: Language) -> str:
    """What a file that has several languages calls this one."""
    return language.stands_in_for or TAGS.get(language.code, language.code)


def _rows(path: Path) -> Iterator[Row]:
    return rows(path, lambda path: table(path, "\t", quoted=False))


def _of(language: Language | None, every: Iterable[Row], path: Path) -> Iterator[Row]:
    tag = language and called(language)
    others, found = set[str](), False
    for row in every:
        if "language" not in row.fields or row.text("language") == tag:
            found = True
            yield row
        else:
            others.add(row.text("language"))
    if others and not found:
        asked = f", not for {language}" if language else ""
        raise UserError(f"{path}: has several languages; ask for one of {', '.join(sorted(others))}{asked}")


def _item(number: str, row: Row) -> Item:
    if "premise" in row.fields:
        key = row.name("id") if "id" in row.fields else number
        segments = row.text("premise"), row.text("hypothesis" if "hypothesis" in row.fields else "hypo")
        return Item(key, segments, row.one_of("label", LABELS), row.origin)
    key, segments = row.name("pairID"), (row.text("sentence1"), row.text("sentence2"))
    if row.text("gold_label") == UNDECIDED:
        return Item(key, segments, UNDECIDED, row.origin, "annotators disagree")
    return Item(key, segments, row.one_of("gold_label", LABELS), row.origin)
