"""What inside a sentence must survive translation: URLs, code, markup, placeholders of templates, formulas, emoji.

`protect` puts X1, X2, ... in their place: a letter and a digit read as the name of a thing (A4, F16, X5), which
translation models copy, where brackets and runs of symbols are broken up or dropped. No form survives always, so
`restore` tells when one did not, and then `fragments` is the way: what stands between the elements is translated
on its own, with less context, and the elements are never shown to the model.

What stays in the sentence though it is not language: numbers, which models copy; `**` and `*`, since two more
placeholders an emphasis would send more sentences to `fragments`, and a lost mark costs a typeface, not content
(`xlnu.transfer.segment` takes off those around a whole sentence or a label); and names such as pH, iPhone or
JavaScript, which the sentence needs to be understood.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, pairwise
from typing import NamedTuple

# Thai, Lao, Tibetan; Burmese; Khmer; Chinese and Japanese with their punctuation: no space ends a word of these.
UNSPACED = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef"
    "\U00020000-\U0003ffff"
)
# ASCII letters make names in code, and \\s is ASCII with them, so the other spaces are named.
_S = r"\s\x85\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"
_PICTURE = "\u2190-\u21ff\u2300-\u2bff\U0001f000-\U0001faff"  # arrows, shapes, dingbats, emoji; not the operators
_ENDINGS = (
    "com|org|net|io|edu|gov|dev|py|ipynb|jsx?|tsx?|jsonl?|csv|tsv|txt|md|html?|css|xml|ya?ml|toml|ini|cfg|sh|sql|"
    "cpp|java|rs|rb|php|pdf|docx?|xlsx?|pptx?|png|jpe?g|gif|svg|mp[34]|wav|zip|gz|exe|log"
)
# An address goes on over balanced brackets (/wiki/C_(language)), and not over the end of its sentence.
_ADDRESS = rf"""(?:[^{_S}<>"`()\[\]|\u2018-\u201f{UNSPACED}]|\([^{_S}()]*\))*(?<![.,;:!?'*_~،؛؟।…])"""
_LINK = rf"\([^(){_S}]*(?:\([^(){_S}]*\)[^(){_S}]*)*(?:\s+\"[^\"]*\")?\)"

# Every repetition is bounded or begins only where a word does, so that no line takes quadratic time.
_ELEMENT = re.compile(
    rf"""
    (?P<code>(?<!`)(?P<ticks>`+)(?!`).{{1,2000}}?(?<!`)(?P=ticks)(?!`))
  | (?P<picture>
        !\[[^\[\]]{{0,200}}\]{_LINK}
      | [#*0-9]\ufe0f?\u20e3
      | (?:[{_PICTURE}][\ufe0e\ufe0f\u200d\u20e3\U000e0020-\U000e007f]*)+
    )
  | (?P<single>
        <(?:br|hr|img|wbr|input|meta|link)\b[^<>]*>
      | <[A-Za-z][\w:.-]*(?:\s(?=[^<>]*=)[^<>]*)?/>
      | <!--.{{0,500}}?--> | <![A-Za-z][^<>]*>
      | &(?:[A-Za-z]\w{{1,31}}|\#\d{{1,7}}|\#x[0-9A-Fa-f]{{1,6}});
    )
  | (?P<opening><[A-Za-z][\w:.-]*(?:\s(?=[^<>]*=)[^<>]*)?> | \[(?=[^\[\]]{{0,200}}\]\([^(){_S}]))
  | (?P<closing></[A-Za-z][\w:.-]*\s*> | \]{_LINK})
  | (?P<other>
        (?:https?|ftp)://{_ADDRESS} | (?<!\w)www\.\w{_ADDRESS}
      | (?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+
      | (?<![\w.@/\\~-])(?:[\w.~-]+/)*[\w-]+(?:\.[\w-]+)*\.(?:{_ENDINGS})\b(?:/{_ADDRESS})?
      | (?<![^{_S}"'(=,])(?:~|\.{{1,2}})?/(?:[\w.@-]+/)*[\w.@-]*\w/?
      | (?<!\w)[A-Za-z]:\\[^{_S}"'<>|*?,;]+
      | \$\$.{{1,1000}}?\$\$ | \\\(.{{1,500}}?\\\) | \\\[.{{1,500}}?\\\]
      | (?<!\\)\$(?=\S)(?:[^${_S}]{{1,60}}|(?=[^$]*[\\^_={{}}<>+])[^$]{{1,200}}(?<!\s))\$(?!\d)
      | \\[A-Za-z]+\*?(?:\{{[^{{}}]*\}})*
      | \{{\{{.{{1,200}}?\}}\}} | \{{%.{{1,200}}?%\}} | \$\{{[^{{}}]*\}}
      | \{{[\w.:!\[\]/-]*\}} | \{{[\s\d.,+-]*\}} | \{{\s*["'][^{{}}]*\}}
      | \[[\s\d.+-]*,[\s\d.,+-]*\] | \[/?[A-Z][A-Z0-9 _-]*\] | <\|[^|<>]{{1,40}}\|>
      | (?<!\d)%(?:\(\w+\))?[-+0\#]*\d*(?:\.\d+)?[sdifgxXrc](?!\w)
      | \$[A-Za-z_]\w*
      | (?<![\w.@/])@[A-Za-z_]\w*
      | (?<![\w\#&])\#(?u:\w)[^{_S}\#.,;:!?()\[\]{{}}<>"'、。，！？：；（）「」…]*
      | (?<![\w.])(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*\((?:[^()]{{0,80}}["'=][^()]{{0,80}})?\)
      | (?<![\w.])(?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*\([^()]{{0,80}}\) | (?<!\w)[A-Za-z]'{{0,2}}\([^()]{{1,30}}\)
      | (?<!\w)(?:__\w+__(?!\w)|[A-Za-z0-9]+(?:_+[A-Za-z0-9]+)+_*)
      | (?<!\w)_{{2,}}(?![A-Za-z0-9])
      | (?<![\w.])[a-z_]\w+(?:\.[a-z_]\w+)+
      | (?<!\w)[a-z]{{2,}}\d*[A-Z]\w*
    )
    """,
    re.VERBOSE | re.ASCII | re.DOTALL,
)
# What no element is without. Most sentences have none of it, and are told so in 1 µs instead of 30.
_HINT = re.compile(rf"[`<{{$%@#&\\/_\[{_PICTURE}\u20e3]|\w\.\w|\w'{{0,2}}\(|[a-z][0-9]*[A-Z]|\]\(", re.ASCII)
_X = "[XxХхΧχ]"  # also the Cyrillic and Greek letters that look like it, which a model may write instead


class Element(NamedTuple):
    start: int
    end: int
    kind: str  # code, picture, single, opening, closing or other


@dataclass(frozen=True)
class Protected:
    """A sentence whose elements are placeholders. `padded`: where a space was put between an element and a word."""

    text: str
    elements: tuple[str, ...] = ()
    padded: tuple[tuple[bool, bool], ...] = ()
    ordered: tuple[int, ...] = ()  # tags and brackets of links, which make sense in this order only
    prefix: int = 1  # how many X a placeholder begins with


def find(text: str) -> list[Element]:
    """The elements of a text, in order."""
    if not _HINT.search(text):
        return []
    return [Element(m.start(), m.end(), str(m.lastgroup)) for m in _ELEMENT.finditer(text)]


def protect(sentence: str) -> Protected:
    """The sentence with a placeholder for each element."""
    found = find(sentence)
    if not found:
        return Protected(sentence)
    edges = [0, *(edge for element in found for edge in element[:2]), len(sentence)]
    between = [sentence[start:end] for start, end in list(pairwise(edges))[::2]]
    prefix = next(n for n in count(1) if not any(_placeholder(n).search(text) for text in between))
    text, padded = between[0], []
    for number, (before, after) in enumerate(pairwise(between), 1):
        left = _needs_space(before[-1:], number > 1)
        right = _needs_space(after[:1], number < len(found))
        padded.append((left, right))
        text += f"{' ' * left}{'X' * prefix}{number}{' ' * right}{after}"
    return Protected(
        text,
        tuple(sentence[element.start : element.end] for element in found),
        tuple(padded),
        tuple(n for n, element in enumerate(found) if element.kind in ("opening", "closing")),
        prefix,
    )


def restore(translation: str, protected: Protected) -> str | None:
    """The translation with its elements; None when a placeholder is lost, doubled, mangled or a tag out of order.

    Digits may be of any script, a space may stand between X and them, and X may be small.
    """
    if not protected.elements:
        return translation
    parts = _placeholder(protected.prefix).split(translation)  # text, number, text, number, text
    numbers = [int(number) - 1 for number in parts[1::2]]
    if sorted(numbers) != list(range(len(protected.elements))):
        return None
    if [n for n in numbers if n in protected.ordered] != list(protected.ordered):
        return None
    text = parts[0]
    for number, after in zip(numbers, parts[2::2], strict=True):
        left, right = protected.padded[number]
        text = text.removesuffix(" ") if left else text
        text += protected.elements[number] + (after.removeprefix(" ") if right else after)
    return text


def fragments(sentence: str) -> list[str]:
    """Pieces in turn: what stays, what to translate, what stays, ... Odd in number; joined they are the sentence.

    Elements stay, with the space and the punctuation that join them to what is translated.
    """
    pieces, end = [], 0
    for start, stop in _gaps(sentence):
        pieces += [sentence[end:start], sentence[start:stop]]
        end = stop
    return [*pieces, sentence[end:]]


def _gaps(sentence: str) -> Iterator[tuple[int, int]]:
    """Where the text between elements begins and ends, of those gaps that hold a letter."""
    edges = [0, *(edge for element in find(sentence) for edge in element[:2]), len(sentence)]
    for start, stop in list(pairwise(edges))[::2]:
        gap = sentence[start:stop]
        if any(map(str.isalpha, gap)):
            stop = start + len(gap.rstrip(" \t([{"))
            yield start + len(gap) - len(gap.lstrip(" \t)]},.;:!?")), stop


def _needs_space(neighbour: str, element: bool) -> bool:
    """Whether a placeholder would run into its neighbour, a character or, where there is none, another element."""
    return element if not neighbour else neighbour.isdecimal() or _SPACED_WORD.match(neighbour) is not None


def _placeholder(prefix: int) -> re.Pattern[str]:
    return re.compile(rf"(?<!{_X}){_X}{{{prefix}}} ?(\d+)")


_SPACED_WORD = re.compile(rf"[^\W{UNSPACED}]")
