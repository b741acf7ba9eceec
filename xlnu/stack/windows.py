"""Texts as the windows in which a stack reads them: one that is longer than the stack was trained for becomes
several, each of whole sentences, or of whole words.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from xlnu.languages import Language
from xlnu.stack.inputs import Reader, Segments, Tokens
from xlnu.transfer.segment import split


@dataclass(frozen=True)
class Window:
    """`text`: the LLM's own tokens, where it reads these as well."""

    tokens: Tokens
    text: Tokens | None = None


class Windows:
    """`text` reads for the LLM, in the view `dual`."""

    def __init__(self, reader: Reader, text: Reader | None = None) -> None:
        self.reader, self.text, self.config = reader, text, reader.config

    def of(self, examples: Sequence[Segments], languages: Sequence[Language | str]) -> list[list[Window]]:
        """An entry each, of one window or more."""
        cut = self._windows(examples, languages)
        if self.text is None:
            return [[Window(one) for one in some] for some in cut]
        # a text of several windows stands behind each of them, as far as it fits
        whole = self.text.read(examples, languages)
        shown = [_shortened(one, self.config.length) for one in whole]
        return [[Window(one, text) for one in some] for some, text in zip(cut, shown, strict=True)]

    def _windows(self, examples: Sequence[Segments], languages: Sequence[Language | str]) -> list[list[Tokens]]:
        whole = self.reader.read(examples, languages)
        return [
            [one] if len(one.ids) <= self.config.length else self._cut(segments, language, one)
            for one, segments, language in zip(whole, examples, languages, strict=True)
        ]

    def _cut(self, segments: Segments, language: Language | str, whole: Tokens) -> list[Tokens]:
        """Windows of the first text (of a passage, or of words), each with all that follows it."""
        if self.config.task == "tokens":
            return self._grown([[word] for word in segments], [], language, whole)
        pieces = split(segments[0], self.reader.language(language))
        sentences = ["".join(pieces[i : i + 2]) for i in range(1, len(pieces), 2)]
        sentences[:1] = [pieces[0] + one for one in sentences[:1]]
        return self._grown([[one] for one in sentences], list(segments[1:]), language, whole)

    def _grown(
        self, units: list[list[str]], rest: list[str], language: Language | str, whole: Tokens
    ) -> list[Tokens]:
        """Runs of units that fit; one that alone does not is cut at its end, and what follows it stays."""
        words, found, at = self.config.task == "tokens", list[Tokens](), 0
        while at < len(units):
            low, high = 1, len(units) - at
            while low < high:
                middle = (low + high + 1) // 2
                fits = len(self._of(units[at : at + middle], rest, language, words).ids) <= self.config.length
                low, high = (middle, high) if fits else (low, middle - 1)
            made = self._of(units[at : at + low], rest, language, words)
            if rest and len(made.ids) > self.config.length:
                made = self._of([[self._head(units[at][0], rest, language)]], rest, language, words)
            found.append(_shortened(made, self.config.length))
            at += low
        return found or [_shortened(whole, self.config.length)]

    def _head(self, text: str, rest: list[str], language: Language | str) -> str:
        """As much of a text as fits with what follows."""
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            fits = len(self._of([[text[:middle]]], rest, language, False).ids) <= self.config.length
            low, high = (middle, high) if fits else (low, middle - 1)
        return text[:low]

    def _of(self, units: list[list[str]], rest: list[str], language: Language | str, words: bool) -> Tokens:
        flat = [one for unit in units for one in unit]
        return self.reader.read([flat if words else ["".join(flat), *rest]], [language])[0]


def _shortened(tokens: Tokens, length: int) -> Tokens:
    """The last one stays: it is </s>."""
    if len(tokens.ids) <= length:
        return tokens
    keep = length - 1
    groups = [*tokens.groups[:keep], tokens.groups[-1]]
    return Tokens([*tokens.ids[:keep], tokens.ids[-1]], groups, tokens.count)
