"""XQuAD: questions whose answers are words of a passage, xquad.TAG.json in the form of SQuAD 1.1.

The questions are the same in all languages. The hub has them as Parquet, a question a row.
"""

from pathlib import Path

from xlnu.evaluate.benchmarks.files import Row, document, parquet
from xlnu.evaluate.benchmarks.items import Item, Kind

KIND: Kind = "qa"


def read(path: Path) -> list[Item]:
    if path.suffix == ".parquet":
        return [_item(row, row, row.record("answers").texts("text")) for row in parquet(path)]
    return [
        _item(paragraph, question, tuple(answer.text("text") for answer in question.records("answers")))
        for article in document(path).records("data")
        for paragraph in article.records("paragraphs")
        for question in paragraph.records("qas")
    ]


def _item(passage: Row, question: Row, answers: tuple[str, ...]) -> Item:
    if not any(answers):
        raise question.wrong("answers must hold one at least, and hold none")
    segments = passage.text("context"), question.text("question")
    return Item(question.name("id"), segments, tuple(dict.fromkeys(filter(None, answers))), question.origin)
