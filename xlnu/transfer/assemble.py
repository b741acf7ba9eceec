"""The step `transfer`: the families' rows, gated, mixed, split, and held against benchmarks.

A part takes a run of instructions in every language at once, and its share of the sentence pairs, so that families
and languages are mixed in every file. Every candidate becomes a row of train/, of held_out/, or of rejected/, which
says why: how many candidates there are is known beforehand, and the step does not finish with another number.
"""

import functools
import math
from collections.abc import Iterator

import pyarrow as pa

from xlnu.cluster.pools import ONE_CORE, Placed
from xlnu.engines.chat import user_turn
from xlnu.languages import Language
from xlnu.rows import TRANSFER, row_id
from xlnu.spread import spread
from xlnu.steps import Part, Rows, Work
from xlnu.transfer.contamination import Benchmarks
from xlnu.transfer.families import OF_INSTRUCTIONS, OF_PAIRS, OF_SOURCE, Family
from xlnu.transfer.verdict import (
    NO_ANSWER,
    NO_GOLD,
    Ingredients,
    Row,
    Tables,
    TransferConfig,
    draw,
    judge,
    refusal,
)

TRAIN, HELD_OUT, REJECTED = "train", "held_out", "rejected"
ROWS_AT_ONCE = 20_000


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
    spread({work.name: work}, {work.name: len(given.answers)}, per_part, stage, ONE_CORE, folder=TRAIN)
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
        order = functools.partial(draw, self.config.seed, "order")
        return {
            place: pa.Table.from_pylist(sorted(rows, key=lambda row: order(row["id"])), schema=TRANSFER)
            for place, rows in reversed(tables.items())  # train/ last: it says that the part is there
        }, 0

    def _place(self, row: Row) -> str:
        if row["reject"]:
            return REJECTED
        drawn = draw(self.config.seed, "held out", row["seed_text"])
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
                variants = {2: ({}, switched), 1: (switched,)}[_variants(self.config, tables)]
                made = [
                    self._translated_row(
                        tables.language, family, source, bitext, quality, answer, answer_quality, variant
                    )
                    for variant in variants
                ]
                if len(made) == 2 and made[0]["messages"] == made[1]["messages"]:  # or switched to its like
                    made[1]["reject"] = made[1]["reject"] or "nothing was switched: it stands there as it is"
                for row in made:
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
        kind, asked = OF_INSTRUCTIONS[family], user_turn(source["instruction"], source["input"])
        if kind.question == "source":
            question = switched.get("source_question") or asked
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
            "teacher_question": asked if family == "tgt_en" else None,
            "question_score": judged.question_score,
            "answer_score": judged.answer_score,
            "gate": judged.gate,
            "llm": None if kind.gold else f"{source['engine']} {source['model']}",
            "translator": f"{bitext['engine']} {bitext['model']} beam {bitext['beam']}",
        }
        row["seed_text"] = source["instruction"]
        row["reject"] = refusal(self.config, kind, source, bitext, answer, judged)
        if row["reject"] is None and self.config.filter == "size":
            limit = self.limits[f"{language.label} {family}"]
            if draw(self.config.seed, "size", source["id"]) >= limit:
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
            begin, answer = _begun(pair["target"], language, draw(self.config.seed, "complete", pair["id"]))
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
            if draw(self.config.seed, "weight", one["id"]) >= (weight - copy) * 2**64:
                one["reject"] = one["reject"] or "left out by the family's weight"
            yield one


def _row(parent: str, language: str, family: Family, origin: str, variant: str = "") -> Row:
    empty = {
        "teacher_question": None,
        "question_score": None,
        "answer_score": None,
        "gate": None,
        "llm": None,
        "translator": None,
    }
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


def _begun(text: str, language: Language, drawn: int) -> tuple[str, str]:
    """The first 30 to 70 % of a sentence, and the rest; by words where spaces set them apart."""
    share = 0.3 + 0.4 * drawn / 2**64
    if not language.spaced:
        at = round(share * len(text))
        return text[:at], text[at:]
    words = text.split(" ")
    at = min(max(1, round(share * len(words))), len(words) - 1)
    return " ".join(words[:at]), " ".join(words[at:])
