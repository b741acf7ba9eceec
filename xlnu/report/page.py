"""The report as one page of HTML that stands alone: no script, no request, for screen and paper."""

from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from xlnu.config import shown
from xlnu.report.document import Report
from xlnu.report.pivot import tables
from xlnu.report.readable import readable


def page(report: Report) -> bytes:
    # Reasons, claims and answers are other people's text: escaped, always.
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"readable": readable, "shown": shown}
    template = files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    return environment.from_string(template).render(report=report, tables=tables(report.scores)).encode()
