"""The step `questions`: what is asked in an evaluation, once for all models that are evaluated."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from xlnu.cache import hash_file
from xlnu.cluster.pools import GeneratorPool
from xlnu.config import section, setting
from xlnu.engines.ct2 import Compute
from xlnu.errors import UserError
from xlnu.evaluate import flores, mkqa
from xlnu.evaluate.metrics import FROM_SOURCE, TO_SOURCE
from xlnu.languages import Language
from xlnu.rows import ROW, row_id
from xlnu.steps import NOBODY_KNOWS, Step, Work
from xlnu.transfer.ask import AskConfig

ROWS_PER_PART = 4096
Resource = Literal["high", "mid", "low"]
QA = "qa"
MKQA, FLORES = "mkqa", "flores"

QUESTIONS = pa.schema(
    [
        *ROW,
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False, metadata={"meaning": "qa, to_source or from_source"}),
        pa.field("language", pa.string(), nullable=False, metadata={"meaning": "the language that is tested"}),
        pa.field("key", pa.string(), nullable=False, metadata={"meaning": "of an example in all its languages"}),
        pa.field("segments", pa.list_(pa.string()), metadata={"meaning": "what the prompt is made of"}),
        pa.field("prompt", pa.string(), nullable=False),
        pa.field("right", pa.list_(pa.string()), nullable=False, metadata={"meaning": "answers that are right"}),
    ]
)


@dataclass
class AnswerConfig:
    """What runs a model that writes its answers."""

    engine: Literal["ct2", "hf"] = setting("ct2", "what runs the models that are evaluated; greedy")
    compute: Compute = setting("auto", "numbers it computes with, as of english.compute")
    max_new_tokens: int = setting(256, "an answer that is longer is cut off", at_least=1)
    batch_tokens: int = setting(16384, "tokens computed at once, padding included", at_least=1)
    rows_per_part: int = setting(512, "answers written at once, and so lost at most to a kill", at_least=1)
    pool: GeneratorPool = section(GeneratorPool)


@dataclass
class EvaluateConfig(AnswerConfig):
    """What a model is asked before and after, and what runs it then."""

    mkqa: str = setting("", "questions and answers: MKQA's file mkqa.jsonl or mkqa.jsonl.gz; empty: not asked")
    flores: str = setting(
        "", "a folder with FLORES-200's dev/ and devtest/: translations both ways; FLORES is kept out of training"
    )
    split: Literal["dev", "devtest"] = setting("devtest", "of FLORES")
    comet: str = setting(
        "",
        "a COMET checkpoint by which translations are judged, too: a folder, or a name on the hub (NAME@REVISION)",
    )
    identify: str = setting(
        "",
        "a fastText model that tells languages, as GlotLID's; empty: learned from FLORES's other split",
    )
    at_most: int = setting(0, "only the first n questions of a benchmark and language; 0: all", at_least=0)
    resources: dict[str, Resource] = setting(
        {}, "how much text there is of a language, for the report: {sw: low, uk: high}; else high if XLM-R has it"
    )

    @property
    def on(self) -> bool:
        return bool(self.mkqa or self.flores)


def step(config: EvaluateConfig, ask: AskConfig, source: Language, languages: Sequence[Language]) -> Step:
    files = _files(config, [source, *languages])
    about: dict[str, Any] = {
        "files": {name: hash_file(path) for name, path in files.items()},
        "ask": {"translate": ask.translate, "lowercase": ask.lowercase},
        "split": config.split,
        "at_most": config.at_most,
        "source": source.label,
        "languages": [language.label for language in languages],
    }

    def run(work: Work) -> int:
        made = list(_rows(config, ask, source, languages))
        for part in work.todo(len(made), ROWS_PER_PART):
            work.write(part, pa.Table.from_pylist(made[part.start : part.stop], schema=QUESTIONS))
        return len(made)

    return Step("questions", about, run, version=3, estimate=NOBODY_KNOWS)


def _files(config: EvaluateConfig, languages: Sequence[Language]) -> dict[str, Path]:
    """All that is read, by names that do not say where it lies; UserError if there is nothing."""
    found = dict[str, Path]()
    if config.mkqa:
        found[MKQA] = Path(config.mkqa).expanduser()
        if not found[MKQA].is_file():
            raise UserError(f"evaluate.mkqa: {config.mkqa}: no such file")
    if config.flores:
        source, *others = languages
        there = {one.code: flores.place(Path(config.flores).expanduser(), config.split, one) for one in languages}
        if not there[source.code].is_file():
            raise UserError(f"evaluate.flores: {there[source.code]}: no such file, and it is the source language's")
        if not any(there[one.code].is_file() for one in others):
            raise UserError(f"evaluate.flores: no other language's file is there, such as {there[others[0].code]}")
        found |= {f"{FLORES} {code}": path for code, path in there.items() if path.is_file()}
    return found


def _rows(
    config: EvaluateConfig, ask: AskConfig, source: Language, languages: Sequence[Language]
) -> Iterator[dict[str, Any]]:
    seen: dict[tuple[str, str, str], int] = {}
    for row in _all(config, ask, source, languages):
        place = (row["benchmark"], row["kind"], row["language"])
        seen[place] = seen.get(place, 0) + 1
        if not config.at_most or seen[place] <= config.at_most:
            yield row


def _all(
    config: EvaluateConfig, ask: AskConfig, source: Language, languages: Sequence[Language]
) -> Iterator[dict[str, Any]]:
    if config.mkqa:
        for language, key, question, answers in mkqa.read(Path(config.mkqa).expanduser(), [source, *languages]):
            yield _row(MKQA, QA, language, key, question, answers, question)
    if config.flores:
        for language in languages:
            lines = flores.pairs(Path(config.flores).expanduser(), config.split, source, language)
            for number, (one, other) in enumerate(lines):
                for kind, text, right, names in (
                    (TO_SOURCE, other, one, (language, source)),
                    (FROM_SOURCE, one, other, (source, language)),
                ):
                    said = ask.translate.format(source=ask.name(names[0]), target=ask.name(names[1]), text=text)
                    yield _row(FLORES, kind, language, row_id(number, one), said, [right], text)


def _row(
    benchmark: str, kind: str, language: Language, key: str, prompt: str, right: Sequence[str], text: str
) -> dict[str, Any]:
    return {
        "id": row_id(benchmark, kind, language.label, key),
        "reject": None if right else "no short answer to hold it against",
        "benchmark": benchmark,
        "task": "qa" if kind == QA else "translation",
        "kind": kind,
        "language": language.label,
        "key": key,
        "segments": [text],
        "prompt": prompt,
        "right": list(right),
    }
