"""The families of rows that a transfer set is made of, and what each takes from an instruction or a pair."""

from dataclasses import dataclass, fields
from typing import Literal

from xlnu.config import setting

Family = Literal[
    "en_en", "tgt_tgt", "tgt_en", "en_tgt", "gold_tgt_tgt", "gold_en_en",
    "translate_fwd", "translate_bwd", "complete",
]  # fmt: skip


@dataclass
class FamiliesConfig:
    """How often each family stands in the set: 0 leaves it out, 2 takes all its rows twice, 0.5 half of them."""

    en_en: float = setting(1.0, "question and the LLM's answer, both in the source language", at_least=0)
    tgt_tgt: float = setting(1.0, "both translated", at_least=0)
    tgt_en: float = setting(1.0, "the question translated, the answer not", at_least=0)
    en_tgt: float = setting(1.0, "the answer translated, the question not", at_least=0)
    gold_tgt_tgt: float = setting(
        0.0, "question and the source's own answer, both translated: alone, translate-then-SFT", at_least=0
    )
    gold_en_en: float = setting(0.0, "question and the source's own answer: alone, plain SFT", at_least=0)
    translate_fwd: float = setting(1.0, "a sentence pair: translate into the language", at_least=0)
    translate_bwd: float = setting(1.0, "a sentence pair: translate into the source language", at_least=0)
    complete: float = setting(1.0, "a sentence of the language begun, and its rest", at_least=0)

    def weights(self) -> dict[Family, float]:
        """Of the families that are in the set."""
        found: dict[Family, float] = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[misc]
        return {family: weight for family, weight in found.items() if weight}


@dataclass(frozen=True)
class Kind:
    """Where a family's question and answer come from."""

    question: Literal["source", "target"]
    answer: Literal["source", "target"]
    gold: bool = False

    @property
    def crosses(self) -> bool:
        """Whether the question does not show the language of the answer, which it then must say."""
        return self.question != self.answer


OF_INSTRUCTIONS: dict[Family, Kind] = {
    "en_en": Kind("source", "source"),
    "tgt_tgt": Kind("target", "target"),
    "tgt_en": Kind("target", "source"),
    "en_tgt": Kind("source", "target"),
    "gold_tgt_tgt": Kind("target", "target", gold=True),
    "gold_en_en": Kind("source", "source", gold=True),
}
OF_PAIRS: tuple[Family, ...] = ("translate_fwd", "translate_bwd", "complete")
OF_SOURCE: tuple[Family, ...] = ("en_en", "gold_en_en")  # once an instruction, not once a language
