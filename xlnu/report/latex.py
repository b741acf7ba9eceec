"""Tables for a paper: what a report measured, in LaTeX with booktabs. Best of a row in bold."""

from collections.abc import Iterator

from xlnu.report.document import Report
from xlnu.report.grids import Grid, Number, grids

LONG = 40  # rows: more than a page holds
NEEDS = r"% needs \usepackage{booktabs,longtable}, and XeLaTeX or LuaLaTeX for text beyond ASCII"
_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
        "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
        ">": r"\textgreater{}", "|": r"\textbar{}", "−": r"$-$", "–": "--", '"': r"\textquotedbl{}",
        "[": "{[}", "]": "{]}",  # or a row that begins with one is read as the space after the row above
    }
)  # fmt: skip


def latex(report: Report) -> str:
    """To be read into a paper by \\input; empty of tables where nothing was measured."""
    return "\n\n".join([NEEDS, *(_table(grid) for grid in grids(report))]) + "\n"


def escaped(text: str) -> str:
    """Other people's text as text: no command, no comment, no end of the cell."""
    return " ".join(text.split()).translate(_SPECIAL)


def _table(grid: Grid) -> str:
    columns = "l" + "r" * (len(grid.head) - 1)
    heading = [r"\toprule", " & ".join(map(escaped, grid.head)) + r" \\", r"\midrule"]
    caption = rf"\caption{{{escaped(grid.title)}. {escaped(grid.about)}.}}"
    rows = list(_rows(grid))
    if len(rows) > LONG:
        top = [rf"\begin{{longtable}}{{{columns}}}", caption + r" \\", *heading, r"\endfirsthead"]
        return "\n".join([*top, *heading, r"\endhead", *rows, r"\bottomrule", r"\end{longtable}"])
    top = [r"\begin{table}", r"\centering", caption, rf"\begin{{tabular}}{{{columns}}}", *heading]
    return "\n".join([*top, *rows, r"\bottomrule", r"\end{tabular}", r"\end{table}"])


def _rows(grid: Grid) -> Iterator[str]:
    for name, cells in grid.rows:
        yield " & ".join([escaped(name), *map(_cell, cells)]) + r" \\"


def _cell(number: Number | None) -> str:
    if number is None:
        return "--"
    value = rf"\textbf{{{escaped(number.value)}}}" if number.best else escaped(number.value)
    return rf"{value} {{\scriptsize ({escaped(number.spread)})}}" if number.spread else value
