"""What SDRRL changed: by language, an arrow from before to after, the greatest gain on top."""

from collections.abc import Sequence
from dataclasses import dataclass

from xlnu.report.chart import axis
from xlnu.report.document import Score
from xlnu.report.dots import TOGETHER, Arrow, Dots, Mark, Row, code, middle, panels
from xlnu.report.pivot import Line, Table, tables
from xlnu.report.systems import System, Systems


@dataclass(frozen=True)
class Change:
    title: str
    about: str
    systems: list[System]
    columns: list[list[Dots]]


def changes(scores: Sequence[Score], systems: Systems) -> list[Change]:
    """Of each metric and each model that SDRRL made from another."""
    before: dict[str | None, list[Score]] = {}
    after: dict[tuple[str | None, str | None], list[Score]] = {}
    for score in scores:
        if score.mode == "before":
            before.setdefault(score.model, []).append(score)
        elif score.mode == "sdrrl":
            after.setdefault((score.model, score.objective), []).append(score)
    return [
        _change(table)
        for (model, _), some in after.items()
        for table in tables([*before.get(model, []), *some], systems)
        if any(None not in line.cells for line in table.lines) and len(table.systems) == 2
    ]


def _change(table: Table) -> Change:
    sign = -1 if table.metric.smaller_is_better else 1
    pairs = [
        (line, one.value, other.value)
        for line, (one, other) in ((line, line.cells) for line in table.lines)
        if one and other
    ]
    pairs.sort(key=lambda pair: -sign * (pair[2] - pair[1]))
    scale = axis([value for _, *ends in pairs for value in ends], table.metric.limits)
    row = 20 if len(pairs) <= TOGETHER else 16

    def draw(some: Sequence[tuple[Line, float, float]], alone: bool) -> list[Row]:
        return [_row(*pair, middle(number, row), alone) for number, pair in enumerate(some)]

    def _row(line: Line, start: float, end: float, y: float, alone: bool) -> Row:
        told = table.metric.difference(end - start)
        title = f"{line.code} {line.name}".rstrip()
        title += f"\n{table.metric.spread(start, end)}: {told}"
        one, other = table.systems
        return Row(
            label=code(line.code),
            small=line.resource if alone else "",
            title=title,
            y=y,
            marks=[
                Mark(scale.at(value), y, system.shape, system.colour)
                for system, value in ((one, start), (other, end))
            ],
            arrow=Arrow(scale.at(start), scale.at(end), sign * (end - start) > 0),
            figure=told,
        )

    better = sum(sign * (end - start) > 0 for _, start, end in pairs)
    worse = sum(sign * (end - start) < 0 for _, start, end in pairs)
    about = f"better in {better} of {len(pairs)} languages, worse in {worse}"
    names = " to ".join(system.name for system in table.systems)
    return Change(
        f"{table.title} ({table.task})",
        about,
        table.systems,
        panels(
            pairs,
            lambda pair: pair[0].resource,
            draw,
            axis=scale,
            title=table.metric.axis,
            about=f"{table.title} ({table.task}) from {names}, by language: {about}",
            row=row,
        ),
    )
