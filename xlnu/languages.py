"""Every language code the project knows, and the only place that knows them.

`resolve` turns what people write ("sw", "swa", "Swahili", "sw-KE", "swh_Latn") into one `Language`, or
refuses in one line that says what to write instead. What it knows stands in languages.tsv, a line a variety:
the 204 of FLORES-200, some that newer sets (FLORES+, SIB-200, Seed) add, and some that are here only so that a
region does not end in the wrong language (pa-PK). `tags` there are other names and codes; a tag on two lines is
ambiguous by that alone, and so is a name that two lines share up to " in ... script": "zh" is refused with
both scripts named. Nothing is matched by likeness, which only refusals use. But three rules choose:
- Of several varieties that a tag fits, those that NLLB has win: "min" is min_Latn, though FLORES has min_Arab
  too, and "kk" is kaz_Cyrl.
- A code or name of several languages (ar, ff, qu) means the one whose line holds it: arb, fuv, quy.
- A region counts only in a tag that holds it (zh-TW). Any other is passed over: ff-GN is read as ff, which is
  Nigerian Fulfulde, and sd-IN as sd, in Arabic script. A script counts wherever it is written.

What the columns mean, where it could be argued:
- family: the top level, as in Glottolog; isolates under their own name. The four creoles (hat, kea, pap,
  tpi) are "Creole": their lexifiers' family would make Tok Pisin a relative of Hindi. Sango stays with its
  Ngbandi kin, and Esperanto is "Constructed".
- iso1: also where ISO 639-1 means the macrolanguage and people mean this variety by it (ar for arb).
- xlmr: XLM-R, and so COMETKiwi, was trained on it, by the table in XLM-R's paper: only the variety that the
  code there means, only in its script. So of Arabic arb_Arab alone; no Dari, no Cantonese; Bokmål, not
  Nynorsk.
- spaced: "no" where spaces do not set words apart (in Tibetan script, marks set syllables apart).
- nllb, flores: the code there, "-" where there is none. NLLB has sat_Beng (sic) for the sat_Olck of FLORES.
- near: what both have nearest, where NLLB lacks the variety itself; best first.
"""

import csv
import difflib
import re
import signal
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from xlnu.errors import UserError

SCRIPTS = {
    "Arab": "Arabic",
    "Armn": "Armenian",
    "Beng": "Bengali",
    "Cyrl": "Cyrillic",
    "Deva": "Devanagari",
    "Ethi": "Ethiopic",
    "Geor": "Georgian",
    "Grek": "Greek",
    "Gujr": "Gujarati",
    "Guru": "Gurmukhi",
    "Hang": "Hangul",
    "Hans": "Simplified Han",
    "Hant": "Traditional Han",
    "Hebr": "Hebrew",
    "Jpan": "Japanese",
    "Khmr": "Khmer",
    "Knda": "Kannada",
    "Laoo": "Lao",
    "Latn": "Latin",
    "Mlym": "Malayalam",
    "Mong": "Mongolian",
    "Mtei": "Meitei",
    "Mymr": "Myanmar",
    "Nkoo": "N'Ko",
    "Olck": "Ol Chiki",
    "Orya": "Odia",
    "Sinh": "Sinhala",
    "Taml": "Tamil",
    "Telu": "Telugu",
    "Tfng": "Tifinagh",
    "Thai": "Thai",
    "Tibt": "Tibetan",
}


@dataclass(frozen=True)
class Language:
    code: str  # as in FLORES-200: ISO 639-3, underscore, ISO 15924
    name: str
    family: str
    iso1: str  # "" where ISO 639-1 has none
    nllb: str | None
    flores: str | None
    xlmr: bool
    spaced: bool
    near: tuple[str, ...] = ()
    stands_in_for: str = ""

    @property
    def iso3(self) -> str:
        return self.code[:3]

    @property
    def script(self) -> str:
        return self.code[4:]

    @property
    def script_name(self) -> str:
        return SCRIPTS.get(self.script, self.script)

    @property
    def label(self) -> str:
        """What outputs print: a stand-in shows itself, and `resolve` reads it back."""
        return f"{self.stands_in_for}->{self.code}" if self.stands_in_for else self.code

    def __str__(self) -> str:
        return self.label


class UnknownLanguage(UserError):
    """What was written means no language, or several: `choices` are those that may be meant."""

    def __init__(self, message: str, choices: Iterable[Language] = ()) -> None:
        super().__init__(message)
        self.choices = tuple(choices)


Index = dict[str, list[Language]]  # from a folded code, tag or name to what it may mean

