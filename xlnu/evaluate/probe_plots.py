"""What probes of alignment found, as plots for the report."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from xlnu.report.document import Plot, Resource, Series

SECTION = "Alignment by layer"
LINES = 8  # of a plot; more languages than that are averaged by how much text there is of them


def plots(rows: Sequence[Mapping[str, Any]], title: str, levels: Mapping[str, Resource]) -> list[Plot]:
    """Of one model. `levels`: how much text there is of a language, by label, in the order in which to show them.

    A stack's encoder stands to the left of 0, its LLM to the right.
    """
    kept = [row for row in rows if row["reject"] is None]
    there = {row["language"] for row in kept}
    labels = [one for one in levels if one in there]
    lines = {one: [one] for one in labels}
    if len(labels) > LINES:
        lines = {level: [one for one in labels if levels[one] == level] for level in get_args(Resource)}
    both = {row["part"] for row in kept} >= {"encoder", "llm"}
    x = "depth: encoder -1 to 0, LLM 0 to 1" if both else "depth"
    found = []
    for metric, y in {"mexa": "MEXA", "retrieval": "retrieval@1"}.items():
        series = [Series(name, _curve(kept, some, metric, both)) for name, some in lines.items() if some]
        found.append(Plot(SECTION, f"{title}: {y}", x, y, series))
    return [*found, *_by_rank(kept, title, lines)]


def _curve(
    rows: Sequence[Mapping[str, Any]], labels: Sequence[str], metric: str, both: bool
) -> list[list[float | None]]:
    """The mean over languages, layer by layer."""
    by: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["language"] in labels:
            by.setdefault((row["part"], row["layer"]), []).append(row)
    made = list[list[float | None]]()
    for (part, _), some in sorted(by.items()):
        left = 1.0 if both and part == "encoder" else 0.0
        made.append([some[0]["depth"] - left, sum(row[metric] for row in some) / len(some), None, None])
    return made


def _by_rank(rows: Sequence[Mapping[str, Any]], title: str, lines: Mapping[str, Sequence[str]]) -> list[Plot]:
    """FVU has one value a language, so that what is left to show is how the languages stand to one another."""
    values = {row["language"]: row["fvu"] for row in rows if row["fvu"] is not None}
    if not values:
        return []
    rank = {label: float(at) for at, label in enumerate(sorted(values, key=values.__getitem__), 1)}
    series = [
        Series(name, [[rank[one], values[one], None, None] for one in sorted(some, key=rank.__getitem__)])
        for name, some in lines.items()
        if some
    ]
    return [Plot(SECTION, f"{title}: FVU by language", "languages, the best first", "FVU", series)]
