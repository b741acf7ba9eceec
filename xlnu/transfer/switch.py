"""Code-switching: some words of a question become what a dictionary has for them.

Where spaces set words apart, a word is letters with their marks, and apostrophes or hyphens between them; what
holds a digit is none. Only entries of one word can match: each is drawn for itself, so that the rate is p times the
known share, and a phrase would be several words under one draw (7 % of GATITOS are phrases; MUSE has none).

Elsewhere the longest entry that matches is a word, from left to right. Where none does, the smallest piece that may
stand alone is one: a Han character, a Thai consonant with its vowels, a Tibetan syllable. So an unknown word of
three characters counts as three, and both rate and known share are lower there than a reader would say.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import regex

from xlnu.languages import Language
from xlnu.transfer.dictionaries import Dictionary, fold

_SCRIPTS = ("Hani", "Hira", "Kana", "Thai", "Laoo", "Khmr", "Mymr", "Tibt")
_UNSPACED = "".join(rf"\p{{sc={script}}}" for script in _SCRIPTS) + r"ー〆ｰ\u3099\u309A"  # "Common" to Unicode
_ANY = r"[\p{L}\p{M}]"  # \w lacks the marks of Hindi, Tamil and Burmese
_SPACED_ONLY = rf"[\p{{L}}\p{{M}}--[{_UNSPACED}]]"
_JOINED = r"[-‐‑'’‘·׳״־\u200c\u200d]"  # between letters, a part of the word


def _pattern(letter: str, run: str) -> regex.Pattern[str]:
    """What is passed over, or a word. Counts are bounded, and `+` final, so that no text takes quadratic time."""
    return regex.compile(
        rf"""(?V1)
        (?P<fence>`{{3,}}+|~{{3,}}+)[\s\S]*?(?:(?P=fence)|\Z)      # a code fence, to the end if none closes it
        | `[^`\n]++`                                               # code
        | \{{[^{{}}\n]*+\}} | %\(\w++\)\w | %[sd]\b                # placeholders
        | </?\p{{L}}[^<>\n]*+> | &\#?[A-Za-z0-9]++;                # tags, entities
        | (?:[A-Za-z][A-Za-z0-9+.-]{{0,15}}+://|www\.)(?:[!-~]|{_SPACED_ONLY})++            # URLs
        | [A-Za-z0-9][A-Za-z0-9._%+-]{{0,63}}@(?:[A-Za-z0-9-]++\.)++[A-Za-z]++              # e-mail
        | {letter}*+[\p{{N}}_](?:{letter}|[\p{{N}}_])*+            # 3rd, mp3, snake_case
        | {letter}++(?:\.{letter}++)++                             # example.com, report.pdf, e.g.
        | {run}
        | (?P<word>{letter}++(?:{_JOINED}{letter}++)*+)
        """,
        regex.VERBOSE,
    )


_RUN = rf"(?P<run>(?:[[\p{{L}}\p{{M}}]&&[{_UNSPACED}]]|[\p{{M}}་༌\u200c\u200d])++)"
_SPACED, _RUNS = _pattern(_ANY, "(?!)"), _pattern(_SPACED_ONLY, _RUN)
# What must not be torn apart. Unicode's own clusters (\X) would part က from its ာ, and Thai vowels from consonants.
_PIECE = regex.compile(
    r"""(?V1)
    [[\p{L}\p{M}]&&\p{sc=Tibt}]++                                    # Tibetan: a syllable
    | [\u0E40-\u0E44\u0EC0-\u0EC4]?.[\p{M}\u200c\u200d]*+            # Thai and Lao write some vowels first
      (?: (?<=[\u1039\u17D2])\p{L}\p{M}*+                            # Burmese and Khmer: the letter below
        | \p{sc=Mymr}\u1037?+[\u1039\u103A]\p{M}*+                   # Burmese: what closes the syllable
        | [\u0E30\u0E32\u0E33\u0E45\u0EB0\u0EB2\u0EB3\u0EBD]\p{M}*+  # Thai and Lao: the vowel behind
        | [ぁぃぅぇぉゃゅょゎァィゥェォャュョヮー]                   # Japanese: small kana, the long vowel
      )*+
    """,
    regex.VERBOSE,
)
# What a spaced word may not touch. U+200B: an unseen space, which Khmer has between words. And any end of a URL.
_CLOSE = r"[\p{L}\p{M}\p{N}་༌\u200b{}`%]"
_CLOSE_BEFORE, _CLOSE_BEHIND = regex.compile(rf"(?:{_CLOSE}|(?:://|www\.)[!-~]+)\Z"), regex.compile(_CLOSE)
_SPACED_LETTER = regex.compile(rf"(?V1){_SPACED_ONLY}")


@dataclass(frozen=True)
class Switched:
    text: str
    words: int  # that could be drawn
    known: int  # of these, in the dictionary
    switched: int  # of these, drawn


def switch(text: str, dictionary: Dictionary, p: float, seed: int, row: str, source: Language) -> Switched:
    """Each word is drawn with probability p and replaced, where the dictionary knows it, by one of its equivalents,
    all alike probable.

    What a row draws depends on the seed and its id alone, and every word takes its two numbers whatever p is: what
    is switched at .05 is switched at .15 too, to the same.
    """
    draw = random.Random(f"{seed} {row}").random
    words = known = switched = 0
    out = [""]
    after_switched = False
    for token, is_word in _tokens(text, dictionary, source):
        replaced = None
        if is_word:
            words += 1
            drawn, which = draw(), draw()
            key = fold(token)
            equivalents = dictionary.entries.get(key)
            if equivalents:
                known += 1
                if drawn < p:
                    switched += 1
                    chosen = equivalents[int(which * len(equivalents))]
                    replaced = _in_case_of(token, chosen, key in dictionary.capitalised)
        if (replaced or after_switched) and _run_together(out[-1], replaced or token):
            out.append(" ")
        out.append(replaced or token)
        after_switched = replaced is not None
    return Switched("".join(out), words, known, switched)


def _tokens(text: str, dictionary: Dictionary, source: Language) -> Iterator[tuple[str, bool]]:
    """All of the text in its order, and which parts of it are words."""
    done = 0
    for match in (_SPACED if source.spaced else _RUNS).finditer(text):
        if match.lastgroup not in ("word", "run"):
            continue
        if done < match.start():
            yield text[done : match.start()], False
        done = match.end()
        if match.lastgroup == "word":
            yield match[0], True
        else:
            yield from ((each, any(map(str.isalpha, each))) for each in _longest(match[0], dictionary))
    if done < len(text):
        yield text[done:], False


def _longest(run: str, dictionary: Dictionary) -> Iterator[str]:
    pieces = _PIECE.findall(run)
    start = 0
    while start < len(pieces):
        best, candidate = start + 1, ""
        for end in range(start + 1, len(pieces) + 1):
            candidate += pieces[end - 1]
            key = fold(candidate)
            if key in dictionary.entries:
                best = end
            if key not in dictionary.beginnings:
                break
        yield "".join(pieces[start:best])
        start = best


def _run_together(left: str, right: str) -> bool:
    """Whether two words need a space between them: where one of them is of a script that has spaces.

    So "我鍾意狗" becomes "我 like 狗", as Chinese and Japanese typography sets Latin words apart (by a quarter of
    an em) and as Thai, Lao, Khmer, Burmese and Tibetan write them; and two such words in a row stay two.
    """
    if not _CLOSE_BEFORE.search(left) or not _CLOSE_BEHIND.match(right):
        return False
    return any(map(_SPACED_LETTER.match, (left[-1], right[0])))


def _in_case_of(word: str, equivalent: str, capitalised: bool) -> str:
    """Where the text's word differs in case from the dictionary's, its equivalent does so too.

    Else it stays as it is, capitals of its own with it (German nouns). GATITOS has "I", "yo" and "Yes", "Sí": "I"
    is "yo" in any place, and "yes" is "sí".
    """
    if word.isupper() and sum(map(str.isalpha, word)) > 1:
        return "".join(map(_upper, equivalent))
    if word[0].isupper() == capitalised:
        return equivalent
    first = next((i for i, c in enumerate(equivalent) if c.lower() != c.upper()), 0)
    letter = equivalent[first].lower() if capitalised else equivalent[first].title()
    return equivalent[:first] + letter + equivalent[first + 1 :]


def _upper(letter: str) -> str:
    """Georgian has capitals in Unicode, but no text has them: they are no letter's title case."""
    return letter if letter.title() == letter else letter.upper()
