"""The steps `switched_LANGUAGE`: each question with some of its words in the other language, both ways.

A question in the source language gets words of the target language, a translated one words of the source language.
A language without a dictionary has no such step, and its questions stay as they are.
"""

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from xlnu.cluster.pools import ONE_CORE, Placed
from xlnu.config import setting
from xlnu.engines.chat import user_turn
from xlnu.languages import Language
from xlnu.rows import SWITCHED
from xlnu.spread import spread
from xlnu.steps import Part, Rows, Work
from xlnu.transfer.dictionaries import Dictionary, find, parse
from xlnu.transfer.switch import Switched, switch

ROWS_PER_PART = 4096


@dataclass
class SwitchConfig:
    """Code-switching of questions; answers stay as they are."""

    p: float = setting(0.15, "probability that a word is switched, if the dictionary has it", at_least=0, at_most=1)
    dictionaries: str = setting(
        "",
        "a dictionary's file, with {source} and {target} for the codes, {source_tag} and {target_tag} for names "
        "such as MUSE's en-fr.txt and GATITOS' en_ace.tsv; empty: no code-switching",
    )
    copies: bool = setting(False, "keep each question as it is too, beside its switched copy")


@dataclass(frozen=True)
class Book:
    """A dictionary's file as it is sent to workers."""

    path: str
    data: bytes

    @property
    def content(self) -> str:
        return hashlib.sha256(self.data).hexdigest()[:32]


def book(pattern: str, source: Language, target: Language) -> Book | None:
    """The file for two languages, in this direction; None when there is none, or it is in another script.

    A file's name may not tell scripts apart: GATITOS' crh is Cyrillic.
    """
    path = find(pattern, source, target) if pattern else ""
    if not path or not Path(path).is_file():
        return None
    found = Book(path, Path(path).read_bytes())
    # its beginning shows the script: MUSE's larger ones take half a second to parse, and a set may have hundreds
    beginning = found.data[: found.data.rfind(b"\n", 0, 65536)] if len(found.data) > 65536 else found.data
    return found if parse(beginning, path).written_in(target) else None


@dataclass(frozen=True)
class Books:
    source: Language
    target: Language
    forward: Book | None
    backward: Book | None

    @property
    def name(self) -> str:
        """For the card."""
        return " and ".join(Path(one.path).name for one in (self.forward, self.backward) if one)

    @property
    def identity(self) -> dict[str, str | None]:
        both = {"forward": self.forward, "backward": self.backward}
        return {way: None if one is None else one.content for way, one in both.items()}


def books(config: SwitchConfig, source: Language, target: Language) -> Books | None:
    """A language's dictionaries; None when it has none, or none is wanted."""
    if not config.p:
        return None
    forward, backward = book(config.dictionaries, source, target), book(config.dictionaries, target, source)
    return Books(source, target, forward, backward) if forward or backward else None


def mix(
    works: dict[str, Work],
    sources: Rows,
    translations: dict[str, Rows],
    found: dict[str, Books],
    p: float,
    seed: int,
) -> dict[str, int]:
    stage = functools.partial(_Mix, sources, translations, found, p, seed)
    return spread(works, {name: len(sources) for name in works}, ROWS_PER_PART, stage, ONE_CORE)


class _Mix:
    def __init__(
        self,
        sources: Rows,
        translations: dict[str, Rows],
        found: dict[str, Books],
        p: float,
        seed: int,
        _placed: Placed,
    ) -> None:
        self.sources, self.translations, self.found, self.p, self.seed = sources, translations, found, p, seed
        self.step = ""
        self.forward: Dictionary | None = None
        self.backward: Dictionary | None = None

    def __call__(self, step: str, part: Part) -> tuple[pa.Table, int]:
        books = self.found[step]
        if step != self.step:  # one language's at a time: MUSE's larger ones take 20 MB
            self.step, self.forward, self.backward = step, _open(books.forward), _open(books.backward)
        sources = self.sources.read(part.start, part.stop, ["instruction", "input"]).to_pylist()
        given = self.translations[step].read(part.start, part.stop).to_pylist()
        made = []
        for source, row in zip(sources, given, strict=True):
            asked = user_turn(source["instruction"], source["input"])
            said = None if row["instruction"] is None else user_turn(row["instruction"], row["input"] or "")
            one, other = (
                self._switch(asked, self.forward, f"{row['id']} source", books.source),
                self._switch(said, self.backward, f"{row['id']} target", books.target),
            )
            made.append(
                {
                    **{name: row[name] for name in ("id", "reject", "parent", "language")},
                    **_columns(one, "source_"),
                    **_columns(other, ""),
                }
            )
        return pa.Table.from_pylist(made, schema=SWITCHED), 0

    def _switch(self, text: str | None, by: Dictionary | None, row: str, language: Language) -> Switched | None:
        if text is None or by is None:
            return None
        return switch(text, by, self.p, self.seed, row, language)


def _columns(found: Switched | None, prefix: str) -> dict[str, Any]:
    return {
        f"{prefix}question": found and found.text,
        f"{prefix}words": found.words if found else 0,
        f"{prefix}known": found.known if found else 0,
        f"{prefix}switched": found.switched if found else 0,
    }


def _open(one: Book | None) -> Dictionary | None:
    return None if one is None else parse(one.data, one.path)
