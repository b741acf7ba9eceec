"""Writing a report: report.html and report.json, both or neither begun."""

from xlnu.report.document import Report
from xlnu.report.interface import Put, encode
from xlnu.report.page import page


def write(report: Report, put: Put) -> None:
    """Check the report, then hand its two files to put(name, data); ValueError if it breaks its schema."""
    data, html = encode(report.document(), __package__), page(report)
    put("report.html", html)
    put("report.json", data)  # last: whoever waits for it finds the page beside it
