"""The benchmarks by name: where the files of each are, as published and on the hub, and what is odd about them.

What a user gives for one is a folder as its authors publish it, a file, a path with {language} and the like in it
(as formats.place has them, and {split}), or the name of a dataset on the hub, NAME@REVISION for another than main.
Of what was published there as a script, the hub itself makes Parquet, in the revision refs/convert/parquet.
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from xlnu.errors import UserError, first_line
from xlnu.evaluate.benchmarks import formats, mkqa, xlsum, xnli
from xlnu.languages import Language, all_languages, resolve

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
# What a user's {split} may be, by what authors call them.
WORDS: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("dev", "valid", "validation", "val"),
    "test": ("test", "devtest"),
}


@dataclass(frozen=True)
class Official:
    format: str  # of formats.py; "flores" is read by xlnu/evaluate/flores.py
    task: str  # in one word, for the report
    hub: str  # the dataset's name there; empty: its files are not there
    tests: tuple[str, ...]  # below the folder, the first that is there counts
    validation: tuple[str, ...] = ()
    train: tuple[str, ...] = ()  # in the language itself
    home: str = ""  # where its files are, if not on the hub

    def patterns(self, split: Split) -> tuple[str, ...]:
        return {"train": self.train, "validation": self.validation, "test": self.tests}[split]


def _sib200(split: str) -> tuple[str, ...]:
    return tuple(f"{each}{{language}}/{split}.tsv" for each in ("data/annotated/", "data/", ""))


def _kardes(form: str, task: str, kind: str) -> Official:
    tests, validation = (
        tuple(f"{each}{{name}}/{kind}.{split}.{{iso1}}.csv" for each in ("Data/", "")) for split in ("test", "dev")
    )
    return Official(form, task, "", tests, validation, home="https://github.com/lksenel/Kardes-NLU")


OFFICIAL: dict[str, Official] = {
    "xnli": Official(
        "xnli", "nli", "facebook/xnli",
        ("XNLI-1.0/xnli.test.tsv", "xnli.test.tsv", "{iso1}/test-*.parquet"),
        ("XNLI-1.0/xnli.dev.tsv", "xnli.dev.tsv", "{iso1}/validation-*.parquet"),
        ("XNLI-MT-1.0/multinli/multinli.train.{iso1}.tsv", "data/multinli.train.{iso1}.tsv",
         "multinli.train.{iso1}.tsv", "multinli.train.{iso1}.tsv.gz", "{iso1}/train-*.parquet"),
    ),
    "americasnli": Official(  # the files of one language in its repository have no head: those of all come first
        "xnli", "nli", "nala-cub/americas_nli",
        ("test.tsv", "data/anli_final/test/anli.test.tsv", "test/anli.test.tsv", "{iso3}/test-*.parquet"),
        ("dev.tsv", "data/anli_final/dev/anli.dev.tsv", "dev/anli.dev.tsv", "{iso3}/validation-*.parquet"),
    ),
    "kardes_nli": _kardes("kardes_nli", "nli", "xnli"),
    "kardes_sts": _kardes("kardes_sts", "similarity", "sts"),
    "kardes_copa": _kardes("kardes_copa", "choice", "xcopa"),
    "xcopa": Official(
        "xcopa", "choice", "cambridgeltl/xcopa",
        ("data/{iso1}/test.{iso1}.jsonl", "{iso1}/test.{iso1}.jsonl", "{iso1}/test-*.parquet"),
        ("data/{iso1}/val.{iso1}.jsonl", "{iso1}/val.{iso1}.jsonl", "{iso1}/validation-*.parquet"),
    ),
    "nusax": Official(
        "nusax", "mood", "indonlp/NusaX-senti@refs/convert/parquet",
        ("datasets/sentiment/{name}/test.csv", "sentiment/{name}/test.csv", "{name}/test.csv",
         "{iso3}/test/*.parquet"),
        ("datasets/sentiment/{name}/valid.csv", "sentiment/{name}/valid.csv", "{name}/valid.csv",
         "{iso3}/validation/*.parquet"),
        ("datasets/sentiment/{name}/train.csv", "sentiment/{name}/train.csv", "{name}/train.csv",
         "{iso3}/train/*.parquet"),
    ),
    "sib200": Official(
        "sib200", "topic", "Davlan/sib200", _sib200("test"), _sib200("dev"), _sib200("train")
    ),
    "afrisenti": Official(
        "afrisenti", "mood", "shmuhammad/AfriSenti-twitter-sentiment@refs/convert/parquet",
        ("data/{iso3}/test.tsv", "{iso3}/test.tsv", "{iso3}/test/*.parquet"),
        ("data/{iso3}/dev.tsv", "{iso3}/dev.tsv", "{iso3}/validation/*.parquet"),
        ("data/{iso3}/train.tsv", "{iso3}/train.tsv", "{iso3}/train/*.parquet"),
    ),
    "belebele": Official(
        "belebele", "reading", "facebook/belebele",
        ("{language}.jsonl", "Belebele/{language}.jsonl", "data/{language}.jsonl"),
    ),
    "xquad": Official(
        "xquad", "qa", "google/xquad", ("xquad.{iso1}.json", "xquad.{iso1}/validation-*.parquet"),
    ),
    "mkqa": Official(
        "mkqa", "qa", "", ("dataset/mkqa.jsonl.gz", "mkqa.jsonl.gz", "mkqa.jsonl"),
        home="https://github.com/apple/ml-mkqa",
    ),
    "flores": Official(
        "flores", "translation", "",
        ("devtest/{language}.devtest", "flores200_dataset/devtest/{language}.devtest"),
        ("dev/{language}.dev", "flores200_dataset/dev/{language}.dev"),
        home="https://dl.fbaipublicfiles.com/nllb/flores200_dataset.tar.gz",
    ),
    "xlsum": Official(  # on the hub, a language's training set is in several files
        "xlsum", "summary", "csebuetnlp/xlsum@refs/convert/parquet",
        ("{name}_test.jsonl", "XLSum_complete_v2.0/{name}_test.jsonl", "{name}/test/*.parquet"),
        ("{name}_val.jsonl", "XLSum_complete_v2.0/{name}_val.jsonl", "{name}/validation/*.parquet"),
        ("{name}_train.jsonl", "XLSum_complete_v2.0/{name}_train.jsonl"),
    ),
    "mgsm": Official(
        "mgsm", "maths", "juletxara/mgsm",
        ("mgsm_{iso1}.tsv", "mgsm/mgsm_{iso1}.tsv", "{iso1}/test-*.parquet"),
    ),
    "masakhaner": Official(  # 2.0, and what only 1.0 has
        "conll", "names", "masakhane/masakhaner2@refs/convert/parquet",
        ("MasakhaNER2.0/data/{iso3}/test.txt", "data/{iso3}/test.txt", "{iso3}/test.txt",
         "{iso3}/test/*.parquet"),
        ("MasakhaNER2.0/data/{iso3}/dev.txt", "data/{iso3}/dev.txt", "{iso3}/dev.txt",
         "{iso3}/validation/*.parquet"),
        ("MasakhaNER2.0/data/{iso3}/train.txt", "data/{iso3}/train.txt", "{iso3}/train.txt",
         "{iso3}/train/*.parquet"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Quirk:
    """What a reader of scores, or of files, must know about a benchmark in one language."""

    note: str = ""  # for the report
    nearest: str = ""  # what can stand in for it, where NLLB lacks it
    called: str = ""  # what its files call it, where that is no tag or name of ours


_CYRILLIC = "the file is in Cyrillic script; the encoder reads Uyghur in Arabic script"
_UYGHUR = {"uig_Arab": Quirk(_CYRILLIC), "ug": Quirk(_CYRILLIC)}  # by its code, or as a stand-in for itself
_PIDGIN = Quirk("NLLB lacks Nigerian Pidgin, an English-based creole", "eng_Latn")
# By benchmark, and by a language's code, or by the tag of one that the table of languages lacks.
QUIRKS: dict[str, dict[str, Quirk]] = {
    "belebele": {
        "arb_Latn": Quirk("the file is in Latin script; NLLB has Arabic in Arabic script alone", "arb_Arab"),
        "ben_Latn": Quirk("the file is in Latin script; NLLB has Bengali in Bengali script alone", "ben_Beng"),
        "hin_Latn": Quirk("the file is in Latin script; NLLB has Hindi in Devanagari alone", "hin_Deva"),
        "npi_Latn": Quirk("the file is in Latin script; NLLB has Nepali in Devanagari alone", "npi_Deva"),
        "sin_Latn": Quirk("the file is in Latin script; NLLB has Sinhala in Sinhala script alone", "sin_Sinh"),
        "urd_Latn": Quirk("the file is in Latin script; NLLB has Urdu in Arabic script alone", "urd_Arab"),
    },
    "nusax": {
        "bbc": Quirk("NLLB lacks Toba Batak, and its relatives; Indonesian is its source", "ind_Latn"),
        "mad": Quirk("NLLB lacks Madurese; Javanese is its neighbour", "jav_Latn"),
        "nij": Quirk("NLLB lacks Ngaju; Banjar is its neighbour", "bjn_Latn"),
    },
    "kardes_nli": _UYGHUR,
    "kardes_sts": _UYGHUR,
    "kardes_copa": _UYGHUR,
    "xcopa": {
        "quy_Latn": Quirk(
            "the file is in Eastern Apurímac Quechua, which NLLB lacks; it has Ayacucho Quechua, its neighbour"
        ),
    },
    "americasnli": {
        "ayr_Latn": Quirk(called="aym"),  # the tag of all Aymara
        "grn_Latn": Quirk(called="gn"),  # two letters among threes
        "bzd": Quirk("NLLB lacks Bribri, and its relatives; Spanish is its source", "spa_Latn"),
        "cni": Quirk("NLLB lacks Asháninka, and its relatives; Spanish is its source", "spa_Latn"),
        "hch": Quirk("NLLB lacks Wixárika, and its relatives; Spanish is its source", "spa_Latn"),
        "nah": Quirk("NLLB lacks Nahuatl, and its relatives; Spanish is its source", "spa_Latn"),
        "oto": Quirk("NLLB lacks Otomí, and its relatives; Spanish is its source", "spa_Latn"),
        "shp": Quirk("NLLB lacks Shipibo-Konibo, and its relatives; Spanish is its source", "spa_Latn"),
        "tar": Quirk("NLLB lacks Rarámuri, and its relatives; Spanish is its source", "spa_Latn"),
    },
    "afrisenti": {
        "swh_Latn": Quirk(called="swa"),  # the tag of all Swahili
        "gaz_Latn": Quirk(called="orm"),  # the tag of all Oromo
        "por_Latn": Quirk("the tweets are from Mozambique"),
        "arq": Quirk("NLLB lacks Algerian Arabic; Tunisian Arabic is its neighbour", "aeb_Arab"),
        "pcm": _PIDGIN,
    },
    "masakhaner": {
        "swh_Latn": Quirk(called="swa"),  # the tag of all Swahili
        "amh_Ethi": Quirk("the file is of MasakhaNER 1.0: 2.0 lacks Amharic"),
        "bbj": Quirk("NLLB lacks Ghomálá'; of its distant relatives, Lingala is the nearest by place", "lin_Latn"),
        "pcm": _PIDGIN,
    },
    "xlsum": {
        **{code: Quirk(called=name) for code, name in xlsum.NAMES.items()},
        "pcm": Quirk(_PIDGIN.note, _PIDGIN.nearest, "pidgin"),
        "srp_Latn": Quirk(
            "the file is in Latin script; NLLB has Serbian in Cyrillic script alone", "srp_Cyrl", "serbian_latin"
        ),
    },
}  # fmt: skip
# Of languages that the table has in several scripts, the one meant where a file's name tells none.
MEANT = ("ace_Latn", "arb_Arab", "bjn_Latn", "kaz_Cyrl", "min_Latn", "snd_Arab", "zho_Hans")
# On the hub, beside the languages: all in one, and machine translations of XCOPA's tests.
IGNORED = ("all_languages/*", "translation-*/*")


def named(name: str) -> Official:
    if name not in OFFICIAL:
        near = difflib.get_close_matches(name, OFFICIAL, n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise UserError(f"benchmarks: {name!r} is no benchmark{meant}; there are {', '.join(OFFICIAL)}")
    return OFFICIAL[name]


def folder(name: str, given: str = "", splits: Sequence[Split] = SPLITS) -> Path:
    """Where a benchmark is, for `find`. From the hub comes only what could be a file of these splits."""
    official, path = named(name), Path(given).expanduser()
    if given and (path.exists() or "{" in given):
        return path
    hub = official.hub if given in ("", official.hub.partition("@")[0]) else given
    if not hub:
        where = official.home
        raise UserError(f"benchmarks: {name}: the hub has no files of it: name a folder with those of {where}")
    dataset, _, revision = hub.partition("@")
    if dataset.startswith((".", "/", "~")) or dataset.count("/") > 1:
        raise UserError(f"benchmarks: {name}: {given}: there is no such file or folder here")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    some = dict.fromkeys(("language", "iso3", "iso1", "name"), "*")
    wanted = [each.format(**some) for split in splits for each in official.patterns(split)]
    try:
        there = Path(
            snapshot_download(
                dataset,
                repo_type="dataset",
                revision=revision or None,
                allow_patterns=wanted,
                ignore_patterns=list(IGNORED),
            )
        )
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise UserError(
            f"benchmarks: {name}: {hub}: no file or folder here, and the hub does not give it: {first_line(error)}"
        ) from None
    if not any(path for pattern in wanted for path in there.glob(pattern)):
        raise UserError(f"benchmarks: {name}: {hub}: holds none of {', '.join(wanted)}")
    return there


def find(name: str, place: Path, split: Split, language: Language) -> Path | None:
    """A language's file; None where there is none. Of a file of one language, only the user knows of which."""
    for pattern in _patterns(named(name), place, split):
        for path in _filled(name, pattern, language):
            files = sorted(path.parent.glob(path.name)) if "*" in path.name else [path]
            if len(files) > 1:
                raise UserError(f"benchmarks: {name}: {path}: is in {len(files)} files; name a folder with one")
            if files and files[0].is_file() and ("{" in pattern or _has(name, files[0], language)):
                return files[0]
    return None


