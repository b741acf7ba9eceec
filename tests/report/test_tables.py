"""Tables for papers and cards: the numbers of the page, and nobody's text a command."""

import dataclasses
import re

import pytest
from markdown_it import MarkdownIt

from tests.report.rich import hostile, rich
from xlnu.report.document import Report
from xlnu.report.in_markdown import markdown
from xlnu.report.latex import LONG, escaped, latex


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("eng_Latn", r"eng\_Latn"),
        ("95 % & more", r"95 \% \& more"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("a\n\nb", "a b"),
        ("[1] ~^$#", r"{[}1{]} \textasciitilde{}\textasciicircum{}\$\#"),
        ("nrefs:1|case", r"nrefs:1\textbar{}case"),
        ("−0.5 –", "$-$0.5 --"),
        ("ნახე", "ნახე"),
    ],
)
def test_special_characters_are_text(text: str, safe: str) -> None:
    assert escaped(text) == safe


def environments(text: str) -> list[tuple[str, str]]:
    return re.findall(r"\\(begin|end)\{(\w+)\}", text)


@pytest.mark.parametrize("report", [rich(), hostile(rich()), rich(60)], ids=["rich", "hostile", "long"])
def test_latex_is_well_formed(report: Report) -> None:
    text = latex(report)
    still_open: list[str] = []
    for what, name in environments(text):
        if what == "begin":
            still_open.append(name)
        else:
            assert still_open.pop() == name
    assert still_open == []
    bare = re.sub(r"\\[\\{}$&#%_]", "", text)  # what is escaped is no markup
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    for table in re.findall(
        r"\\begin\{(?:tabular|longtable)\}\{(l(?:r+))\}(.*?)\\end\{(?:tabular|longtable)\}", text, re.S
    ):
        columns, body = table
        rows = [line for line in body.split("\n") if " & " in line]
        assert len(rows) > 1
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(columns) - 1}
        assert all(row.endswith(r" \\") for row in rows)


def test_latex_says_what_the_page_says() -> None:
    report = rich(3)
    first = report.scores[0]
    report = dataclasses.replace(report, scores=[first, dataclasses.replace(first, mode="sft", value=99.0)])
    text = latex(report)
    value, low, high = (f"{number:.1f}" for number in (first.value, first.ci_low or 0, first.ci_high or 0))
    spread = rf"{{\scriptsize ({low} to {high})}}"
    row = rf"eng\_Latn & {value} {spread} & \textbf{{99.0}} {spread} \\"
    assert row in text
    assert (
        r"\caption{flores: chrf from source. translation; 1,012 examples a language; in brackets the 95 \%" in text
    )
    assert r"resource: low (7) & " in text


def test_long_tables_break_over_pages() -> None:
    assert "longtable}" not in latex(rich(LONG)).removeprefix(latex(Report("x", {}, {})))
    assert latex(rich(LONG + 1)).count(r"\begin{longtable}") == 5


def test_nothing_measured_is_no_table() -> None:
    assert environments(latex(Report("x", {}, {}))) == []
    assert markdown(Report("x", {}, {})) == "\n"


@pytest.mark.parametrize("report", [rich(), hostile(rich())], ids=["rich", "hostile"])
def test_markdown_is_tables_and_nothing_else(report: Report) -> None:
    html = MarkdownIt("commonmark").enable("table").render(markdown(report))
    tags = set(re.findall(r"<(\w+)", html))
    assert tags <= {"h2", "p", "table", "thead", "tbody", "tr", "th", "td", "strong"}
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.S)
    assert len(rows) > 3
    for table in re.findall(r"<table>(.*?)</table>", html, re.S):
        assert len({row.count("</t") for row in re.findall(r"<tr>(.*?)</tr>", table, re.S)}) == 1
