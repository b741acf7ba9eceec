"""What the filter lets through, as a plot for the report."""

from collections.abc import Mapping, Sequence

from xlnu.report.document import Plot, Series
from xlnu.transfer.describe import survival
from xlnu.transfer.verdict import Ingredients

LINES = 8  # that can be told apart


def survival_by_tau(given: Ingredients, levels: Mapping[str, str], title: str, address: str) -> Plot | None:
    """A line each language; of many, a line each resource level, by its mean."""
    found = {one.language.label: survival(one) for one in given.languages if one.quality is not None}
    if not any(share for shares in found.values() for share in shares.values()):
        return None  # nothing gave scores
    lines = {label: [shares] for label, shares in found.items()}
    if len(found) > LINES:
        lines = {}
        for label, shares in found.items():
            lines.setdefault(f"{levels[label]} resource", []).append(shares)
    series = [Series(name, _mean(some)) for name, some in lines.items()]
    return Plot("Survival by tau", title, "tau", "share of translations that stay", series, address)


def _mean(some: Sequence[Mapping[float, float]]) -> list[list[float | None]]:
    return [[tau, sum(one[tau] for one in some) / len(some), None, None] for tau in some[0]]
