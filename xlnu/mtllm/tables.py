"""What was measured, as tables to read: a task each, by language and mode, over all seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

from xlnu.evaluate.statistics import interval
from xlnu.markdown import table
from xlnu.mtllm.scores import Said
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
}


@dataclass(frozen=True)
class Cost:
    """What a training took."""

    name: str
    steps: int
    tokens: int
    seconds: float
    last: dict[str, float]  # what was measured at its best look


def tables(said: Sequence[Said], claims: Sequence[Claim], costs: Sequence[Cost]) -> str:
    seeds = sorted({one.seed for one in said})
    several = f"Mean over seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else f"Seed {seeds[0]}"
    modes = [mode for mode in MEANING if any(one.mode == mode for one in said)]
    parts = [f"{several}, in brackets the 95 % interval. " + "; ".join(f"`{m}`: {MEANING[m]}" for m in modes) + "."]
    for task in dict.fromkeys(one.task for one in said):
        some = [one for one in said if one.task == task]
        parts.append(f"## {task}: {some[0].metric.replace('_', ' ')}\n\n{_by_language(some)}")
    verdicts = {True: "holds", False: "does not hold", None: "cannot tell"}
    told = [[claim.claim, verdicts[claim.holds], claim.evidence] for claim in claims]
    parts += ["## Claims\n\n" + table(["Claim", "", "Evidence"], [], told)] if told else []
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


def _by_language(said: Sequence[Said]) -> str:
    labels = list(dict.fromkeys(label for one in said for label in one.values))
    several = len({one.variant for one in said if one.mode == "stacked"}) > 1
    arms: dict[str, list[Said]] = {}
    for one in sorted(said, key=lambda one: list(MEANING).index(one.mode)):
        arms.setdefault(f"{one.mode} ({one.variant})" if several and one.variant else one.mode, []).append(one)
    levels = ["resource", *(said[0].resources[label] for label in labels)]
    rows = [[arm, *(_cell(group, label) for label in labels)] for arm, group in arms.items()]
    return table(["Mode"], labels, [levels, *rows])


def _cell(group: Sequence[Said], label: str) -> str:
    values = [[one.values[label]] for one in group if label in one.values]
    if not values:
        return ""
    found = interval(values)
    low, high = (
        (found.low, found.high) if group[0].kind == "regression" else (max(0, found.low), min(1, found.high))
    )
    return f"{found.mean:.2f} ({low:.2f}-{high:.2f})".replace("0.", ".")
