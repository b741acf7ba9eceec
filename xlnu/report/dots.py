"""Dot plots: a row a language, a mark a system. Many languages are split by how much text models saw of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from xlnu.report.chart import Axis, Tick
from xlnu.report.readable import short

TOGETHER = 24  # languages in one plot; more of them are split by resource
SHEET = 760  # pixels of rows that fit on paper below a heading
HEAD, FOOT = 4, 22  # pixels above the rows, and below them for the axis
# the source language has no plot of its own: it would be one line over an axis
HEADS = {"High resource and source": ("source", "high"), "Mid resource": ("mid",), "Low resource": ("low",)}
LETTERS = 14  # of a language's code that fit beside its row
Item = TypeVar("Item")


@dataclass(frozen=True)
class Mark:
    x: float
    y: float
    shape: str
    colour: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Arrow:
    start: float
    end: float
    better: bool


@dataclass(frozen=True)
class Row:
    label: str
    small: str  # beside the label
    title: str  # what the reader sees who points at it
    y: float  # its middle
    marks: list[Mark]
    arrow: Arrow | None = None
    figure: str = ""  # beside the row, on the right


@dataclass(frozen=True)
class Dots:
    """A plot; all plots of one axis lie side by side and compare."""

    head: str  # empty: it is the only one
    label: str  # for who hears the page
    axis: str
    ticks: list[Tick]
    rows: list[Row]
    row: int  # pixels

    @property
    def bottom(self) -> int:
        return HEAD + self.row * len(self.rows)

    @property
    def height(self) -> int:
        return self.bottom + FOOT


def middle(number: int, row: int) -> float:
    return HEAD + row * (number + 0.5)


def panels(
    items: Sequence[Item],
    resource: Callable[[Item], str],
    draw: Callable[[Sequence[Item], bool], list[Row]],
    *,
    axis: Axis,
    title: str,
    about: str,
    row: int,
) -> list[list[Dots]]:
    """Columns of plots. `draw` makes the rows of one, with the resource beside each label where they may differ."""
    ticks = axis.ticks()

    def column(head: str, some: Sequence[Item], alone: bool) -> list[Dots]:
        made = []
        for start, part in enumerate(_sheets(some, row)):
            name = f"{head.partition(':')[0]}, continued" if start and head else head
            what = f"{about}; {name}" if name else about
            made.append(Dots(name, what, title, ticks, draw(part, alone), row))
        return made

    if len(items) <= TOGETHER:
        return [column("", items, True)]
    split = []
    for head, levels in HEADS.items():
        some = [item for item in items if resource(item) in levels]
        if some:
            split.append(
                column(f"{head}: {len(some)} {'language' if len(some) == 1 else 'languages'}", some, False)
            )
    return split


def _sheets(some: Sequence[Item], row: int) -> list[Sequence[Item]]:
    """Equal parts that a sheet of paper can hold: a plot is not broken over two."""
    sheets = -(-len(some) * row // SHEET)
    size = -(-len(some) // sheets)
    return [some[start : start + size] for start in range(0, len(some), size)]


def code(language: str) -> str:
    return short(language, LETTERS)
