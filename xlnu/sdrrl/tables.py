"""What was measured, as tables to read: by language and arm, over all seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xlnu.evaluate.scores import Metric, Said
from xlnu.evaluate.statistics import Interval, interval
from xlnu.languages import Language
from xlnu.markdown import table
from xlnu.report.document import Claim, Score
from xlnu.sdrrl.arms import MEANING


@dataclass(frozen=True)
class Cost:
    """What training an arm took, one seed."""

    arm: str
    examples: int
    steps: int
    tokens: int
    seconds: float


def tables(said: Sequence[Said], scores: Sequence[Score], claims: Sequence[Claim], costs: Sequence[Cost]) -> str:
    arms = _arms(said)
    seeds = sorted({one.seed for one in said})
    several = f"Mean over seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else f"Seed {seeds[0]}"
    meaning = "; ".join(f"`{arm}`: {what}" for arm, what in MEANING.items() if any(one.mode == arm for one in said))
    parts = [f"{several}, in brackets the 95 % interval. {meaning}."]
    for title, metric in (
        ("Questions answered with exactly the right words, in the language", "exact_match"),
        ("Answers to them in another language", "off_target_qa"),
        ("Translations into the language that are in another", "off_target_translation"),
    ):
        made = _by_language(arms, lambda group, label, m=metric: _interval(group, m, label))  # type: ignore[misc]
        parts += [f"## {title}\n\n{made}"] if made else []
    for title, name in (
        ("BLEU into the source language", "bleu_to_source"),
        ("BLEU from the source language", "bleu_from_source"),
        ("chrF++ into the source language", "chrf_to_source"),
        ("chrF++ from the source language", "chrf_from_source"),
    ):
        made = _by_language(arms, lambda group, label, n=name: _corpus(scores, group, n, label))  # type: ignore[misc]
        lowest = "; in brackets the lowest and highest of the seeds" if len(seeds) > 1 else ""
        parts += [f"## {title}{lowest}\n\n{made}"] if made else []
    verdicts = {True: "holds", False: "does not hold", None: "cannot tell"}
    told = [[claim.claim, verdicts[claim.holds], claim.evidence] for claim in claims]
    parts += ["## Claims\n\n" + table(["Claim", "", "Evidence"], [], told)] if told else []
    rows = [
        [cost.arm, f"{cost.examples:,}", f"{cost.steps:,}", f"{cost.tokens:,}", f"{cost.seconds:,.0f}"]
        for cost in costs
    ]
    heads = ["Examples", "Steps", "Tokens", "Seconds"]
    parts += ["## Training, a seed each\n\n" + table(["Arm"], heads, rows)] if rows else []
    return "\n\n".join(parts) + "\n"


def name(one: Said, several: bool) -> str:
    return f"{one.mode} ({one.objective})" if several and one.objective else one.mode


def _arms(said: Sequence[Said]) -> dict[str, list[Said]]:
    several = len({one.objective for one in said if one.mode == "sdrrl"}) > 1
    found: dict[str, list[Said]] = {}
    for one in said:
        found.setdefault(name(one, several), []).append(one)
    return found


def _by_language(arms: dict[str, list[Said]], cell: Callable[[list[Said], str], str]) -> str:
    """A row an arm, a column a language; empty if no cell has anything."""
    judge = next(iter(arms.values()))[0].judge
    languages: list[Language] = [judge.source, *judge.languages]
    rows = [[arm, *(cell(group, language.label) for language in languages)] for arm, group in arms.items()]
    if not any(text for row in rows for text in row[1:]):
        return ""
    levels = ["resource", *(judge.resources[language.label] for language in languages)]
    return table(["Arm"], [language.label for language in languages], [levels, *rows])


def _interval(group: Sequence[Said], metric: Metric, label: str) -> str:
    values = [[one.values(metric)[label]] for one in group if label in one.values(metric)]
    return _shown(interval(values)) if values else ""


def _shown(found: Interval) -> str:
    """Of shares, which are not below 0 nor above 1."""
    return f"{found.mean:.2f} ({max(0, found.low):.2f}-{min(1, found.high):.2f})".replace("0.", ".")


def _corpus(scores: Sequence[Score], group: Sequence[Said], metric: str, label: str) -> str:
    arms = {(one.mode, one.objective) for one in group}
    values = [
        score.value
        for score in scores
        if (score.mode, score.objective) in arms and score.metric == metric and score.language == label
    ]
    if not values:
        return ""
    mean = f"{sum(values) / len(values):.0f}"
    return f"{mean} ({min(values):.0f}-{max(values):.0f})" if len(values) > 1 else mean
