"""What the steps of a transfer set take, from the sizes of texts and models: for --plan, and right within a few.

Time is known for processors only, from one measurement: 263 tokens/s of a translator of 615M parameters in int8 on
two cores, greedy. Cost grows with parameters and beams. For GPUs nothing was measured, and no time is given.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from xlnu.cluster.cost import CORE
from xlnu.cluster.pools import PoolConfig
from xlnu.engines.checkpoint import Checkpoint
from xlnu.machine import cores
from xlnu.steps import Estimate
from xlnu.transfer.families import OF_PAIRS, OF_SOURCE, Family
from xlnu.transfer.sources import Source

LETTERS = 4  # to a token, in English; other languages have fewer, which the next line is for
MORE = 1.3
SENTENCE = 80  # letters
PAIR = 80  # tokens of a question that asks for a translation, and the answer
ANSWER = 400  # letters, where the source has no answers to go by


@dataclass(frozen=True)
class Amount:
    """How much text the source holds."""

    rows: int
    questions: int  # letters
    answers: int

    @property
    def sentences(self) -> int:
        return max(self.rows, (self.questions + self.answers) // SENTENCE)

    @property
    def tokens(self) -> int:
        return (self.questions + self.answers) // LETTERS

    def answering(self, model: Checkpoint | None, per_part: int, pool: PoolConfig) -> Estimate:
        return _estimate(self.rows, self.answers // LETTERS, model, per_part, pool)

    def translating(self, model: Checkpoint | None, per_part: int, pool: PoolConfig, beam: int) -> Estimate:
        return _estimate(self.sentences, round(MORE * self.tokens), model, per_part, pool, beam)

    def judging(self, model: Checkpoint | None, per_part: int, pool: PoolConfig) -> Estimate:
        return _estimate(self.rows, round((1 + MORE) * self.tokens), model, per_part, pool)

    def training(self, weights: Mapping[Family, float], languages: int, pairs: int) -> int:
        """Tokens of a set in which every translation is good enough: there will be fewer."""
        of_source = sum(weight for family, weight in weights.items() if family in OF_SOURCE)
        of_pairs = sum(weight for family, weight in weights.items() if family in OF_PAIRS)
        of_both = sum(weights.values()) - of_source - of_pairs
        return round(self.tokens * (of_source + MORE * of_both * languages) + PAIR * pairs * of_pairs * languages)


def amount(source: Source) -> Amount:
    rows = questions = answers = 0
    for record in source.records():
        if record["reject"] is None:
            rows += 1
            questions += len(record["instruction"]) + len(record["input"])
            answers += ANSWER if record["output"] is None else len(record["output"])
    return Amount(rows, questions, answers)


def _estimate(
    rows: int, tokens: int, model: Checkpoint | None, per_part: int, pool: PoolConfig, beam: int = 1
) -> Estimate:
    effort = tokens * model.parameters * beam if model and model.parameters else None
    hours = None if effort is None or pool.gpus_each else effort / (CORE * cores()) / 3600
    parts = -(-rows // per_part)
    return Estimate(rows, tokens, hours, pool.role, effort, min(parts, pool.actors or parts))