_TAG = re.compile(r"([a-z]{2,3})(?:[-_]([a-z]{4}))?(?:[-_]([a-z]{2}|\d{3}))?", re.IGNORECASE)
_ANY_TAG = re.compile(r"[a-z]{2,8}(?:[-_][a-z0-9]{2,8})*", re.IGNORECASE)  # for what no table need know
_PRIVATE = re.compile(r"q[a-t][a-z]", re.IGNORECASE)


def all_languages() -> tuple[Language, ...]:
    return tuple(language for language, _ in _table())


def resolve(text: object, declared: Iterable[Language] = ()) -> Language:
    """The language that a code, tag or name means; `declared` are the languages of a made world, if any.

    "mad->jav_Latn" is an explicit fallback: Javanese stands in for Madurese, and its label says so.
    """
    if text is False:
        raise UserError(
            "a language must be text, and YAML reads an unquoted no as false: "
            "for Norwegian, write nob_Latn or nno_Latn"
        )
    if not isinstance(text, str):
        raise UserError(f"a language must be text, such as swh_Latn: this is of type {type(text).__name__}")
    text = text.strip()
    if not text:
        raise UserError("a language is missing here: write its code, such as swh_Latn")
    own = _index((language, ()) for language in dict.fromkeys(declared))
    if "->" in text:
        return _fallback(text, own)
    return _resolve(text, own)


def resolve_all(texts: Sequence[str], declared: Iterable[Language] = ()) -> list[Language]:
    """The language of each text; two texts for one language are refused, since its rows would be made twice."""
    world = tuple(declared)
    found = [resolve(text, world) for text in texts]
    first: dict[str, str] = {}
    for text, language in zip(texts, found, strict=True):
        if language.label in first:
            both = f"{_quote(first[language.label])} and {_quote(text)}"
            raise UserError(f"{both} are the same language, {language.label}: write it once")
        first[language.label] = text
    return found


def is_private(code: str) -> bool:
    """Whether it is a code that a made world may give its languages."""
    return re.fullmatch(r"q[a-t][a-z]_[A-Z][a-z]{3}", code) is not None


def declare(code: str, name: str, family: str = "Constructed", *, spaced: bool = True) -> Language:
    """A language of a made world, under a private-use code that its translator and files use too."""
    if not is_private(code):
        raise UserError(f"{_quote(code)} cannot be declared: write qaa to qtz and a script, such as qaa_Cyrl")
    if not name.strip():
        raise UserError(f"{code} cannot be declared without a name")
    return Language(code, name, family, iso1="", nllb=code, flores=code, xlmr=False, spaced=spaced)


def model_code(language: Language, model: Literal["nllb", "flores"]) -> str:
    """What NLLB, or FLORES-200, calls the language; a refusal names what it has nearest."""
    code, owner = {"nllb": (language.nllb, "NLLB"), "flores": (language.flores, "FLORES-200")}[model]
    if code is None:
        wanted = language.stands_in_for or language.code
        raise UserError(
            f"{owner} has no {language.code} ({language.name}): "
            f"choose {_choices(resolve(near) for near in language.near)}, "
            f"or let one stand in for it openly: '{wanted}->{language.near[0]}'"
        )
    return code


@cache
def _table() -> tuple[tuple[Language, tuple[str, ...]], ...]:
    """Each language of the table with its tags, sorted by code."""
    with Path(__file__).with_name("languages.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return tuple(
        (
            Language(
                code=row["code"],
                name=row["name"],
                family=row["family"],
                iso1=row["iso1"],
                nllb=None if row["nllb"] == "-" else row["nllb"],
                flores=None if row["flores"] == "-" else row["flores"],
                xlmr=row["xlmr"] == "yes",
                spaced=row["spaced"] == "yes",
                near=tuple(row["near"].split()),
            ),
            tuple(row["tags"].split("; ")) if row["tags"] else (),
        )
        for row in sorted(rows, key=lambda row: row["code"])
    )


@cache
def _known() -> Index:
    return _index(_table())


def _index(rows: Iterable[tuple[Language, Iterable[str]]]) -> Index:
    index: Index = {}
    for language, tags in rows:
        name = language.name
        plain = name.partition(" in ")[0] if name.endswith(" script") else name
        scripted = f"{plain} in {language.script_name} script"
        keys = [language.code, language.iso3, language.iso1, language.nllb or "", name, plain, scripted, *tags]
        for key in dict.fromkeys(_fold(key) for key in keys if key):
            index.setdefault(key, []).append(language)
    return index


