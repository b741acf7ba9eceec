"""What was measured, as tables to read: by language and arm, over all seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

from xlnu.evaluate.measured import Measured
from xlnu.evaluate.tables import by_language, over_seeds, verdicts
from xlnu.markdown import table
from xlnu.report.document import Claim
from xlnu.sdrrl.arms import MEANING


@dataclass(frozen=True)
class Cost:
    """What training an arm took, one seed."""

    arm: str
    examples: int
    steps: int
    tokens: int
    seconds: float


_TITLES = {
    ("qa", "exact_match"): "Questions answered with exactly the right words, in the language",
    ("qa", "off_target"): "Answers to them in another language",
    ("translation", "off_target"): "Translations into the language that are in another",
    ("translation", "bleu_to_source"): "BLEU into the source language",
    ("translation", "bleu_from_source"): "BLEU from the source language",
    ("translation", "chrf_to_source"): "chrF++ into the source language",
    ("translation", "chrf_from_source"): "chrF++ from the source language",
}


def tables(measured: Sequence[Measured], claims: Sequence[Claim], costs: Sequence[Cost]) -> str:
    arms = {one.system.mode for one in measured}
    meaning = "; ".join(f"`{arm}`: {what}" for arm, what in MEANING.items() if arm in arms)
    parts = [f"{over_seeds(measured)} {meaning}."]
    for place, title in _TITLES.items():
        some = [one for one in measured if (one.task, one.metric) == place]
        parts += [f"## {title}\n\n{by_language(some, 'Arm')}"] if some else []
    parts += verdicts(claims)
    rows = [
        [cost.arm, f"{cost.examples:,}", f"{cost.steps:,}", f"{cost.tokens:,}", f"{cost.seconds:,.0f}"]
        for cost in costs
    ]
    heads = ["Examples", "Steps", "Tokens", "Seconds"]
    parts += ["## Training, a seed each\n\n" + table(["Arm"], heads, rows)] if rows else []
    return "\n\n".join(parts) + "\n"
