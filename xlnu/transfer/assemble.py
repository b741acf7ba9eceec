"""The step `transfer`: the families' rows, gated, mixed, split, and held against benchmarks.

A part takes a run of instructions in every language at once, and its share of the sentence pairs, so that families
and languages are mixed in every file. Every candidate becomes a row of train/, of held_out/, or of rejected/, which
says why: how many candidates there are is known beforehand, and the step does not finish with another number.
"""

import functools
import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import pyarrow as pa

from xlnu.config import section, setting
from xlnu.engines.chat import user_turn
from xlnu.languages import Language
from xlnu.rows import TRANSFER, row_id
from xlnu.spread import Placed, PoolConfig, spread
from xlnu.steps import Part, Rows, Work
from xlnu.transfer.contamination import Benchmarks
from xlnu.transfer.families import OF_INSTRUCTIONS, OF_PAIRS, OF_SOURCE, FamiliesConfig, Family, Kind
from xlnu.transfer.mix import SwitchConfig
from xlnu.transfer.parallel import ParallelConfig
from xlnu.transfer.score import ROUND_TRIP

Row = dict[str, Any]
TRAIN, HELD_OUT, REJECTED = "train", "held_out", "rejected"
NO_GOLD, NO_ANSWER = "the source gives no answer", "no answer"
ROWS_AT_ONCE = 20_000  # some 20 MB in a worker


Flag = Literal["empty", "cut off", "repetition", "wrong script", "copied source", "length ratio"]


def _holds(*names: str) -> Callable[[str], None]:
    def check(text: str) -> None:
        try:
            told = {name: f"<{name}>" for name in names}
            filled = text.format(**told)
        except (KeyError, IndexError, ValueError):
            filled = ""
        if not all(f"<{name}>" in filled for name in names):
            raise ValueError(
                f"it must hold {' and '.join('{' + name + '}' for name in names)}, and no other braces"
            )

    return check


@dataclass
class AskConfig:
    """What is said to the model around the texts, in the source language."""

    cue: str = setting(
        "Answer in {language}.", "follows a question whose answer is in another language", check=_holds("language")
    )
    translate: str = setting(
        "Translate this sentence from {source} to {target}:\n{text}",
        "asks for a translation",
        check=_holds("source", "target", "text"),
    )
    complete: str = setting(
        "Complete this sentence in {language}:\n{text}",
        "asks for the rest of a sentence",
        check=_holds("language", "text"),
    )
    lowercase: bool = setting(False, "write names of languages without capitals")

    def name(self, language: Language) -> str:
        return language.name.lower() if self.lowercase else language.name


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


def limits(config: TransferConfig, given: Ingredients) -> dict[str, int]:
    """For the control of equal size: by language and family, below which draw a row stays, so that as many stay as
    tau would have left. It reads flags and scores, and no text.
    """
    if config.filter != "size":
        return {}
    by_tau, found = replace(config, filter="tau"), dict[str, int]()
    ids = given.answers.read(0, len(given.answers), ["id"])["id"].to_pylist()
    draws = [_draw(config.seed, "size", name) for name in ids]
    for tables in given.languages:
        columns = ["question_flags", "answer_flags"], ["question_score", "answer_score", "gate"]

        def all_of(rows: Rows | None, names: list[str]) -> list[Row]:
            return [{}] * len(ids) if rows is None else rows.read(0, len(ids), names).to_pylist()

        bitext, quality = all_of(tables.bitext, columns[0]), all_of(tables.quality, columns[1])
        gold, gold_quality = all_of(tables.gold, columns[0]), all_of(tables.gold_quality, columns[1])
        for family, kind in OF_INSTRUCTIONS.items():
            if family in OF_SOURCE or family not in config.families.weights():
                continue
            answers = (gold, gold_quality) if kind.gold else (bitext, quality)
            judged = [judge(kind, *rows) for rows in zip(bitext, quality, *answers, strict=True)]
            eligible = sorted(draw for draw, one in zip(draws, judged, strict=True) if not refuse(one, config))
            kept = sum(not refuse(one, by_tau) for one in judged)
            found[f"{tables.language.label} {family}"] = eligible[kept] if kept < len(eligible) else 2**64
    return found


def candidates(config: TransferConfig, given: Ingredients) -> int:
    """How many rows the set is made of, those to be rejected among them."""
    total = 0
    for family, weight in config.families.weights().items():
        copies = math.ceil(weight)
        if family in OF_SOURCE:
            total += copies * len(given.answers)
            continue
        for tables in given.languages:
            if family in OF_PAIRS:
                total += copies * (len(tables.pairs) if tables.pairs is not None else 0)
            else:
                total += copies * _variants(config, tables) * len(given.answers)
    return total


