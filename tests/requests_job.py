"""A job of two small steps, for the tests of what every job has: settings, steps on a store, kills, the report.

A dozen instructions become one translation request for each language of FLORES-200, with the codes NLLB
wants on both sides. Two of the 204 have no code in NLLB: their requests are rejected, counted and kept.
"""

from dataclasses import dataclass

import pyarrow as pa

from xlnu.config import section, setting
from xlnu.job import job
from xlnu.languages import Language, all_languages, model_code, resolve, resolve_all
from xlnu.rows import INSTRUCTIONS, ROW, row_id
from xlnu.run import Run, RunConfig
from xlnu.steps import Estimate, Step, Work

REQUESTS = pa.schema(
    [
        *ROW,
        pa.field("parent", pa.string(), nullable=False, metadata={"meaning": "id of the instruction"}),
        pa.field("language", pa.string(), nullable=False, metadata={"meaning": "label, a fallback visible in it"}),
        pa.field("source_code", pa.string(), nullable=False, metadata={"meaning": "the model's code to read from"}),
        pa.field("target_code", pa.string(), metadata={"meaning": "the model's code to write; null: it has none"}),
        pa.field("text", pa.string(), nullable=False),
    ]
)

PROMPTS = (
    ("Name three things that people carry when they expect rain.", ""),
    ("Explain in one sentence why the sea is salty.", ""),
    ("Rewrite this so that a child understands it.", "Evaporation cools a surface by taking heat from it."),
    ("Which of these is heavier?", "a litre of water or a litre of oil"),
    ("Write a short invitation to a neighbour for tea on Sunday.", ""),
    ("Put these words in the order of the alphabet.", "river, bread, window, apple"),
    (
        "Is the mood of this sentence happy or sad?",
        "The last bus left without us, and we sang all the way home.",
    ),
    ("What should you do first when a pan of oil catches fire?", ""),
    ("Give the next two numbers.", "2, 4, 8, 16"),
    ("Summarise the message in five words.", "Your parcel arrived; please fetch it before Friday evening."),
    ("Suggest a name for a bakery that opens at night.", ""),
    ("How many minutes are there in a day?", ""),
)


def _can_be_read(source: str) -> None:
    model_code(resolve(source), "nllb")


@dataclass
class RequestsConfig:
    languages: list[str] = setting(
        [],
        "the languages to make requests for, each a code, an ISO code, a name, or code->code for a fallback; "
        "empty: every language of FLORES-200",
        check=resolve_all,
    )
    source: str = setting("eng_Latn", "the language of the instructions", check=_can_be_read)
    rows_per_part: int = setting(50, "rows written at once, and so lost at most to a kill", at_least=1)
    run: RunConfig = section(RunConfig)


def make_instructions(work: Work) -> int:
    for part in work.todo(len(PROMPTS), rows_per_part=len(PROMPTS)):
        rows = [
            {"id": row_id(instruction, about), "origin": "here", "instruction": instruction, "input": about}
            for instruction, about in PROMPTS[part.start : part.stop]
        ]
        work.write(part, pa.Table.from_pylist(rows, schema=INSTRUCTIONS))
    return len(PROMPTS)


def make_requests(work: Work, source: Language, targets: list[Language], size: int) -> int:
    """One row for each (instruction, language), languages outermost."""
    instructions = work.inputs["instructions"].table().to_pylist()
    rows = len(targets) * len(instructions)
    for part in work.todo(rows, rows_per_part=size):
        table = [
            _request(instructions[at % len(instructions)], source, targets[at // len(instructions)])
            for at in range(part.start, part.stop)
        ]
        work.write(part, pa.Table.from_pylist(table, schema=REQUESTS))
    return rows


def _request(instruction: dict[str, str], source: Language, target: Language) -> dict[str, str | None]:
    reason = None
    if target.nllb is None:
        reason = "NLLB has no code for the language"
    elif target.code == source.code:
        reason = "the source language itself"
    return {
        "id": row_id(instruction["id"], target.label),
        "reject": reason,
        "parent": instruction["id"],
        "language": target.label,
        "source_code": model_code(source, "nllb"),
        "target_code": target.nllb,
        "text": "\n".join(filter(None, (instruction["instruction"], instruction["input"]))),
    }


def steps(config: RequestsConfig) -> list[Step]:
    source = resolve(config.source)
    every = [language for language in all_languages() if language.flores]
    targets = resolve_all(config.languages) or every
    instructions = Step(
        "instructions",
        {"prompts": [list(prompt) for prompt in PROMPTS]},
        make_instructions,
        estimate=Estimate(rows=len(PROMPTS)),
    )
    words = sum(len(f"{instruction} {about}".split()) for instruction, about in PROMPTS)
    requests = Step(
        "requests",
        {"source": source.label, "languages": [target.label for target in targets]},
        lambda work: make_requests(work, source, targets, config.rows_per_part),
        inputs=(instructions,),
        # 1.4 tokens a word is what subword vocabularies need for English; 20,000 rows/s was seen on two cores
        estimate=Estimate(
            rows=len(PROMPTS) * len(targets),
            tokens=round(1.4 * words * len(targets)),
            hours=len(PROMPTS) * len(targets) / 20_000 / 3600,
        ),
    )
    return [instructions, requests]


def work(config: RequestsConfig, run: Run) -> None:
    run.report(run.steps(steps(config)))


if __name__ == "__main__":
    job("requests", RequestsConfig, work, __doc__)
