"""Files of task data by the name of their format, and where a language's file is.

What a user writes himself has the name of its kind as its format (see own.py).
"""

import dataclasses
import difflib
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from xlnu.errors import UserError
from xlnu.evaluate.benchmarks import (
    afrisenti,
    belebele,
    conll,
    kardes,
    mgsm,
    mkqa,
    nusax,
    own,
    sib200,
    xcopa,
    xlsum,
    xnli,
    xquad,
)
from xlnu.evaluate.benchmarks.items import GENERATED, Item, Kind
from xlnu.languages import Language


class Format(NamedTuple):
    kind: Kind
    read: Callable[[Path, Language | None], list[Item]]


def _of_one_language(kind: Kind, read: Callable[[Path], list[Item]]) -> Format:
    return Format(kind, lambda path, _: read(path))


FORMATS: dict[str, Format] = {
    "sib200": _of_one_language(sib200.KIND, sib200.read),
    "nusax": _of_one_language(nusax.KIND, nusax.read),
    "afrisenti": _of_one_language(afrisenti.KIND, afrisenti.read),
    "xnli": Format(xnli.KIND, xnli.read),
    "kardes_nli": Format("pair", kardes.nli),
    "kardes_sts": Format("regression", kardes.sts),
    "kardes_copa": Format("choice", kardes.copa),
    "belebele": _of_one_language(belebele.KIND, belebele.read),
    "xcopa": _of_one_language(xcopa.KIND, xcopa.read),
    "conll": _of_one_language(conll.KIND, conll.read),
    "xquad": _of_one_language(xquad.KIND, xquad.read),
    "mkqa": Format(mkqa.KIND, mkqa.read),
    "mgsm": _of_one_language(mgsm.KIND, mgsm.read),
    "xlsum": _of_one_language(xlsum.KIND, xlsum.read),
    **{kind: _of_one_language(kind, partial(own.read, kind)) for kind in own.KINDS},
}


_FOLDERS = nusax.FOLDERS | kardes.FOLDERS


def named(name: str) -> Format:
    if name not in FORMATS:
        near = difflib.get_close_matches(name, FORMATS, n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise UserError(f"{name!r} is no format{meant}; there are {', '.join(FORMATS)}")
    return FORMATS[name]


def with_a_head(name: str) -> Format:
    """A format that a task may have which a head is trained for."""
    if named(name).kind in GENERATED:
        those = ", ".join(each for each, form in FORMATS.items() if form.kind not in GENERATED)
        raise UserError(f"{name!r} is answered in words, which no head gives: train on one of {those}")
    return FORMATS[name]


def read(name: str, path: Path, language: Language | None) -> list[Item]:
    """All examples, those that are of no use with the reason. The language matters where a file has several."""
    kind, read_file = named(name)
    items = read_file(path, language)
    if not items:
        raise UserError(f"{path}: holds no example; give a file that holds some, as {name} has them")
    first: dict[str, str] = {}
    for item in items:
        if item.key in first:
            raise UserError(f"{item.origin}: its id {item.key!r} stands already in {first[item.key]}")
        first[item.key] = item.origin
    return [_without_blanks(item, kind) for item in items]


def _without_blanks(item: Item, kind: Kind) -> Item:
    needed = item.segments[1:] if kind in ("choice", "qa") else item.segments
    return item if all(needed) and needed else dataclasses.replace(item, reject=item.reject or "empty text")


def place(pattern: str, language: Language) -> Path:
    """The path that a pattern gives for a language: {language}, {iso3}, {iso1} and {name} are filled in.

    For a stand-in they are those of the language it stands in for: the file is written in that one.
    """
    return filled(pattern, names(language), language)


def filled(pattern: str, known: dict[str, str], language: Language) -> Path:
    def fill(found: re.Match[str]) -> str:
        there = ", ".join(f"{{{name}}}" for name, value in known.items() if value)
        if found[1] not in known:
            raise UserError(f"{pattern!r}: there is no {found[0]} to fill in; there are {there}")
        if not known[found[1]]:
            raise UserError(f"{pattern!r}: {language} has no {found[0]}; what it has is {there}")
        return known[found[1]]

    return Path(re.sub(r"\{([^{}]*)\}", fill, pattern)).expanduser()


def names(language: Language) -> dict[str, str]:
    """What a pattern may hold, and what fills it; "" where the language has none."""
    code = language.stands_in_for or language.code
    tag = code.partition("_")[0]
    found = {"language": code, "iso3": language.iso3, "iso1": language.iso1, "name": language.name}
    if language.stands_in_for:  # of which the table knows nothing
        found |= {"iso3": tag if len(tag) == 3 else "", "iso1": tag if len(tag) == 2 else "", "name": ""}
    folder = re.sub(r" in .+ script$", "", found["name"]).lower().replace(" ", "_")
    return found | {"name": _FOLDERS.get(code) or _FOLDERS.get(tag, folder)}
