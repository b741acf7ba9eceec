"""A text cut into sentences to translate, and put together again with its layout untouched.

NLLB reads one sentence well and drops sentences of a paragraph, so it is shown one at a time. All else stays as it
is: line ends, indentation, marks of lists, headings and quotes, tables' pipes and rules, fenced code, display
formulas, comments, and every line that has no letter outside the elements of `xlnu.transfer.protect`.

A line end always ends a sentence: a paragraph that is wrapped at 80 characters is translated line by line. Joining
its lines would need to guess which line ends are layout, as in verse, addresses and lists without marks.

Code without a fence is known by how its first line reads (`def f(x):`, `import json`, a call, SQL), and goes on
over the indented lines that follow. Indentation alone makes no code, though CommonMark says so: what people indent
by four spaces in instructions and answers is nested lists, verse and letters.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache

from sentencex import segment

from xlnu.languages import Language
from xlnu.transfer.protect import UNSPACED, Element, find

LONGEST = 600  # characters: some 150 tokens of NLLB in English. It reads 1,024, and gets worse beyond 200
LONGEST_HAN = 200  # the same sentences of FLORES-200 have 130 characters in English, 43 in Chinese, 56 in Japanese

# A line of code by itself. What only reads as code beside other code stands in _MORE.
_CODE = r"""[ \t]*(?:
      (?:async[ ])?def[ ]\w+[ ]?\(.* | class[ ]\w+(?:\(.*\))?: | (?:else|try|finally)[ ]?: | \}[ ]?else\b.*
    | (?:if|elif|for|while|with|except|switch)\b(?=.*[:{][ \t]*\r?$).*(?:\w[(\[]|[<>!=]=|\w_\w|\w\.\w).*
    | import[ ][\w.]+(?:[ ]as[ ]\w+)?(?:,[ ]*[\w.]+)*;? | from[ ][\w.]+[ ]import[ ].+
    | (?:var|let|const)[ ]\w+[ ]*=.* | function\b[ ]?\w*\(.* | (?:public|private|protected|static)[ ].*[({;]
    | \#include\b.* | \#!/.* | <\?php.* | (?:using|package|namespace)[ ][\w.:]+; | >>>[ ].* | \$[ ][a-z].*
    | SELECT\b.+\bFROM\b.* | (?:INSERT[ ]INTO|DELETE[ ]FROM|(?:CREATE|ALTER|DROP)[ ]TABLE)\b.* | UPDATE\b.+\bSET\b.*
    | [A-Za-z_][\w.]*\(.*\);? | [^=;:,\n]{1,60}=.*; | .*\)[ ]?\{ | [}\])][;,)\]}]*
    | [A-Za-z_][\w.\[\]"']*[ ]?[-+*/%]?=[ ]?(?:[\w.]+\(|[\[{"']).*
    )[ \t]*\r?$"""
_MORE = r"(?:[ \t]+\S.*|(?:\#|//|/\*).*|[A-Za-z_][\w.]*[ ]?[-+*/%]?=[ ]?\S.*|return\b.*)$"
_BLOCK = re.compile(
    rf"""
    ^[ \t>]*(?:[-*+][ \t]+|\d+[.)][ \t]+)?(?P<fence>`{{3,}}|~{{3,}})[^\n`]*
        (?:\n(?s:.*?^[ \t>]*(?P=fence)[`~]*[ \t]*\r?$|.*)|\Z)
  | ^[ \t>]*\$\$(?!\$)(?s:.+?)(?<!\$)\$\$[ \t.,;]*\r?$
  | ^[ \t>]*\\\[(?s:(?:(?!\\\[).)+?)\\\]
  | \\begin\{{(?P<name>\w+\*?)\}}(?s:.+?)\\end\{{(?P=name)\}}
  | <(?P<raw>pre|script|style|textarea)\b(?s:(?:(?!<(?P=raw)\b).)+?)</(?P=raw)\s*>
  | <!--(?s:(?:(?!<!--).)*?)-->
  | ^{_CODE}(?:\n(?:[ \t]*\r?\n)*(?:{_CODE}|[ \t]+\S.*$)|\n{_MORE})*
    """,
    re.VERBOSE | re.MULTILINE,
)
# Quotes and bullets, a box to tick, then a heading's mark or a number: "> - [ ] ", "## 1. ", "(a) ", "① ", "二、".
_MARKS = re.compile(
    r"""\s*(?:(?:>|[-*+–—][ \t]|[•·・▪◦●○■□‣][ \t]*)\s*)*(?:\[[ xX]\]\s+)?(?:\#{1,6}\s+)?
    (?:\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})[.)]\s+|[（(]?\d{1,3}[）)]\s*|[①-⑳]\s*|[一二三四五六七八九十]{1,3}、)?
    """,
    re.VERBOSE,
)
_LABEL = re.compile(r"(\*\*|__)(?=\S)([^*_]{1,80}?)(?:(?<=[:：])\1|\1(?=\s?[:：]))\s*[:：]?\s*(?=\S)")
_WRAPPED = re.compile(r"([*_]{1,3})(?=[^\s*_])[^*_]*(?<![\s*_])\1")
_PIPE = re.compile(r"(?<!\S)\|(?!\S)")
_AFTER = re.compile(r"[*_)\]}\"'”’»」』）]*\s*")
_SPACES = re.compile(r"\s*")

# sentencex 1.0.32 panics, which no `except Exception` stops, on an initial with a space of several bytes behind it
# ("J\xa0. X"). With plain spaces only, it neither panicked nor lost a character in 880,000 random texts.
_PLAIN = dict.fromkeys([9, 0x1F, 0xA0, 0x1680, *range(0x2000, 0x200C), 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF], " ")
_DENSE = re.compile(f"[{UNSPACED}]")
_NOUN = "\ufffc"  # stands for what is a word of the sentence; emoji, tags and brackets of links become spaces


def split(text: str, language: Language) -> list[str]:
    """Pieces in turn: what stays, a sentence, what stays, ... Odd in number; joined they are the text, always."""
    pieces, end = [], 0
    for start, stop in _sentences(text, language):
        pieces += [text[end:start], text[start:stop]]
        end = stop
    return [*pieces, text[end:]]


def sentences(pieces: Sequence[str]) -> list[str]:
    return list(pieces[1::2])


def join(pieces: Sequence[str], translations: Sequence[str], target: Language) -> str:
    """The text with each sentence replaced by its translation; sentences for translations give back the text.

    But the one space between two sentences of a line goes where Chinese or Japanese comes in, and comes where they
    or their like had none and go.
    """
    text = pieces[0]
    for n, translation in enumerate(translations):
        gap = pieces[2 * n + 2]
        if n + 1 < len(translations):
            here, following = translation[-2:], translations[n + 1][:1]
            if gap == " " and _spaceless(target) and not (here + following).isascii():
                gap = ""
            elif gap == "" and _DENSE.search(pieces[2 * n + 1][-2:]) and not _DENSE.search(here):
                gap = " "
        text += translation + gap
    return text


def _spaceless(language: Language) -> bool:
    """Without a space between sentences. `language.spaced` is about words: Thai, Lao and Khmer have it there."""
    return language.script in ("Hans", "Hant", "Jpan")


def _sentences(text: str, language: Language) -> Iterator[tuple[int, int]]:
    start = 0
    for block in _BLOCK.finditer(text):
        yield from _of_lines(text, start, block.start(), language)
        start = block.end()
    yield from _of_lines(text, start, len(text), language)


def _of_lines(text: str, start: int, end: int, language: Language) -> Iterator[tuple[int, int]]:
    for line in text[start:end].splitlines(keepends=True):
        if any(map(str.isalpha, line)):
            for first, last in _of_line(line, language):
                yield start + first, start + last
        start += len(line)


def _of_line(line: str, language: Language) -> Iterator[tuple[int, int]]:
    elements = find(line)
    masked = _mask(line, elements)
    start = _end(_MARKS, masked, 0, len(line))
    if (label := _LABEL.match(masked, start)) and any(map(str.isalpha, label[2])):
        yield label.span(2)
        start = label.end()
    pipes = [pipe.span() for pipe in _PIPE.finditer(masked, start)]
    for first, last in zip([start, *(e for _, e in pipes)], [*(s for s, _ in pipes), len(line)], strict=True):
        for begin, end in _cut(masked, first, last, language):
            begin, end = _trim(line, masked, begin, end, elements)
            if any(map(str.isalpha, masked[begin:end])):
                yield begin, end


def _mask(line: str, elements: list[Element]) -> str:
    """The line, as long as it was, with nothing in its elements that could be taken for a letter or an end."""
    parts, end = [], 0
    for element in elements:
        filler = _NOUN if element.kind in ("code", "other") else " "
        parts += [line[end : element.start], filler * (element.end - element.start)]
        end = element.end
    masked = "".join([*parts, line[end:]])
    return masked if masked.isascii() else masked.translate(_PLAIN)


def _cut(masked: str, start: int, end: int, language: Language) -> Iterator[tuple[int, int]]:
    """The sentences between two positions, each with the space after it; one too long in parts."""
    longest = LONGEST_HAN if _spaceless(language) else LONGEST
    cut = done = start
    for sentence in segment(language.iso1 or language.iso3, masked[start:end]):
        cut += len(sentence)
        closing = not masked[cut - 1].isspace()  # "**Yes.** No": what closes belongs to the sentence it closes
        stop = _end(_AFTER if closing else _SPACES, masked, cut, end)
        if stop - done > longest:
            yield from (part.span() for part in _parts(longest).finditer(masked, done, stop))
        elif stop > done:
            yield done, stop
        done = max(done, stop)


@cache
def _parts(longest: int) -> re.Pattern[str]:
    """Parts no longer than that: cut in their second half after punctuation, else at a space, else anywhere."""
    most = f".{{{longest // 2},{longest}}}"
    return re.compile(
        rf".{{1,{longest}}}\Z"
        rf"|{most}(?:(?<=[,;:.!?)\]…،؛؟।॥၊။།។—–])(?=\s)|(?<=[，、。；：！？」』”།။។၊]))\s*"
        rf"|{most}[\s་]\s*"
        rf"|.{{1,{longest}}}(?!(?<={_NOUN}){_NOUN})|{_NOUN}+",
        re.DOTALL,
    )


def _trim(line: str, masked: str, start: int, end: int, elements: list[Element]) -> tuple[int, int]:
    """A sentence without the space, emoji, tags and emphasis around it; a tag stays if its fellow is inside."""
    first, last = _stripped(masked, start, end)
    if _depth(elements, first, last) and not _depth(elements, start, end):
        return _stripped(line, start, end)
    while wrapped := _WRAPPED.fullmatch(masked, first, last):
        first, last = first + len(wrapped[1]), last - len(wrapped[1])
    return first, last


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    return end - len(piece.lstrip()), start + len(piece.rstrip())


def _depth(elements: list[Element], start: int, end: int) -> int:
    """How many more tags and brackets open there than close."""
    kinds = [element.kind for element in elements if start <= element.start < end]
    return kinds.count("opening") - kinds.count("closing")


def _end(pattern: re.Pattern[str], text: str, start: int, end: int) -> int:
    found = pattern.match(text, start, end)
    return found.end() if found else start
