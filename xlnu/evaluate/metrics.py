"""Metrics: what answers in one language are worth, all together and each. Nothing here knows of Ray.

A metric that is no mean over examples (an F1, a correlation, BLEU) gives each example its linear part in it: then
the mean over examples is the metric, and their spread is its uncertainty, so that intervals and paired tests hold
for it, too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xlnu.evaluate import mkqa, spans
from xlnu.evaluate.identify import Tells
from xlnu.evaluate.statistics import interval
from xlnu.languages import Language
from xlnu.report.metric import SHARES

Row = Mapping[str, Any]  # of ANSWERED
TO_SOURCE, FROM_SOURCE = "to_source", "from_source"  # kinds of translations
PIECES = "flores200"
MAIN = ("accuracy", "word_accuracy", "span_f1", "absolute_error", "exact_match", "chrf", "rouge_l")  # one a kind


@dataclass(frozen=True)
class Asked:
    """What there is to know of answers beside them."""

    language: Language  # that is tested
    into: Language  # that the answers are to be in
    identifier: Tells | None  # of languages; None: it knows too little of these to tell them apart
    spbleu: bool = False  # whether FLORES's model of pieces of words is on disk


@dataclass(frozen=True)
class Value:
    value: float
    low: float
    high: float
    each: Sequence[float]
    signature: str = ""


def of(kind: str, rows: Sequence[Row], asked: Asked) -> list[str]:
    """The metrics that answers of a kind have. `rows`: some of them."""
    if rows and rows[0]["judged"]:
        return [name for name, _ in rows[0]["judged"]]
    if kind == "tokens":
        labels = {one for row in rows for one in row["right"]}
        return ["span_f1" if spans.are_of_spans(labels | {"O"}) else "word_accuracy"]
    found = {
        "text": ["accuracy", "macro_f1"],
        "pair": ["accuracy", "macro_f1"],
        "choice": ["accuracy"],
        "regression": ["absolute_error", "pearson"],
        "qa": ["exact_match", "f1", "off_target"],
        "number": ["accuracy"],
        "summary": ["rouge_l", "off_target"],
        TO_SOURCE: ["bleu", "chrf"],
        FROM_SOURCE: ["bleu", "chrf", "off_target"],
    }[kind]
    if asked.spbleu and kind in (TO_SOURCE, FROM_SOURCE):
        found = [*found, "spbleu"]
    if asked.identifier is None:
        found = [name for name in found if name != "off_target"]
    return found


def measure(metric: str, rows: Sequence[Row], asked: Asked) -> Value:
    each: Sequence[float]
    if rows[0]["judged"]:
        each, signature = [dict(row["judged"])[metric] for row in rows], rows[0]["prompt"]
    elif metric in _CORPUS:
        each, signature = _CORPUS[metric](rows, asked)
    else:
        each, signature = _EACH[metric](rows, asked), ""
    found = interval([[{str(at): value for at, value in enumerate(each)}]])
    low, high = min(found.low, found.mean), max(found.high, found.mean)
    if metric in SHARES or metric in _CORPUS:
        low, high = max(0.0, low), min(1.0 if metric in SHARES else 100.0, high)
    return Value(found.mean, low, high, each, signature)


def note(metric: str, rows: Sequence[Row]) -> str:
    """Of a model that gives one answer, whatever it is asked."""
    if metric not in ("accuracy", "macro_f1") or not rows or rows[0]["kind"] not in ("text", "pair", "choice"):
        return ""
    said, right = ({row[side][0] for row in rows if row[side]} for side in ("said", "right"))
    return f"only ever answers {next(iter(said))}" if len(said) == 1 < len(right) else ""


def _same(rows: Sequence[Row], _asked: Asked) -> list[float]:
    return [float(row["said"][:1] == row["right"][:1]) for row in rows]


def _words(rows: Sequence[Row], _asked: Asked) -> list[float]:
    """Of a word too long to be read there is no tag."""
    return [
        sum(a == b for a, b in zip(row["right"], row["said"], strict=False)) / max(1, len(row["right"]))
        for row in rows
    ]


def _spans(rows: Sequence[Row], _asked: Asked) -> list[float]:
    return spans.worth([spans.counts(row["said"], row["right"]) for row in rows])


def _error(rows: Sequence[Row], _asked: Asked) -> list[float]:
    return [abs(float(row["said"][0]) - float(row["right"][0])) for row in rows]


def _pearson(rows: Sequence[Row], _asked: Asked) -> list[float]:
    said, right = (np.array([float(row[side][0]) for row in rows]) for side in ("said", "right"))
    if said.std() == 0 or right.std() == 0:
        return [0.0] * len(rows)  # what never changes goes along with nothing
    a, b = ((one - one.mean()) / one.std() for one in (said, right))
    whole = float((a * b).mean())
    return list(whole + a * b - whole * (a**2 + b**2) / 2)


def _macro_f1(rows: Sequence[Row], _asked: Asked) -> list[float]:
    """Over the labels that are right somewhere or were answered, as scikit-learn has it."""
    said, right = ([row[side][0] if row[side] else "" for row in rows] for side in ("said", "right"))
    worth = np.zeros(len(rows))
    labels = sorted({*said, *right})
    for label in labels:
        found = [
            spans.Counts(int(a == b == label), int(a == label), int(b == label))
            for a, b in zip(said, right, strict=True)
        ]
        worth += np.array(spans.worth(found)) / len(labels)
    return list(worth)


def _exact(rows: Sequence[Row], asked: Asked) -> list[float]:
    return [mkqa.exact_match(_text(row), row["right"], asked.language.code) for row in rows]


def _overlap(rows: Sequence[Row], asked: Asked) -> list[float]:
    return [mkqa.f1(_text(row), row["right"], asked.language.code) for row in rows]


def _off_target(rows: Sequence[Row], asked: Asked) -> list[float]:
    """In another language, as far as letters show it; a right answer is in the right one, though it be a name."""
    assert asked.identifier is not None
    code = asked.language.code
    found = [asked.identifier.of(_text(row)) for row in rows]
    return [
        float(seen not in (None, code) and not mkqa.exact_match(_text(row), row["right"], code))
        for seen, row in zip(found, rows, strict=True)
    ]


def _rouge(rows: Sequence[Row], asked: Asked) -> list[float]:
    """F1 of the longest common run of words, or of letters where spaces do not set words apart."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], tokenizer=_Words(asked.into))
    return [float(scorer.score(row["right"][0], _text(row))["rougeL"].fmeasure) for row in rows]


