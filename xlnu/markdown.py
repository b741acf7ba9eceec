"""Cards in Markdown: what other people named may not become markup."""

import re
from collections.abc import Iterable, Sequence


def table(texts: Sequence[str], numbers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first columns are texts, the others numbers."""
    lines = [[*texts, *numbers], ["---"] * len(texts) + ["---:"] * len(numbers), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def text(words: str) -> str:
    """Other people's words, as words: no markup, and no end of the cell."""
    return re.sub(r"([\\`*_\[\]<>|~#&])", r"\\\1", " ".join(words.split()))


def code(name: str) -> str:
    """The same for codes and paths; a bar would end the cell even here, a back tick the code."""
    name = " ".join(name.split()).replace("|", "\\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", name)), default=0))
    space = " " if "`" in name else ""
    return f"{fence}{space}{name}{space}{fence}" if name else "–"