def _variants(config: TransferConfig, tables: Tables) -> int:
    """A question may stand in the set as it is and switched."""
    return 2 if config.switch.copies and tables.switched is not None else 1


def assemble(
    work: Work, config: TransferConfig, given: Ingredients, limits: dict[str, int], benchmarks: Benchmarks | None
) -> int:
    per_part = max(1, ROWS_AT_ONCE * len(given.answers) // max(1, candidates(config, given)))
    stage = functools.partial(_Assemble, config, given, limits, benchmarks)
    one_core = PoolConfig()
    one_core.cpus = 1
    spread({work.name: work}, {work.name: len(given.answers)}, per_part, stage, one_core, folder=TRAIN)
    return candidates(config, given)


class _Assemble:
    def __init__(
        self,
        config: TransferConfig,
        given: Ingredients,
        limits: dict[str, int],
        benchmarks: Benchmarks | None,
        _placed: Placed,
    ) -> None:
        self.config, self.given, self.limits, self.benchmarks = config, given, limits, benchmarks
        self.weights = config.families.weights()

    def __call__(self, _step: str, part: Part) -> tuple[dict[str, pa.Table], int]:
        tables = {TRAIN: list[Row](), HELD_OUT: list[Row](), REJECTED: list[Row]()}
        for row in self._candidates(part):
            row["reject"] = row["reject"] or self._contaminated(row)
            tables[self._place(row)].append(row)
        order = functools.partial(_draw, self.config.seed, "order")
        return {
            place: pa.Table.from_pylist(sorted(rows, key=lambda row: order(row["id"])), schema=TRANSFER)
            for place, rows in reversed(tables.items())  # train/ last: it says that the part is there
        }, 0

    def _place(self, row: Row) -> str:
        if row["reject"]:
            return REJECTED
        drawn = _draw(self.config.seed, "held out", row["seed_text"])
        return HELD_OUT if drawn < self.config.held_out * 2**64 else TRAIN

    def _contaminated(self, row: Row) -> str | None:
        if self.benchmarks is None:
            return None
        # together: a sentence to complete is cut in two between question and answer
        name = self.benchmarks.found_in("\n".join(message["content"] for message in row["messages"]))
        return name and f"text of a benchmark: {name.partition('/')[0]}"  # of FLORES there are 204 files

    # ---------------------------------------------------------------------------------------- of instructions

    def _candidates(self, part: Part) -> Iterator[Row]:
        sources = self.given.answers.read(part.start, part.stop).to_pylist()
        for family in (family for family in OF_SOURCE if family in self.weights):
            for source in sources:
                yield from self._copies(family, self._source_row(source, family))
        for tables in self.given.languages:
            yield from self._of_language(tables, sources, part)
            yield from self._of_pairs(tables, part)

    def _source_row(self, source: Row, family: Family) -> Row:
        gold = OF_INSTRUCTIONS[family].gold
        answer = source["output"] if gold else source["answer"]
        question = user_turn(source["instruction"], source["input"])
        return {
            **_row(source["id"], self.given.source.label, family, source["origin"]),
            "seed_text": source["instruction"],
            "reject": None if answer else NO_GOLD if gold else NO_ANSWER,
            "messages": _messages(source["system"], question, answer or ""),
            "llm": None if gold else f"{source['engine']} {source['model']}",
        }

    def _of_language(self, tables: Tables, sources: list[Row], part: Part) -> Iterator[Row]:
        def read(rows: Rows | None) -> list[Row]:
            return [{}] * len(sources) if rows is None else rows.read(part.start, part.stop).to_pylist()

        families = [family for family in OF_INSTRUCTIONS if family in self.weights and family not in OF_SOURCE]
        if not families:
            return
        read_all = (tables.bitext, tables.quality, tables.switched, tables.gold, tables.gold_quality)
        together = zip(sources, *map(read, read_all), strict=True)
        for source, bitext, quality, switched, gold, gold_quality in together:
            for family in families:
                is_gold = OF_INSTRUCTIONS[family].gold
                answer = gold if is_gold else bitext
                answer_quality = gold_quality if is_gold else quality
                for mixed in {2: (False, True), 1: (bool(switched),)}[_variants(self.config, tables)]:
                    row = self._translated_row(
                        tables.language, family, source, bitext, quality, answer, answer_quality,
                        switched if mixed else {},
                    )  # fmt: skip
                    yield from self._copies(family, row)

    def _translated_row(
        self,
        language: Language,
        family: Family,
        source: Row,
        bitext: Row,
        quality: Row,
        answer: Row,
        answer_quality: Row,
        switched: Row,
    ) -> Row:
        kind = OF_INSTRUCTIONS[family]
        if kind.question == "source":
            question = switched.get("source_question") or user_turn(source["instruction"], source["input"])
            side = "source_"
        else:
            question = switched.get("question") or user_turn(bitext["instruction"] or "", bitext["input"] or "")
            side = ""
        said = source["answer"] if kind.answer == "source" else answer["answer"]
        if kind.crosses:
            into = self.given.source if kind.answer == "source" else language
            question += "\n" + self.config.ask.cue.format(language=self.config.ask.name(into))
        judged = judge(kind, bitext, quality, answer, answer_quality)
        row = _row(source["id"], language.label, family, source["origin"], "switched" if switched else "")
        row |= {
            "messages": _messages(source["system"], question, said or ""),
            **{name: switched.get(side + name, 0) for name in ("words", "known", "switched")},
            "question_score": judged.question_score,
            "answer_score": judged.answer_score,
            "gate": judged.gate,
            "llm": None if kind.gold else f"{source['engine']} {source['model']}",
            "translator": f"{bitext['engine']} {bitext['model']} beam {bitext['beam']}",
        }
        row["seed_text"] = source["instruction"]
        gold_missing = NO_GOLD if kind.gold and not source["output"] else None
        row["reject"] = (
            bitext["reject"] or gold_missing or refuse(judged, self.config) or (None if said else NO_ANSWER)
        )
        if row["reject"] is None and self.config.filter == "size":
            limit = self.limits[f"{language.label} {family}"]
            if _draw(self.config.seed, "size", source["id"]) >= limit:
                row["reject"] = "left out to match the size"
        return row

    # ---------------------------------------------------------------------------------------- of pairs

    def _of_pairs(self, tables: Tables, part: Part) -> Iterator[Row]:
        families = [family for family in OF_PAIRS if family in self.weights]
        if tables.pairs is None or not families:
            return
        whole, n = len(self.given.answers), len(tables.pairs)
        share = (n * part.start // whole, n * part.stop // whole) if whole else (0, n)
        for pair in tables.pairs.read(*share).to_pylist():
            for family in families:
                yield from self._copies(family, self._pair_row(pair, family, tables.language))

    def _pair_row(self, pair: Row, family: Family, language: Language) -> Row:
        ask, source = self.config.ask, self.given.source
        names = {"source": ask.name(source), "target": ask.name(language)}
        if family == "translate_fwd":
            question, answer = ask.translate.format(**names, text=pair["source"]), pair["target"]
        elif family == "translate_bwd":
            turned = {"source": names["target"], "target": names["source"]}
            question, answer = ask.translate.format(**turned, text=pair["target"]), pair["source"]
        else:
            begin, answer = _begun(pair["target"], language, _draw(self.config.seed, "complete", pair["id"]))
            answer = answer if begin else ""  # one word cannot be begun
            question = ask.complete.format(language=names["target"], text=begin)
        reject = None if answer else "too short to complete"
        row = _row(pair["id"], language.label, family, "parallel corpus")
        # corpora share their source sentences between languages: those go together
        return {**row, "seed_text": pair["source"], "reject": reject, "messages": _messages(None, question, answer)}

    def _copies(self, family: Family, row: Row) -> Iterator[Row]:
        """As many as the family's weight; of a last one that is not whole, a share is left out, by its hash."""
        weight = self.weights[family]
        for copy in range(math.ceil(weight)):
            one = {**row, "id": row_id(row["id"], copy)}
            if _draw(self.config.seed, "weight", one["id"]) >= (weight - copy) * 2**64:
                one["reject"] = one["reject"] or "left out by the family's weight"
            yield one


def _row(parent: str, language: str, family: Family, origin: str, variant: str = "") -> Row:
    empty = {"question_score": None, "answer_score": None, "gate": None, "llm": None, "translator": None}
    return {
        "id": row_id(parent, language, family, variant),
        "reject": None,
        "parent": parent,
        "language": language,
        "family": family,
        "origin": origin,
        "words": 0,
        "known": 0,
        "switched": 0,
        **empty,
    }


def _messages(system: str | None, question: str, answer: str) -> list[dict[str, str]]:
    begin = [{"role": "system", "content": system}] if system else []
    return [*begin, {"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def _draw(seed: int, what: str, name: str) -> int:
    """A number below 2**64, of the row's own: from (seed, id), never from a position."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {what} {name}".encode(), digest_size=8).digest())


def _begun(text: str, language: Language, drawn: int) -> tuple[str, str]:
    """The first 30 to 70 % of a sentence, and the rest; by words where spaces set them apart."""
    share = 0.3 + 0.4 * drawn / 2**64
    if not language.spaced:
        at = round(share * len(text))
        return text[:at], text[at:]
    words = text.split(" ")
    at = min(max(1, round(share * len(words))), len(words) - 1)
    return " ".join(words[:at]), " ".join(words[at:])
