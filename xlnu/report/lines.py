"""Curves: how a training went, what survives a threshold, how layers align."""

from collections.abc import Sequence
from dataclasses import dataclass

from xlnu.report.chart import Axis, Tick, axis, log_axis
from xlnu.report.document import Plot, Series
from xlnu.report.readable import readable
from xlnu.report.systems import look

HEIGHT = 180  # pixels of the plot itself
ROW = 3  # plots side by side on a laptop
MOST = 200  # points of a line: more than a small plot has pixels for
MARKED = 30  # up to so many points, each has its mark


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    low: float | None
    high: float | None
    title: str


@dataclass(frozen=True)
class Curve:
    name: str
    shape: str
    colour: str
    paths: list[str]  # unbroken stretches, in percent of the plot's width and height
    bands: list[str]
    dots: list[Dot]
    title: str


@dataclass(frozen=True)
class Chart:
    title: str
    label: str
    x: str
    y: str
    across: list[Tick]
    up: list[Tick]
    curves: list[Curve]
    address: str
    section: str


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Section:
    name: str  # empty: several small ones, whose plots name theirs
    charts: list[Chart]


def sections(plots: Sequence[Plot]) -> list[Section]:
    """In their order, but the small ones side by side at the end, where each alone would leave its row empty."""
    found: dict[str, list[Chart]] = {}
    for plot in plots:
        found.setdefault(plot.section, []).append(_chart(plot))
    large = [Section(name, charts) for name, charts in found.items() if len(charts) >= ROW]
    small = [chart for charts in found.values() if len(charts) < ROW for chart in charts]
    return [*large, Section("", small)] if small else large


def _chart(plot: Plot) -> Chart:
    runs = {series.name: _runs(series) for series in plot.series}
    points = [point for some in runs.values() for run in some for point in run]
    xs = [point.x for point in points]
    across = log_axis(xs) or axis(xs, tight=True)
    up = axis([v for p in points for v in (p.y, p.low, p.high) if v is not None])
    names = ", ".join(runs)
    scale = ", on a logarithmic scale" if across.log else ""
    return Chart(
        title=plot.title,
        label=f"{plot.title}: {plot.y} against {plot.x}{scale}; {names}",
        x=plot.x + (" (log scale)" if across.log else ""),
        y=plot.y,
        across=across.ticks(),
        up=up.ticks(),
        curves=[
            _curve(series.name, runs[series.name], across, up, number) for number, series in enumerate(plot.series)
        ],
        address=plot.address,
        section=plot.section,
    )


def _runs(series: Series) -> list[list[Point]]:
    """Stretches without a hole, thinned."""
    runs: list[list[Point]] = [[]]
    for x, y, low, high in series.points:
        if x is None or y is None:
            runs.append([])
        else:
            runs[-1].append(Point(x, y, low, high))
    total = sum(map(len, runs))
    return [_thinned(run, max(2, MOST * len(run) // total)) for run in runs if run]


def _thinned(run: list[Point], most: int) -> list[Point]:
    """Of each stretch of points the lowest and the highest, so that no spike is lost; and both ends."""
    if len(run) <= most:
        return run
    size = -(-len(run) // max(1, most // 2))
    kept = {0, len(run) - 1}
    for start in range(0, len(run), size):
        some = range(start, min(start + size, len(run)))
        kept |= {min(some, key=lambda at: run[at].y), max(some, key=lambda at: run[at].y)}
    return [run[at] for at in sorted(kept)]


def _curve(name: str, runs: list[list[Point]], across: Axis, up: Axis, number: int) -> Curve:
    shape, colour = look(number)
    points = [point for run in runs for point in run]

    def place(x: float, y: float) -> str:
        return f"{across.at(x):g} {100 - up.at(y):g}"

    def band(run: list[Point]) -> list[str]:
        with_ends = [(p.x, p.low, p.high) for p in run if p.low is not None and p.high is not None]
        if len(with_ends) < 2:
            return []
        over = [place(x, high) for x, _, high in with_ends]
        under = [place(x, low) for x, low, _ in reversed(with_ends)]
        return [f"M{'L'.join(over + under)}Z"]

    def dot(point: Point) -> Dot:
        words = f"{name}: {readable(point.y)} at {readable(point.x)}"
        if point.low is None or point.high is None:
            return Dot(across.at(point.x), 100 - up.at(point.y), None, None, words)
        return Dot(
            across.at(point.x),
            100 - up.at(point.y),
            100 - up.at(point.low),
            100 - up.at(point.high),
            f"{words} ({readable(point.low)} to {readable(point.high)})",
        )

    marked = points if len(points) <= MARKED else [run[0] for run in runs if len(run) == 1]
    last = f"{name}: {readable(points[-1].y)} at {readable(points[-1].x)}, its last point" if points else name
    return Curve(
        name=name,
        shape=shape,
        colour=colour,
        paths=[f"M{'L'.join(place(p.x, p.y) for p in run)}" for run in runs if len(run) > 1],
        bands=[path for run in runs for path in band(run)],
        dots=[dot(point) for point in marked],
        title=last,
    )