class _Words:
    """rouge-score's own tokenizer drops whatever is not a Latin letter."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def tokenize(self, text: str) -> list[str]:
        kept = "".join(c if _is_of_words(c) else " " for c in text.lower())
        return kept.split() if self.language.spaced else [c for c in kept if not c.isspace()]


def _is_of_words(character: str) -> bool:
    import unicodedata

    return unicodedata.category(character)[0] in "LMN"


def _text(row: Row) -> str:
    return str(row["said"][0]) if row["said"] else ""


def _bleu(rows: Sequence[Row], asked: Asked) -> tuple[list[float], str]:
    import sacrebleu

    return _of_corpus(sacrebleu.BLEU(tokenize=tokenizer(asked.into)), rows)


def _spbleu(rows: Sequence[Row], _asked: Asked) -> tuple[list[float], str]:
    import sacrebleu

    return _of_corpus(sacrebleu.BLEU(tokenize=PIECES), rows)


def _chrf(rows: Sequence[Row], _asked: Asked) -> tuple[list[float], str]:
    import sacrebleu

    return _of_corpus(sacrebleu.CHRF(word_order=2), rows)


def _of_corpus(metric: Any, rows: Sequence[Row]) -> tuple[list[float], str]:
    """Jackknife: what the corpus's score would lose without a sentence, as often as there are sentences."""
    said, right = [_text(row) for row in rows], [[row["right"][0] for row in rows]]
    counts = np.array(metric._extract_corpus_statistics(said, right))  # as sacreBLEU's own paired tests take them
    total = counts.sum(0)
    whole = float(metric._compute_score_from_stats(total.tolist()).score)
    if len(rows) < 2:
        return [whole] * len(rows), str(metric.get_signature())
    without = [float(metric._compute_score_from_stats((total - one).tolist()).score) for one in counts]
    pulls = (len(rows) - 1) * (np.mean(without) - np.array(without))
    return list(whole + pulls), str(metric.get_signature())


def has_pieces() -> bool:
    """Whether sacreBLEU's model for spBLEU is where it would download it to: it is taken if it is there."""
    from sacrebleu.utils import SACREBLEU_DIR

    return Path(SACREBLEU_DIR, "models", "flores200_sacrebleu_tokenizer_spm.model").is_file()


def tokenizer(language: Language) -> str:
    """sacreBLEU's, as its authors advise; of languages without spaces that it has none for, by letters."""
    if language.code in ("zho_Hans", "zho_Hant"):
        return "zh"
    return "13a" if language.spaced else "char"


_EACH: dict[str, Callable[[Sequence[Row], Asked], list[float]]] = {
    "accuracy": _same,
    "word_accuracy": _words,
    "macro_f1": _macro_f1,
    "span_f1": _spans,
    "absolute_error": _error,
    "pearson": _pearson,
    "exact_match": _exact,
    "f1": _overlap,
    "off_target": _off_target,
    "rouge_l": _rouge,
}
_CORPUS: dict[str, Callable[[Sequence[Row], Asked], tuple[list[float], str]]] = {
    "bleu": _bleu,
    "spbleu": _spbleu,
    "chrf": _chrf,
}
