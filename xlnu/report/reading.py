"""What the page shows of lists that may be long: what matters first, the rest folded away."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from xlnu.report.document import Claim, Report, Sample, StepLine
from xlnu.report.systems import named

MANY_CLAIMS = 12
_LEVEL = re.compile(r"\b(high|mid|low)-resource\b")
_LANGUAGE = re.compile(r"[_-][a-z]{2,3}_[a-z]{4}(?=$|[_-])")


def claims(found: Sequence[Claim]) -> tuple[list[Claim], list[Claim]]:
    """Those of all languages, and those of languages of one level of resource, if there are many."""
    whole = [claim for claim in found if not _LEVEL.search(claim.claim)]
    if len(found) <= MANY_CLAIMS or not whole:
        return list(found), []
    return whole, [claim for claim in found if claim not in whole]


def tally(found: Sequence[Claim]) -> str:
    held = [claim.holds for claim in found]
    parts = [
        f"{held.count(verdict)} {words}"
        for verdict, words in ((True, "held"), (False, "not held"), (None, "undecided"))
        if verdict in held
    ]
    return f"{len(held)} {'claim' if len(held) == 1 else 'claims'}: {', '.join(parts)}"


@dataclass(frozen=True)
class Kind:
    """Steps that do the same, each in its language."""

    name: str
    steps: int
    rows_in: int
    rows_out: int
    rejected: dict[str, int]
    seconds: float
    share: float  # percent of the longest kind
    cost: float
    now: int
    address: str

    @property
    def when(self) -> str:
        before = self.steps - self.now
        if self.steps == 1 or not self.now or not before:
            return "done now" if self.now else "done before"
        return f"{self.now} now, {before} before"


def kinds(report: Report) -> list[Kind]:
    by: dict[str, list[StepLine]] = {}
    for step in report.steps:
        by.setdefault(_LANGUAGE.sub("", step.name), []).append(step)
    longest = max((sum(step.seconds for step in some) for some in by.values()), default=0.0)
    found = []
    for name, some in by.items():
        rejected: dict[str, int] = {}
        for step in some:
            for reason, rows in step.rejected.items():
                rejected[reason] = rejected.get(reason, 0) + rows
        seconds = sum(step.seconds for step in some)
        found.append(
            Kind(
                name=name if len(some) > 1 else some[0].name,
                steps=len(some),
                rows_in=sum(step.rows_in for step in some),
                rows_out=sum(step.rows_out for step in some),
                rejected=rejected,
                seconds=seconds,
                share=round(100 * seconds / longest, 2) if longest else 0.0,
                cost=cost(report, seconds),
                now=sum(not step.skipped for step in some),
                address=some[0].address if len(some) == 1 else "",
            )
        )
    return found


def cost(report: Report, seconds: float) -> float:
    return price(report) * seconds / 3600


def price(report: Report) -> float:
    """Money an hour; 0: nobody said."""
    said = report.settings.get("run.price", 0.0)
    return float(said) if isinstance(said, int | float) else 0.0


@dataclass(frozen=True)
class Answer:
    system: str
    said: str
    correct: bool | None


@dataclass(frozen=True)
class Asked:
    """A question, and what every system said to it."""

    place: str
    language: str
    question: str
    right: str
    answers: list[Answer]


def samples(found: Sequence[Sample]) -> list[Asked]:
    """Questions that systems disagree on come first, then what was wrong."""
    by: dict[tuple[str, str, str, str], list[Sample]] = {}
    for one in found:
        place = f"{one.benchmark} ({one.task})"
        by.setdefault((place, one.language, one.question, one.right), []).append(one)
    asked = [
        Asked(*key, [Answer(named(one.model, one.mode, None), one.said, one.correct) for one in some])
        for key, some in by.items()
    ]
    return sorted(asked, key=_telling)


def _telling(asked: Asked) -> int:
    verdicts = {answer.correct for answer in asked.answers}
    return 0 if len(verdicts) > 1 else 1 if False in verdicts else 2
