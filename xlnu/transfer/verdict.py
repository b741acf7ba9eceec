"""Which translated rows go into a transfer set: flags, tau, and a control of as many rows as tau would leave.

No model is called here, so that another tau costs none.
"""

import hashlib
from array import array
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Literal

from xlnu.config import section, setting
from xlnu.languages import Language
from xlnu.steps import Rows
from xlnu.transfer.ask import AskConfig
from xlnu.transfer.families import OF_INSTRUCTIONS, OF_SOURCE, FamiliesConfig, Kind
from xlnu.transfer.mix import SwitchConfig
from xlnu.transfer.parallel import ParallelConfig
from xlnu.transfer.score import ROUND_TRIP

Row = dict[str, Any]
NO_GOLD, NO_ANSWER = "the source gives no answer", "no answer"
AT_ONCE = 8192

Flag = Literal["empty", "cut off", "repetition", "wrong script", "copied source", "length ratio"]


@dataclass
class TransferConfig:
    """How the transfer set is put together. No change here calls a model."""

    tau: float = setting(0.8, "a translation that COMETKiwi scores below this is rejected", at_least=0, at_most=1)
    tau_round_trip: float = setting(
        0.5, "the same for languages judged by the chrF of their round trip", at_least=0, at_most=1
    )
    filter: Literal["tau", "none", "size"] = setting(
        "tau", "none: scores do not count; size: as none, with as many rows a language as tau would leave"
    )
    flags: list[Flag] = setting(
        ["empty", "cut off", "repetition", "wrong script", "copied source", "length ratio"],
        "flags of a translation that reject it",
    )
    families: FamiliesConfig = section(FamiliesConfig)
    switch: SwitchConfig = section(SwitchConfig)
    parallel: ParallelConfig = section(ParallelConfig)
    ask: AskConfig = section(AskConfig)
    held_out: float = setting(0.02, "share of instructions, with all that is made of them, kept for validation",
                              at_least=0, at_most=1)  # fmt: skip
    benchmarks: list[str] = setting([], "files or folders of tests, whose text may not be trained on")
    ngram: int = setting(13, "words in a row that make a text a benchmark's", at_least=3)
    seed: int = setting(0, "of code-switching, mixing, weights and the split", at_least=0)


@dataclass(frozen=True)
class Tables:
    """A language's steps, row for row in the order of the instructions; None for what it has not."""

    language: Language
    bitext: Rows | None
    quality: Rows | None
    gold: Rows | None
    gold_quality: Rows | None
    switched: Rows | None
    pairs: Rows | None


@dataclass(frozen=True)
class Ingredients:
    source: Language
    answers: Rows
    languages: tuple[Tables, ...]


@dataclass(frozen=True)
class Judged:
    """What is known of the translated sides of a row; None and empty for a side that is not translated."""

    question_flags: list[str]
    answer_flags: list[str]
    question_score: float | None
    answer_score: float | None
    gate: str


def judge(kind: Kind, bitext: Row, quality: Row, answer: Row, answer_quality: Row) -> Judged:
    question, answered = kind.question == "target", kind.answer == "target"
    return Judged(
        bitext["question_flags"] if question else [],
        answer["answer_flags"] if answered else [],
        quality["question_score"] if question else None,
        answer_quality["answer_score"] if answered else None,
        quality["gate"],
    )


def refuse(judged: Judged, config: TransferConfig) -> str | None:
    """Why flags or tau reject a row."""
    sides = (("question", judged.question_flags), ("answer", judged.answer_flags))
    flagged = next((f"{side}: {flag}" for side, flags in sides for flag in flags if flag in config.flags), None)
    if flagged or config.filter != "tau":
        return flagged
    tau = config.tau_round_trip if judged.gate == ROUND_TRIP else config.tau
    scores = (("question", judged.question_score), ("answer", judged.answer_score))
    return next((f"{side}: below tau" for side, score in scores if score is not None and score < tau), None)


def refusal(
    config: TransferConfig, kind: Kind, source: Row, bitext: Row, answer: Row, judged: Judged
) -> str | None:
    """Why a translated row goes no further."""
    if bitext["reject"] or answer["reject"]:
        return bitext["reject"] or answer["reject"]  # type: ignore[no-any-return]
    if kind.gold and not source["output"]:
        return NO_GOLD
    said = source["answer"] if kind.answer == "source" else answer["answer"]
    return refuse(judged, config) or (None if said else NO_ANSWER)


def limits(config: TransferConfig, given: Ingredients) -> dict[str, int]:
    """For the control of equal size: by language and family, below which draw a row stays, so that as many stay as
    tau would have left. Held on the way: eight bytes a row of each.
    """
    if config.filter != "size":
        return {}
    by_tau, kept = replace(config, filter="tau"), Counter[str]()
    eligible: dict[str, array[int]] = {}
    families = [f for f in OF_INSTRUCTIONS if f not in OF_SOURCE and f in config.families.weights()]
    for start in range(0, len(given.answers), AT_ONCE):
        stop = min(start + AT_ONCE, len(given.answers))
        sources = given.answers.read(start, stop, ["id", "answer", "output"]).to_pylist()
        draws = [draw(config.seed, "size", source["id"]) for source in sources]
        for tables in given.languages:
            read = (tables.bitext, tables.quality, tables.gold, tables.gold_quality)
            columns = [[{}] * len(sources) if r is None else r.read(start, stop).to_pylist() for r in read]
            for family in families:
                name, kind = f"{tables.language.label} {family}", OF_INSTRUCTIONS[family]
                stay = eligible.setdefault(name, array("Q"))
                for drawn, source, bitext, quality, gold, gold_quality in zip(
                    draws, sources, *columns, strict=True
                ):
                    answer, scores = (gold, gold_quality) if kind.gold else (bitext, quality)
                    judged = judge(kind, bitext, quality, answer, scores)
                    if refusal(config, kind, source, bitext, answer, judged) is None:
                        stay.append(drawn)
                        kept[name] += refusal(by_tau, kind, source, bitext, answer, judged) is None
    return {
        name: sorted(draws)[kept[name]] if kept[name] < len(draws) else 2**64 for name, draws in eligible.items()
    }


def draw(seed: int, what: str, name: str) -> int:
    """A number below 2**64, of the row's own: from (seed, id), never from a position."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {what} {name}".encode(), digest_size=8).digest())
