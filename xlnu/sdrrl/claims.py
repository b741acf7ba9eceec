"""What the paper says of SDRRL, held against what was measured. Nothing is asserted: the numbers decide.

A claim that one system is better holds where the interval of the difference, example by example, lies above 0;
it does not where the interval lies below what the claim allows; else this run cannot tell. What is measured, and
what may be lost, is our choice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xlnu.evaluate.scores import Metric, Said
from xlnu.evaluate.statistics import Interval, interval
from xlnu.report.document import Claim
from xlnu.sdrrl.arms import Arm

PAPER = "SDRRL (arXiv 2402.12204); measure and threshold are ours"
OURS = "xlnu"
FEWEST = 30  # examples: below that an interval of what was drawn again proves nothing; of one, it has no width
KEPT = 0.02  # of exact matches in the source language: what may be lost with the language kept all the same


@dataclass(frozen=True)
class _Rule:
    """SDRRL against another arm."""

    claim: str
    metric: Metric
    other: Arm
    allowed: float = 0.0  # a difference above its negative is good enough
    in_source: bool = False


_RULES = (
    _Rule(
        "After SDRRL, questions in the target languages are answered better than before.", "exact_match", "before"
    ),
    _Rule(
        "After SDRRL, translations from the target languages are better than before.", "chrf_to_source", "before"
    ),
    _Rule(
        "After SDRRL, translations into the target languages are better than before.", "chrf_from_source", "before"
    ),
    _Rule(
        f"SDRRL keeps the source language: no more than {KEPT:.0%} of answers are lost.",
        "exact_match",
        "before",
        allowed=KEPT,
        in_source=True,
    ),
    _Rule("SDRRL is better than tuning on the source's own answers, not translated.", "exact_match", "sft"),
    _Rule("SDRRL is better than tuning on the source's own answers, translated.", "exact_match", "translate_sft"),
    _Rule(
        "SDRRL keeps the source language better than tuning on translated answers.",
        "exact_match",
        "translate_sft",
        in_source=True,
    ),
    _Rule("Code-switching helps with questions.", "exact_match", "no_switch"),
    _Rule("The parallel corpus helps with questions.", "exact_match", "no_parallel"),
    _Rule("The parallel corpus helps to translate into the languages.", "chrf_from_source", "no_parallel"),
    _Rule("The filter helps with questions.", "exact_match", "no_filter"),
)


def claims(said: Sequence[Said]) -> list[Claim]:
    return [*_of_arms(said), *_of_objectives(said)]


def _of_arms(said: Sequence[Said]) -> Iterator[Claim]:
    first = next((one.objective for one in said if one.mode == "sdrrl"), None)
    arms = {
        arm: [one for one in said if one.mode == arm and (arm != "sdrrl" or one.objective == first)]
        for arm in {one.mode for one in said}
    }
    for rule in _RULES:
        one, other = arms.get("sdrrl", []), arms.get(rule.other, [])
        found = difference(one, other, rule.metric, in_source=rule.in_source)
        if found:
            yield _claim(rule.claim, PAPER, rule.metric, found, rule.allowed)


def _of_objectives(said: Sequence[Said]) -> Iterator[Claim]:
    of = {
        name: [one for one in said if one.mode == "sdrrl" and one.objective == name] for name in _objectives(said)
    }
    for name, some in of.items():
        found = difference(some, of.get("hard", []), "exact_match") if name != "hard" else None
        if found:
            text = f"Distilling the teacher's whole distribution ({name}) is better than its answers alone (hard)."
            yield _claim(text, OURS, "exact_match", found, 0.0)


def _objectives(said: Sequence[Said]) -> list[str]:
    return list(dict.fromkeys(one.objective for one in said if one.mode == "sdrrl" and one.objective))


def difference(
    one: Sequence[Said], other: Sequence[Said], metric: Metric, *, in_source: bool = False
) -> Interval | None:
    """One minus the other, over the target languages or in the source language; None where they share nothing."""
    runs = []
    for mine in one:
        for theirs in (each for each in other if each.seed == mine.seed):
            a, b, source = mine.values(metric), theirs.values(metric), mine.judge.source.label
            labels = [label for label in a if label in b and (label == source) == in_source]
            assert all(a[label].keys() == b[label].keys() for label in labels)
            if labels:
                runs.append([{key: a[label][key] - b[label][key] for key in a[label]} for label in labels])
    return interval(runs) if runs else None


def _claim(text: str, source: str, metric: Metric, found: Interval, allowed: float) -> Claim:
    holds = None if found.n < FEWEST else True if found.low > -allowed else False if found.high < -allowed else None
    evidence = (
        f"{metric.replace('_', ' ')}: a difference of {found.mean:+.3g} ({found.low:+.3g} to {found.high:+.3g}; "
        f"{found.n:,} examples)"
    )
    return Claim(text, source, holds, evidence)
