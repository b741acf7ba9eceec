"""A metric by language: how every system did in each, and how sure that is."""

from collections.abc import Sequence

from xlnu.report.chart import axis
from xlnu.report.dots import TOGETHER, Dots, Mark, Row, code, middle, panels
from xlnu.report.pivot import Line, Table


def by_language(table: Table) -> list[list[Dots]]:
    values = [
        value
        for line in table.lines
        for cell in line.cells
        if cell
        for value in (cell.value, cell.low, cell.high)
        if value is not None
    ]
    scale = axis(values, table.metric.limits)
    # marks of a row lie below each other, closer where there are many rows
    few = len(table.lines) <= TOGETHER
    apart = (10 if len(table.systems) <= 6 else 8) if few else 4
    row = apart * len(table.systems) + (12 if few else 6)
    row = max(row, 16)

    def draw(some: Sequence[Line], alone: bool) -> list[Row]:
        return [_row(line, middle(number, row), alone) for number, line in enumerate(some)]

    def _row(line: Line, y: float, alone: bool) -> Row:
        top = y - apart * (len(table.systems) - 1) / 2
        marks, told = [], [f"{line.code} {line.name}".strip()]
        for number, (system, cell) in enumerate(zip(table.systems, line.cells, strict=True)):
            if cell is None:
                continue
            ends = [None if end is None else scale.at(end) for end in (cell.low, cell.high)]
            marks.append(Mark(scale.at(cell.value), top + number * apart, system.shape, system.colour, *ends))
            words = f"{system.name} {table.metric.number(cell.value)}"
            if cell.low is not None and cell.high is not None:
                words += f" ({table.metric.spread(cell.low, cell.high)})"
            told.append(words)
        return Row(code(line.code), line.resource if alone else "", "\n".join(told), y, marks)

    names = ", ".join(system.name for system in table.systems)
    return panels(
        table.lines,
        lambda line: line.resource,
        draw,
        axis=scale,
        title=table.metric.axis,
        about=f"{table.title} ({table.task}) in {len(table.lines)} languages, of {names}",
        row=row,
    )
