"""How a training went, as a plot for the report."""

from collections.abc import Mapping, Sequence

from xlnu.report.document import Plot, Series

MOST = 200  # points of a line: a page holds many


def plot(name: str, curve: Sequence[Mapping[str, float]], address: str, held_out: str = "held_out_loss") -> Plot:
    """`curve`: a row a step, with what was held out where it was looked at."""
    every = max(1, len(curve) // MOST)
    ends = range(every - 1, len(curve), every)
    trained: list[list[float | None]] = [
        [curve[end]["step"], _mean(curve[end - every + 1 : end + 1]), None, None] for end in ends
    ]
    series = [Series("training", trained)]
    looked: list[list[float | None]] = [
        [row["step"], row[held_out], None, None] for row in curve if held_out in row
    ]
    series += [Series("held out", looked)] if looked else []
    return Plot("Training curves", name, "step", "loss", [one for one in series if one.points], address)


def _mean(rows: Sequence[Mapping[str, float]]) -> float:
    return sum(row["loss"] for row in rows) / len(rows)
