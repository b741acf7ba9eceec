"""Tables for a terminal."""

from collections.abc import Sequence


def columns(lines: Sequence[Sequence[str]], left: int) -> str:
    """Cells below one another, the first so many columns from the left, numbers after them from the right."""
    aligned = []
    for at, column in enumerate(zip(*lines, strict=True)):
        put, width = str.ljust if at < left else str.rjust, max(map(len, column))
        aligned.append([put(cell, width) for cell in column])
    return "\n".join("  ".join(row).rstrip() for row in zip(*aligned, strict=True))
