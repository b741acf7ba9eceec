"""What was measured, as tables to read: systems by languages, over all seeds."""

from collections.abc import Sequence

from xlnu.evaluate.measured import Measured, bounded, over
from xlnu.markdown import table
from xlnu.report.document import Claim
from xlnu.report.systems import named

VERDICTS = {True: "holds", False: "does not hold", None: "cannot tell"}


def over_seeds(measured: Sequence[Measured]) -> str:
    """What the numbers of a table are."""
    seeds = sorted({one.system.seed for one in measured if one.system.seed is not None})
    if len(seeds) > 1:
        return f"Mean over seeds {', '.join(map(str, seeds))}, in brackets the 95 % interval."
    return (f"Seed {seeds[0]}, in" if seeds else "In") + " brackets the 95 % interval."


def by_language(measured: Sequence[Measured], head: str) -> str:
    """Of one metric. Of a mode that has several objectives, each has its row."""
    known = measured[0].known
    labels = [one.label for one in (known.source, *known.languages)]
    labels = [label for label in labels if any(one.language == label for one in measured)]
    objectives: dict[tuple[str | None, str], set[str | None]] = {}
    for one in measured:
        objectives.setdefault((one.system.model, one.system.mode), set()).add(one.system.objective)
    arms: dict[str, list[Measured]] = {}
    for one in measured:
        system = one.system
        several = len(objectives[system.model, system.mode]) > 1
        name = named(system.model, system.mode, system.objective if several else None)
        arms.setdefault(name, []).append(one)
    levels = ["resource", *(known.resources[label] for label in labels)]
    rows = [
        [arm, *(_cell([one for one in own if one.language == label]) for label in labels)]
        for arm, own in arms.items()
    ]
    return table([head], labels, [levels, *rows])


def _cell(some: Sequence[Measured]) -> str:
    if not some:
        return ""
    found = over(some)
    low, high = bounded(some[0], found)
    if some[0].is_share:
        return f"{found.mean:.2f} ({low:.2f}-{high:.2f})".replace("0.", ".")
    digits = 0 if abs(found.mean) >= 10 else 2
    return f"{found.mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def verdicts(claims: Sequence[Claim]) -> list[str]:
    rows = [[claim.claim, VERDICTS[claim.holds], claim.evidence] for claim in claims]
    return ["## Claims\n\n" + table(["Claim", "", "Evidence"], [], rows)] if rows else []
