"""Measures of answers that a test makes up."""

from collections.abc import Sequence
from typing import Any

from xlnu.evaluate import measured, metrics
from xlnu.evaluate.judge import Judge
from xlnu.evaluate.measured import Known, Measured, System
from xlnu.evaluate.scored import Group, worth


def answer(
    kind: str, label: str, key: str, said: str | Sequence[str], right: str | Sequence[str], task: str = ""
) -> dict[str, Any]:
    """A row of ANSWERED."""
    translated = kind.endswith("_source")
    return {
        "id": f"{kind} {label} {key}", "reject": None,
        "benchmark": "flores" if translated else "mkqa" if kind == "qa" else "sib200",
        "task": task or ("translation" if translated else kind), "kind": kind, "language": label, "key": key,
        "asked": "?", "right": [right] if isinstance(right, str) else [*right],
        "said": [said] if isinstance(said, str) else [*said], "logits": [],
        "tokens": 1, "cut_off": False, "judged": None, "prompt": None,
    }  # fmt: skip


def measures(rows: Sequence[dict[str, Any]], judge: Judge, system: System, known: Known) -> list[Measured]:
    """All metrics of the answers."""
    groups: dict[Group, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(Group(*(row[name] for name in Group._fields)), []).append(row)
    return [
        measured.of(worth(group, metric, some, judge), "", system, known)
        for group, some in groups.items()
        for metric in metrics.of(group.kind, some, judge.asked(group.kind, group.language))
    ]
