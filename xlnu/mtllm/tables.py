"""What was measured, as tables to read: a task each, by language and mode, over all seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

from xlnu.evaluate.measured import Measured
from xlnu.evaluate.tables import by_language, over_seeds, verdicts
from xlnu.markdown import table
from xlnu.report.document import Claim, Mode

MEANING: dict[Mode, str] = {
    "stacked": "stage 1, then stage 2",
    "zero_shot": "the LLM alone, tuned on the task in the source language",
    "encoder": "the MT encoder alone, with a head",
    "multilingual": "the encoder of many languages alone, tuned like the LLM",
    "translate_test": "the same LLM on tests translated by the same MT",
    "translate_train": "the LLM tuned on translated training data",
    "ensemble": "the last two together",
    "stage1_labels": "stage 1, then the task's labels",
    "stage2_only": "stage 2 without stage 1",
    "router": "of stacked and translate_test the answer that a chooser takes, by how sure both are",
    "majority": "always the commonest answer",
}


@dataclass(frozen=True)
class Cost:
    """What a training took."""

    name: str
    steps: int
    tokens: int
    seconds: float
    last: dict[str, float]  # what was measured at its best look


def tables(measured: Sequence[Measured], claims: Sequence[Claim], costs: Sequence[Cost]) -> str:
    main = sorted((one for one in measured if one.is_main), key=lambda one: list(MEANING).index(one.system.mode))
    modes = dict.fromkeys(one.system.mode for one in main)
    parts = [f"{over_seeds(main)} " + "; ".join(f"`{mode}`: {MEANING[mode]}" for mode in modes) + "."]
    for task in dict.fromkeys(one.task for one in measured):
        some = [one for one in main if one.task == task]
        parts.append(f"## {task}: {some[0].metric.replace('_', ' ')}\n\n{by_language(some, 'Mode')}")
    parts += verdicts(claims)
    rows = [
        [
            cost.name,
            f"{cost.steps:,}",
            f"{cost.tokens:,}",
            f"{cost.seconds:,.0f}",
            ", ".join(f"{name} {value:.3f}" for name, value in cost.last.items()),
        ]
        for cost in costs
    ]
    heads = ["Steps", "Tokens", "Seconds", "Held out"]
    parts += ["## Training\n\n" + table(["Stage"], heads, rows)] if rows else []
    return "\n\n".join(parts) + "\n"
