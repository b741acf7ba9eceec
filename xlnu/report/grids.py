"""Scores and averages as plain tables, for papers and cards: the same numbers as the page's, with no markup yet."""

from collections.abc import Iterator
from dataclasses import dataclass

from xlnu.report import groups
from xlnu.report.document import Average, Report
from xlnu.report.metric import Metric
from xlnu.report.pivot import Cell, tables
from xlnu.report.systems import Systems


@dataclass(frozen=True)
class Number:
    value: str
    spread: str
    best: bool = False


@dataclass(frozen=True)
class Grid:
    title: str
    about: str
    head: list[str]
    rows: list[tuple[str, list[Number | None]]]


def grids(report: Report) -> Iterator[Grid]:
    systems = Systems(report)
    for table in tables(report.scores, systems):
        head = ["Language", *(system.name for system in table.systems)]
        spread = f"in brackets {table.spread_means}" if table.spread_means else ""
        notes = [f"{sign}: {note}" for sign, note in table.notes]
        about = "; ".join(filter(None, (table.about, spread, *notes, *table.signatures)))
        best = [_best(line.cells, table.metric) for line in table.lines]
        rows = [
            (line.code, [_cell(cell, table.metric, most) for cell in line.cells])
            for line, most in zip(table.lines, best, strict=True)
        ]
        yield Grid(table.title, about, head, rows)
    for averages in groups.averages(report.averages, systems):
        yield Grid(
            f"{averages.title}, averages",
            f"{averages.about}; in brackets the 95 % interval",
            ["Languages", *(system.name for system in averages.systems)],
            [
                (
                    f"{group.name} ({group.languages})",
                    [_mean(one, averages.metric, group.best) for one in group.cells],
                )
                for group in (*averages.main, *averages.others)
            ],
        )


def _best(cells: list[Cell | None], metric: Metric) -> float | None:
    values = {cell.value for cell in cells if cell}
    return (min if metric.smaller_is_better else max)(values) if len(values) > 1 else None


def _cell(cell: Cell | None, metric: Metric, best: float | None) -> Number | None:
    if cell is None:
        return None
    spread = "" if cell.low is None or cell.high is None else metric.spread(cell.low, cell.high)
    return Number(metric.number(cell.value) + (f" {cell.note}" if cell.note else ""), spread, cell.value == best)


def _mean(one: Average | None, metric: Metric, best: float | None) -> Number | None:
    if one is None:
        return None
    return Number(metric.number(one.value), metric.spread(one.ci_low, one.ci_high), one.value == best)
