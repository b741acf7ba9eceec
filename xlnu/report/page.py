"""The report as one page of HTML that stands alone: no script, no request, for screen and paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import accumulate

from jinja2 import Environment, FunctionLoader, StrictUndefined

from xlnu.config import shown
from xlnu.report import groups, lines, reading
from xlnu.report.before_after import Change, changes
from xlnu.report.by_language import by_language
from xlnu.report.document import Report
from xlnu.report.dots import TOGETHER, Dots
from xlnu.report.pivot import Table, tables
from xlnu.report.readable import duration, readable
from xlnu.report.systems import Systems

BESIDE = 6  # systems whose table fits beside the plot
# scores that are drawn, that stand in tables, and changes that are drawn: a page of more is slow to open
DRAWN, TOLD, CHANGED = 9_000, 6_000, 3_000


@dataclass(frozen=True)
class Shown:
    """A metric, as much of it as the page has room for."""

    table: Table
    columns: list[list[Dots]]
    folded: bool
    told: bool


def page(report: Report) -> bytes:
    # Reasons, claims and answers are other people's text: escaped, always.
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(lambda name: files(__package__).joinpath(name).read_text(encoding="utf-8")),
    )
    environment.filters |= {"readable": readable, "shown": shown, "duration": duration, "p": "{:.6g}".format}
    environment.globals |= {"claims": reading.claims, "tally": reading.tally}
    systems = Systems(report)
    changed = changes(report.scores, systems)
    drawn = [
        change for change, so_far in zip(changed, accumulate(map(_rows, changed)), strict=True) if so_far <= CHANGED
    ]
    parts = {
        "shown": _shown(tables(report.scores, systems)),
        "averages": groups.averages(report.averages, systems),
        "changes": drawn,
        "more_changes": len(changed) - len(drawn),
        "forests": groups.forests(report.comparisons, systems),
        "sections": lines.sections(report.plots),
        "samples": reading.samples(report.samples),
        "kinds": reading.kinds(report),
    }
    html = environment.get_template("page.html").render(
        report=report,
        price=reading.price(report),
        line_height=lines.HEIGHT,
        contents=_contents(report, changed=bool(drawn)),
        **parts,
    )
    return html.encode()


def _rows(change: Change) -> int:
    return sum(len(plot.rows) for column in change.columns for plot in column)


def _shown(found: Sequence[Table]) -> list[Shown]:
    total, so_far, shown = sum(table.points for table in found), 0, []
    for table in found:
        so_far += table.points
        folded = len(table.lines) > TOGETHER or len(table.systems) > BESIDE
        columns = by_language(table) if so_far <= DRAWN else []
        shown.append(Shown(table, columns, folded, told=not folded or total <= TOLD))
    return shown


def _contents(report: Report, *, changed: bool) -> list[tuple[str, str]]:
    parts = [
        ("claims", "Claims", report.claims),
        ("findings", "Findings", report.findings),
        ("scores", "Scores", report.scores),
        ("averages", "Averages", report.averages),
        ("changes", "Before and after", changed),
        ("comparisons", "Comparisons", report.comparisons),
        ("plots", "Curves", report.plots),
        ("samples", "Samples", report.samples),
        ("steps", "Steps", report.steps),
        ("machines", "Machines", report.machines),
        ("tiny", "The tiny world", report.tiny),
        ("settings", "Settings", report.settings),
        ("versions", "Versions", True),
    ]
    return [(id_, name) for id_, name, some in parts if some]