def _fold(text: str) -> str:
    """One spelling to compare by: no case, accents, apostrophes or brackets, and hyphens between the parts.

    "Kashmiri (Arabic script)", as FLORES-200 prints it, is "Kashmiri in Arabic script". A comma goes only after
    a word too long for a code: "qu,bo" is two languages, and not qu-BO.
    """
    letters = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(c for c in letters if not unicodedata.combining(c) and c not in "'’ʼʻ")
    bare = re.sub(r"[()]|(?<=\w{4}),", " ", kept).strip()
    return re.sub(r"-in-(?=.+-script$)", "-", re.sub(r"[\s_-]+", "-", bare))


def _resolve(text: str, own: Index) -> Language:
    tag = _TAG.fullmatch(text)
    base, script, region = tag.groups("") if tag else ("", "", "")
    exact = [text, f"{base}-{script}"]
    loose = [f"{base}-{region}", base]
    for index in (_known(), own):
        found = _find(exact, "", index) or _find(loose, script, index)
        if len(found) > 1:
            raise UnknownLanguage(f"{_quote(text)} is ambiguous: write {_choices(found)}", found)
        if found:
            return found[0]
    for index in (_known(), own):
        found = _find(loose, "", index)
        if found:
            named = SCRIPTS.get(script.title(), script.title())
            refusal = f"{_quote(text)} is not known here in {named} script: write {_choices(found)}"
            raise UnknownLanguage(refusal, found)
    if _PRIVATE.fullmatch(base):
        names = dict.fromkeys(row for rows in own.values() for row in rows)
        instead = f"write {_choices(names)}" if names else "write a real language's, such as swh_Latn"
        raise UnknownLanguage(f"{_quote(text)} is a private-use code that nothing here declares: {instead}", names)
    raise _unknown(text, base, script, own)


def _find(keys: Iterable[str], script: str, index: Index) -> list[Language]:
    """What the first key that fits may mean, in the script if one is given; of several, those NLLB has."""
    for key in keys:
        rows = [row for row in index.get(_fold(key), ()) if script.title() in ("", row.script)]
        if rows:
            return [row for row in rows if row.nllb] or rows
    return []


def _fallback(text: str, own: Index) -> Language:
    left, right = (part.strip() for part in text.split("->", 1))
    if not _ANY_TAG.fullmatch(left) or not right or "->" in right:
        raise UserError(
            f"{_quote(text)} is not a fallback: write a tag, '->' and the one language that stands in for "
            "it, such as 'mad->jav_Latn'"
        )
    return replace(_resolve(right, own), stands_in_for=_tidy(left))


def _tidy(tag: str) -> str:
    """The usual spelling of a tag, so that MAD and mad are shown, compared and stored as one."""
    base, *rest = re.split("[-_]", tag)
    casing = {2: str.upper, 4: str.title}
    return "_".join([base.lower(), *(casing.get(len(part), str.lower)(part) for part in rest)])


def _unknown(text: str, base: str, script: str, own: Index) -> UnknownLanguage:
    index = {**_known(), **own}
    # "oci" of oci_Latn_aran1260, "Hindi" of "Hindi (Latin script)": better than any likeness.
    start = _fold(re.split("[-_(,]| in ", text)[0])
    keys = [start] if start in index else difflib.get_close_matches(_fold(base or text), index, n=9)
    close = dict.fromkeys(row for key in keys for row in index[key] if script.title() in ("", row.script))
    nearest = list(close)[:3]
    refusal = f"{_quote(text)} is not a language known here"
    if nearest:
        refusal += f"; nearest in spelling: {_choices(nearest)}"
    if base:
        refusal += f"; if it is right, name a related language to stand in for it: '{_tidy(text)}->CODE'"
    else:
        refusal += "; `python -m xlnu.languages` lists all"
    return UnknownLanguage(refusal, nearest)


def _choices(languages: Iterable[Language]) -> str:
    *most, last = (f"{language.code} ({language.name})" for language in languages)
    return f"{', '.join(most)} or {last}" if most else last


def _quote(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")  # repr keeps it on one line


def main(arguments: list[str]) -> int:
    """One line an argument, or the whole table."""
    if {"-h", "--help"} & set(arguments):
        sys.stdout.write(
            "usage: python -m xlnu.languages [LANGUAGE ...]  (what each means; without any, all there are)\n"
        )
        return 0
    status = 0
    for argument in arguments or [language.code for language in all_languages()]:
        try:
            found = resolve(argument)
        except UserError as error:
            status = error.exit_code
            sys.stderr.write(f"{error}\n")
            continue
        models = f"NLLB {found.nllb or 'none'}, XLM-R {'yes' if found.xlmr else 'no'}"
        facts = f"{found.script_name}, {found.family}, {models}, {'spaced' if found.spaced else 'unspaced'}"
        sys.stdout.write(f"{found.label:14} {found.name:38} {facts}\n")
    return status


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it as it ends any other tool, with no traceback
    sys.exit(main(sys.argv[1:]))
