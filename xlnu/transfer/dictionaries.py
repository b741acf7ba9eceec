"""Bilingual dictionaries: which file is whose, and what stands in it.

A line is a word and one equivalent, as in MUSE ("cat chat", or with a tab) and GATITOS ("cat", tab, "chat"); a word
with several equivalents has several lines.
"""

import os
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import regex

from xlnu.errors import UserError
from xlnu.languages import Language

# Spellings of one character: dictionaries write don't, people write don’t; Tibetan has two syllable marks.
_ONE_SPELLING = str.maketrans({"’": "'", "‘": "'", "༌": "་"})
# Where Unicode knows no such script:
_SCRIPTS = {"Hans": ("Hani",), "Hant": ("Hani",), "Jpan": ("Hani", "Hira", "Kana")}


@dataclass(frozen=True)
class Dictionary:
    entries: dict[str, tuple[str, ...]]  # from a folded word to its equivalents: in the file's order, distinct
    capitalised: frozenset[str]  # folded words that the file itself writes with a capital: I, Spanish, Monday
    path: str
    lines: int  # that hold anything; what is left out of them:
    malformed: int  # not two columns, one of them empty, or not UTF-8
    annotated: int  # with brackets: what of "pike (verb)" and "фамили(я)" is the word, nothing tells

    @cached_property
    def beginnings(self) -> frozenset[str]:
        """Everything that an entry begins with: how long a match may still grow."""
        return frozenset(word[:end] for word in self.entries for end in range(1, len(word) + 1))

    def written_in(self, language: Language) -> bool:
        """Whether it has the language's equivalents in the script that is wanted.

        A file's name may not say: of the 82 languages here that GATITOS has under their plain tag, it writes 7 in
        another script (crh is Cyrillic there, kas_Deva Arabic). The share of letters in the script: under .002 in
        those, over .9 in all others.
        """
        equivalents = "".join(chain.from_iterable(self.entries.values()))
        letters = "".join(regex.findall(r"\p{L}", equivalents))
        own = "".join(rf"\p{{sc={script}}}" for script in _SCRIPTS.get(language.script, (language.script,)))
        return 2 * len(regex.findall(f"[{own}]", letters)) > len(letters)


def fold(word: str) -> str:
    """What words are compared by: no case, one spelling of each character, no Tibetan mark at the end."""
    if word.isascii():
        return word.lower()
    return unicodedata.normalize("NFC", word.casefold()).translate(_ONE_SPELLING).rstrip("་")


def find(pattern: str, source: Language, target: Language) -> str:
    """The path that the pattern gives for two languages; whether there is a dictionary is for the caller to see.

    A tag is what MUSE (en-fr.txt) and GATITOS (en_ace.tsv) have in their names: ISO 639-1, or 639-3 without one.
    """
    names: dict[str, str] = {}
    for side, language in (("source", source), ("target", target)):
        names |= {
            side: language.code,
            f"{side}_iso1": language.iso1,
            f"{side}_iso3": language.iso3,
            f"{side}_tag": language.iso1 or language.iso3,
        }

    def fill(name: re.Match[str]) -> str:
        if name[1] not in names:
            known = ", ".join(f"{{{each}}}" for each in names)
            raise UserError(f"{pattern!r}: there is no {name[0]} to fill in; there are {known}")
        return names[name[1]]

    return os.path.expanduser(re.sub(r"\{([^{}]*)\}", fill, pattern))


def read(path: str) -> Dictionary:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise UserError(f"{path}: the dictionary cannot be read: {error.strerror}") from None
    return parse(data, path)


def parse(data: bytes, path: str) -> Dictionary:
    """A dictionary from its file's bytes, as they are sent to workers."""
    lines = [line for line in data.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()]
    # For the whole file at once: where tabs separate, a line without one is no entry "at least", "au moins".
    tabs = 2 * sum(b"\t" in line for line in lines) > len(lines)
    entries: dict[str, dict[str, None]] = {}
    small: set[str] = set()
    malformed = annotated = 0
    for line in lines:
        pair = _pair(line, tabs)
        if pair is None:
            malformed += 1
        elif re.search("[()（）]", "".join(pair)):
            annotated += 1
        else:
            word, equivalent = pair
            entries.setdefault(fold(word), {})[equivalent] = None
            if not word[0].isupper():
                small.add(fold(word))
    if not entries:
        raise UserError(
            f"{path}: holds no entry in {len(lines)} lines: write a word, a tab or space, its equivalent"
        )
    return Dictionary(
        entries={word: tuple(equivalents) for word, equivalents in entries.items()},
        capitalised=frozenset(entries.keys() - small),
        path=path,
        lines=len(lines),
        malformed=malformed,
        annotated=annotated,
    )


def _pair(line: bytes, tabs: bool) -> tuple[str, str] | None:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return None
    columns = text.split("\t") if tabs else re.split("[ \t]+", text.strip(" \t"), maxsplit=1)
    pair = [column.strip() for column in columns]
    # A NUL: the file is UTF-16, which bytes alone would not betray.
    return (pair[0], pair[1]) if len(pair) == 2 and all(pair) and "\0" not in text else None
