"""Results for people: a table for the terminal, a plot for the page."""

import io
import textwrap

from xlnu.bench.frame import Result
from xlnu.report.readable import readable

WIDTH = 79


def table(results: list[Result]) -> str:
    """A line of numbers a bench; below it, indented, what it was measured against and what limits it."""
    head = ("bench", "ratio", "min to max", "goal", "ours", "theirs")
    rows = [
        (
            result.name,
            readable(result.ratio),
            f"{readable(result.ratio_min)} to {readable(result.ratio_max)}",
            readable(result.goal),
            f"{readable(result.ours.median)} {result.ours.unit}",
            f"{readable(result.theirs.median)} {result.theirs.unit}",
        )
        for result in results
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]

    def line(cells: tuple[str, ...]) -> str:
        name, *numbers = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        return "  ".join([cells[0].ljust(len(name)), *numbers])

    lines = [line(head)]
    for result, row in zip(results, rows, strict=True):
        verdict = "short of its goal; " if result.short else ""
        below = f"{verdict}against {result.baseline}; bound by {result.bound}"
        lines += [line(row), *textwrap.wrap(below, WIDTH, initial_indent="    ", subsequent_indent="    ")]
    return "\n".join(lines)


def plot(results: list[Result]) -> bytes:
    """PNG: each bench's ratio with its spread, on a scale where twice and half as good are equally far."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = Figure(figsize=(8, 1.6 + 0.6 * len(results)), dpi=150, layout="constrained")
    axes = figure.subplots()
    places = range(len(results))
    for place, result in zip(places, results, strict=True):
        color = "#b35900" if result.short else "#1a6b3c"
        spread = [[result.ratio - result.ratio_min], [result.ratio_max - result.ratio]]
        axes.errorbar(result.ratio, place, xerr=spread, fmt="o", color=color, capsize=4)
        words = readable(result.ratio) + ("\nshort of its goal" if result.short else "")
        # outside the axes, where they cover neither mark nor line
        axes.annotate(words, (1.02, place), xycoords=("axes fraction", "data"), va="center", color=color)
    axes.scatter([r.goal for r in results], places, marker="|", s=200, color="black", label="goal")
    axes.axvline(1, color="gray", linestyle="--", label="as good as the baseline")
    axes.set_xscale("log")
    ends = [v for r in results for v in (r.ratio_min, r.ratio_max, r.goal)]
    axes.set_xlim(min(0.5, *ends) / 1.3, max(2, *ends) * 1.3)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: readable(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(places, [f"{r.name}\nagainst {r.baseline}" for r in results])
    axes.set_ylim(len(results) - 0.4, -0.6)  # the first bench on top
    axes.set_xlabel("times as good as the baseline: median, min to max")
    axes.set_title("Ours against the baselines")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