def covered(name: str, place: Path, split: Split) -> list[Language]:
    """The languages that have a file, and those that something must stand in for: what does is the nearest."""
    known = {each.code for each in all_languages()}
    odd = [(tag, quirk.nearest) for tag, quirk in QUIRKS.get(name, {}).items() if tag not in known]
    every = [*all_languages(), *(resolve(f"{tag}->{nearest}") for tag, nearest in odd if nearest)]
    return [each for each in every if find(name, place, split, each)]


def notes(name: str, language: Language) -> str | None:
    """What to say beside a benchmark's scores in a language."""
    quirk = QUIRKS.get(name, {}).get(_tag(language), Quirk())
    stands_in = f"{language.code} stands in for {language.stands_in_for}" if language.stands_in_for else ""
    return "; ".join(filter(None, (quirk.note, stands_in))) or None


def _tag(language: Language) -> str:
    return language.stands_in_for or language.code


def _patterns(official: Official, place: Path, split: Split) -> list[str]:
    given = str(place)
    if "{split}" in given:
        return [given.replace("{split}", word) for word in WORDS[split]]
    if "{" in given or place.is_file():
        return [given] if split == "test" else []
    return [str(place / each) for each in official.patterns(split)]


def _filled(name: str, pattern: str, language: Language) -> Iterator[Path]:
    """The pattern's paths, by what the benchmark's files call the language, and by what it is called here."""
    known = formats.names(language)
    if not _plain(language):
        known |= dict.fromkeys(("iso3", "iso1", "name"), "")
    called = QUIRKS.get(name, {}).get(_tag(language), Quirk()).called
    for names in ([known | dict.fromkeys(("iso3", "iso1", "name"), called)] if called else []) + [known]:
        if all(value for each, value in names.items() if f"{{{each}}}" in pattern):
            yield formats.filled(pattern, names, language)


def _plain(language: Language) -> bool:
    """Whether a file whose name tells no script can be in this one's."""
    scripts = [each for each in all_languages() if each.iso3 == language.iso3]
    return bool(language.stands_in_for) or len(scripts) < 2 or language.code in MEANT


def _has(name: str, path: Path, language: Language) -> bool:
    """Whether a file that may have several languages has this one."""
    match named(name).format:
        case "mkqa":
            return mkqa.has(path, language)
        case "xnli":
            several = _languages(path)
            return not several or xnli.called(language) in several
        case _:
            return True


@cache
def _languages(path: Path) -> frozenset[str]:
    return xnli.languages(path)
