"""What the paper says of SDRRL, held against what was measured. Nothing is asserted: the numbers decide.

A claim that one system is better holds where the interval of the difference, example by example, lies above 0;
it does not where the interval lies below what the claim allows; else this run cannot tell. What is measured, and
what may be lost, is our choice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xlnu.evaluate.measured import Measured, difference
from xlnu.evaluate.statistics import Interval
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
    metric: str
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


def claims(measured: Sequence[Measured]) -> list[Claim]:
    return [*_of_arms(measured), *_of_objectives(measured)]


def _of_arms(measured: Sequence[Measured]) -> Iterator[Claim]:
    first = next(iter(_objectives(measured)), None)
    for rule in _RULES:
        seen = "source" if rule.in_source else "target"
        some = [one for one in measured if one.metric == rule.metric and one.seen == seen]
        one = [each for each in some if each.system.mode == "sdrrl" and each.system.objective == first]
        found = difference(one, [each for each in some if each.system.mode == rule.other])
        if found:
            yield _claim(rule.claim, PAPER, rule.metric, found[0], rule.allowed)


def _of_objectives(measured: Sequence[Measured]) -> Iterator[Claim]:
    of = {
        name: [
            one
            for one in measured
            if one.system.mode == "sdrrl"
            and one.system.objective == name
            and one.metric == "exact_match"
            and one.seen == "target"
        ]
        for name in _objectives(measured)
    }
    for name, some in of.items():
        found = difference(some, of.get("hard", [])) if name != "hard" else None
        if found:
            text = f"Distilling the teacher's whole distribution ({name}) is better than its answers alone (hard)."
            yield _claim(text, OURS, "exact_match", found[0], 0.0)


def _objectives(measured: Sequence[Measured]) -> list[str]:
    systems = (one.system for one in measured)
    return list(dict.fromkeys(one.objective for one in systems if one.mode == "sdrrl" and one.objective))


def _claim(text: str, source: str, metric: str, found: Interval, allowed: float) -> Claim:
    holds = None if found.n < FEWEST else True if found.low > -allowed else False if found.high < -allowed else None
    evidence = (
        f"{metric.replace('_', ' ')}: a difference of {found.mean:+.3g} ({found.low:+.3g} to {found.high:+.3g}; "
        f"{found.n:,} examples)"
    )
    return Claim(text, source, holds, evidence)
