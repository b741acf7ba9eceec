"""How big a world is: xs for tests, s for the demo, m for a GPU."""

from dataclasses import dataclass, field
from typing import Literal

from xlnu.tiny.llm import LLMShape
from xlnu.tiny.mt import MTShape
from xlnu.tiny.qe import QEShape

SizeName = Literal["xs", "s", "m"]


@dataclass(frozen=True)
class Amounts:
    """How many people live there, and how much is written down. Parallel text: of the richest language."""

    people: int = 60
    parallel: int = 4000
    phrases: int = 300  # short ones besides, for languages that have little else
    unlabeled: int = 4000  # sentences of every language
    instructions: int = 600
    train: int = 480
    validation: int = 120
    test: int = 240
    flores: int = 200


@dataclass(frozen=True)
class Size:
    amounts: Amounts = field(default_factory=Amounts)
    mt: MTShape = field(default_factory=MTShape)
    llm: LLMShape = field(default_factory=LLMShape)
    qe: QEShape = field(default_factory=QEShape)


SIZES: dict[SizeName, Size] = {
    "xs": Size(
        Amounts(
            people=12, parallel=200, phrases=30, unlabeled=100, instructions=60, train=24, validation=12, test=12,
            flores=24,
        ),
        MTShape(vocabulary=1400, width=32, feed_forward=64, steps=80, batch=16),
        LLMShape(vocabulary=900, width=32, feed_forward=64, layers=2, steps=80, batch=16),
        QEShape(hidden=32, feed_forward=64, examples=400, steps=40, batch=16),
    ),
    "s": Size(),
    "m": Size(
        Amounts(
            people=240, parallel=40_000, phrases=2_000, unlabeled=40_000, instructions=2_400, train=2_400,
            validation=480, test=960, flores=1_000,
        ),
        MTShape(
            vocabulary=8_000, width=384, feed_forward=1_024, encoder_layers=4, decoder_layers=3, heads=6,
            steps=4_000, batch=256, lr=0.01,
        ),
        LLMShape(vocabulary=4_000, width=384, feed_forward=1_024, layers=6, heads=6, steps=3_000, batch=256),
        QEShape(hidden=384, feed_forward=768, layers=3, heads=6, examples=60_000, steps=3_000, batch=256, lr=1e-3),
    ),
}  # fmt: skip
