"""What a text shows by itself, without a quality model: that it is no translation, or how well it comes back.

COMETKiwi judges between XLM-R's hundred languages; elsewhere `round_trip` does. `flags` finds, in all languages,
what is beyond judging: nothing at all, a loop, another script, a copy, far too much or too little.
"""

import re
import unicodedata
from functools import cache
from typing import Any

from xlnu.languages import SCRIPTS, Language
from xlnu.transfer.protect import find

# What the names of a script's letters begin with in Unicode, where that is not its English name in capitals. Korean
# has Han letters too, but never most of them: what is all Han is Chinese.
_BEGINNINGS = {
    "Hans": ("CJK",),
    "Hant": ("CJK",),
    "Jpan": ("CJK", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA"),
    "Mtei": ("MEETEI MAYEK",),
    "Nkoo": ("NKO",),
    "Orya": ("ORIYA",),
}
_FEW = 8  # letters from which a text shows its script

# How many characters of most scripts say what one of these says: means of FLORES. All others have 0.8 to 1.4.
_WORTH = {"Hans": 1 / 0.31, "Hant": 1 / 0.31, "Jpan": 1 / 0.43, "Hang": 1 / 0.5, "Ethi": 1 / 0.67}
_RATIO = 3  # either way; of human translations in FLORES at most one in a thousand goes beyond, in any language
_SLACK = 10  # characters added to both, for a short word may well be a long one elsewhere


def round_trip(source: str, back: str) -> float:
    """chrF of what was translated back, against the source: 0 to 1."""
    return float(_chrf().sentence_score(back, [source]).score) / 100


@cache
def _chrf() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


def flags(source: str, translation: str, source_language: Language, target: Language, cut_off: bool) -> list[str]:
    """What looks wrong: of "empty", "cut off", "repetition", "wrong script", "copied source", "length ratio"."""
    if not _letters(source):
        return ["cut off"] if cut_off else []  # a number, an emoji: anything may stand for it
    if not any(map(str.isalnum, translation)):
        return ["empty", *(["cut off"] if cut_off else [])]
    ratio = _length(translation, target) / _length(source, source_language)
    found = {
        "cut off": cut_off,
        "repetition": repeats(translation, source),
        "wrong script": _wrong_script(translation, target.script),
        "copied source": source_language.code != target.code and _copied(source, translation, source_language),
        "length ratio": not 1 / _RATIO <= ratio <= _RATIO,
    }
    return [flag for flag, is_so in found.items() if is_so]


def repeats(text: str, source: str = "") -> bool:
    """Whether it is caught in a loop, and what it was made from is not.

    Four times the same with 12 letters in all, or three times with 40: "the the the the", but not "no, no, no", nor
    "Location, location, location!", nor a row of dashes or digits. Where the source says something half as often
    (ha ha ha), that is why.
    """
    times = _times(text, few=12, many=40)
    return times > 0 and times > 2 * _times(source, few=6, many=6)


def _times(text: str, few: int, many: int) -> int:
    """How often something stands in a row at most, where that has `few` letters, or at three times `many`.

    A loop is looked for only where four characters come again: 60 µs for a sentence where a regular expression
    with a back reference takes 400, and 1 ms for a long answer instead of 22.
    """
    folded = f" {' '.join(text.casefold().split())} "  # the space between may be a line end, the last one missing
    seen: dict[str, int] = {}
    most = before = 0
    for at in range(len(folded) - 3):
        four = folded[at : at + 4]
        period = at - seen.get(four, at)
        seen[four] = at
        if period not in (0, before):  # else it is the same loop, one character on
            start, end = at - period, at + 4
            while start and folded[start - 1] == folded[start - 1 + period]:
                start -= 1
            while end < len(folded) and folded[end] == folded[end - period]:
                end += 1
            times = (end - start) // period
            if times > max(2, most) and _letters(folded[start:end]) >= (many if times == 3 else few):
                most = times
        before = period
    return most


def _wrong_script(translation: str, script: str) -> bool:
    """Whether most letters, outside of names, addresses and code, are of another script."""
    if script not in SCRIPTS:  # only a made language's
        return False
    text = _bare(translation)
    own = foreign = 0
    for word in text.split():
        name = word != word.lower()  # a capital letter makes it one; other scripts have none and are not excused
        for c in filter(str.isalpha, word):
            if _is_in(c, script):
                own += 1
            elif not (name and c.lower() != c.upper()) and unicodedata.category(c) != "Lm":
                foreign += 1
    if own + foreign < _FEW:
        return False
    return foreign > own or _wrong_han(text, script)


def _wrong_han(text: str, script: str) -> bool:
    """Chinese in the characters of the other kind, or Chinese instead of Japanese, where 27 % are kana at least."""
    if script == "Jpan":
        return not any(_is_in(c, "Jpan") and not _is_in(c, "Hans") for c in text)
    if script not in ("Hans", "Hant"):
        return False
    simplified, traditional = (sum(_is_only(c, *sets) for c in text) for sets in (_CHINESE, _CHINESE[::-1]))
    right, wrong = (simplified, traditional) if script == "Hans" else (traditional, simplified)
    return wrong > right + 1  # one may be a rare name's


_CHINESE = ("gb2312", "big5")  # these sets tell all 3,036 Chinese lines of FLORES apart, by 2 characters and more


@cache
def _is_only(c: str, one: str, other: str) -> bool:
    """Whether the first character set has it, and the other has not."""
    return bool(c.encode(one, "ignore")) and not c.encode(other, "ignore")


@cache
def _is_in(letter: str, script: str) -> bool:
    """By its name, for Python does not know the scripts of characters."""
    return unicodedata.name(letter, "").startswith(_BEGINNINGS.get(script, (SCRIPTS[script].upper(),)))


def _copied(source: str, translation: str, language: Language) -> bool:
    """Whether it is the source again, and that is more than names, numbers, addresses and code."""
    if _words(source) != _words(translation):
        return False
    words = [word for word in _bare(source).split() if _letters(word)]
    small = [word for word in words if word == word.lower()]
    count = len(words) if language.spaced else _letters("".join(words)) // 3
    return count >= 4 and 2 * len(small) > len(words)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _bare(text: str) -> str:
    """Without addresses, code and the like, which stay as they are in any language."""
    edges = [0, *(edge for element in find(text) for edge in element[:2]), len(text)]
    return " ".join(text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True))


def _length(text: str, language: Language) -> float:
    return len(text.strip()) * _WORTH.get(language.script, 1) + _SLACK


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))
