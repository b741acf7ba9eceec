"""Tables for a card or an issue: what a report measured, in Markdown."""

from xlnu.markdown import table, text
from xlnu.report.document import Report
from xlnu.report.grids import Grid, Number, grids


def markdown(report: Report) -> str:
    return "\n\n".join(map(_part, grids(report))) + "\n"


def _part(grid: Grid) -> str:
    name, *systems = map(text, grid.head)
    rows = [[text(label), *map(_cell, cells)] for label, cells in grid.rows]
    return f"## {text(grid.title)}\n\n{text(grid.about)}\n\n{table([name], systems, rows)}"


def _cell(number: Number | None) -> str:
    if number is None:
        return "–"
    value = f"**{number.value}**" if number.best else number.value
    return f"{value} ({number.spread})" if number.spread else value
