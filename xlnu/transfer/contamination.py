"""The check that no benchmark's text is in training data: FLORES, and Belebele and SIB-200, which are FLORES text.

A text shares a benchmark's text when it has 13 words in a row of any line of it, or the whole of a shorter line of
at least 5 words. 13 is what GPT-3 and the lm-evaluation-harness compare by. The 8 of PaLM and Tülu 3 needs a
threshold on top, on how much of a document matches: 8 words alone are also a turn of phrase.

Words are compared in lower case, without accents, punctuation and what cannot be seen. Where spaces do not set
words apart, letters are compared: as many as stand for 13 English words in FLORES. Numbers are compared but do not
count as words: that two texts both hold 1 to 20 says nothing.
"""

import csv
import gzip
import hashlib
import io
import json
import lzma
import re
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xlnu.errors import UserError, first_line

CUSTOMARY = 13
SHORTEST = 5  # words: a shorter line ("All of the above.") could be anyone's

# Letters for one English word, over FLORES-200 devtest: Chinese 1.7, Japanese 2.4; Burmese 3.1, Tibetan 3.3,
# Khmer 3.9, Thai and Lao 4.3. So a letter of the first weighs half a word, one of the others a quarter.
WORD, IDEOGRAM, LETTER, NUMBER = 4, 2, 1, 0
_IDEOGRAMS = "\u3041-\u30ff\u31f0-\u31ff\u3400-\u9fff\U00020000-\U0003ffff"
_LETTERS = "\u0e00-\u109f\u1780-\u17ff\ua9e0-\ua9ff\uaa60-\uaa7f"  # Thai, Lao, Tibetan, Myanmar; Khmer; Myanmar
_WITHOUT_SPACES = re.compile(f"[{_IDEOGRAMS}]|([{_LETTERS}])")

# What lies beside the text in folders and archives. A licence is in many an honest text.
_ASIDE = re.compile(r"\..*|.*\.md|readme.*|licen[cs]e.*", re.IGNORECASE)

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Benchmarks:
    """The hashes of all runs of n words and of all shorter lines. It pickles, to be sent to workers."""

    n: int
    names: tuple[str, ...]  # of the files
    fingerprint: str
    runs: Hashes = field(repr=False)  # sorted
    files: NDArray[np.unsignedinteger[Any]] = field(repr=False)  # for each run, the place of its file in names
    heads: Hashes = field(repr=False)  # sorted: the first 5 words of the shorter lines, to look no further without

    @staticmethod
    def read(paths: Sequence[str], n: int = CUSTOMARY) -> "Benchmarks":
        names: list[str] = []
        runs, files, heads = [], [], []
        for name, lines in texts(paths):
            words = _Words(lines)
            starts, weights = words.lines()
            short = (weights >= SHORTEST * WORD) & (weights < n * WORD)
            starts, weights = starts[short], weights[short]
            everywhere = np.arange(words.count)
            runs.append(np.unique(np.concatenate([words.runs(everywhere, n * WORD), words.runs(starts, weights)])))
            files.append(np.full(len(runs[-1]), len(names)))
            heads.append(words.runs(starts, SHORTEST * WORD))
            names.append(name)
        every, first = np.unique(np.concatenate(runs), return_index=True)
        if not len(every):
            raise UserError(f"{', '.join(paths)}: no line has {SHORTEST} words; name files of a benchmark's text")
        return Benchmarks(
            n=n,
            names=tuple(names),
            fingerprint=fingerprint(paths),
            runs=every,
            files=np.concatenate(files)[first].astype(np.min_scalar_type(len(names))),
            heads=np.unique(np.concatenate(heads)),
        )

    def found_in(self, text: str) -> str | None:
        """The name of a benchmark file whose text the text shares."""
        words = _Words([text])
        everywhere = np.arange(words.count)
        found = self._file(words.runs(everywhere, self.n * WORD))
        if found is None:
            # runs() leaves out what the text is too short for, and that is its end: the rest keeps its places.
            begun = np.flatnonzero(_is_in(words.runs(everywhere, SHORTEST * WORD), self.heads))
            if len(begun):
                weights = np.arange(SHORTEST * WORD, self.n * WORD)
                found = self._file(words.runs(np.repeat(begun, len(weights)), np.tile(weights, len(begun))))
        return found

    def _file(self, runs: Hashes) -> str | None:
        known = np.flatnonzero(_is_in(runs, self.runs))
        return self.names[self.files[np.searchsorted(self.runs, runs[known[0]])]] if len(known) else None


def fingerprint(paths: Sequence[str]) -> str:
    """What the result of a check depends on, for 0.1 s where Benchmarks.read() takes 15."""
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        for name, data in _files(path):
            digest.update(json.dumps([name, len(data)]).encode())
            digest.update(data)
    return digest.hexdigest()


class _Words:
    """The words of some lines, and a hash for any run of them at the cost of a subtraction.

    The hash is a polynomial in the words' own hashes, modulo 2**64; no run goes over the end of a line.
    """

    BASE = 0x9E3779B97F4A7C15  # any odd number that is not near a power of two

    def __init__(self, lines: Iterable[str]) -> None:
        split = [_fold(line).split() for line in lines]
        words = [_word(word) for line in split for word in line]
        self.count = len(words)
        counts = np.array([len(line) for line in split if line], dtype=np.int64)
        self._ends = np.cumsum(counts)
        self._starts = self._ends - counts
        self._end = np.repeat(self._ends, counts)  # for each word, where its line ends
        self._weight = np.concatenate([[0], np.cumsum(np.array([w for _, w in words], dtype=np.int64))])
        hashes = np.array([h for h, _ in words], dtype=np.uint64)
        zero = np.zeros(1, dtype=np.uint64)
        self._sum = np.concatenate([zero, np.cumsum(hashes * _powers(self.BASE, self.count), dtype=np.uint64)])
        self._shift = _powers(pow(self.BASE, -1, 1 << 64), self.count)

    def lines(self) -> tuple[Places, Places]:
        """Where each line's first word is that is no number, and the weight of the line."""
        before = self._weight[self._starts]
        starts = np.minimum(np.searchsorted(self._weight, before, side="right") - 1, self._ends - 1)
        return starts, self._weight[self._ends] - before

    def runs(self, starts: Places, weights: Places | int) -> Hashes:
        """The hash of the shortest run from each start that has the weight, where its line goes so far."""
        ends = np.searchsorted(self._weight, self._weight[starts] + weights)
        within = ends <= self._end[starts]
        starts, ends = starts[within], ends[within]
        result: Hashes = (self._sum[ends] - self._sum[starts]) * self._shift[starts]
        return result


def _is_in(some: Hashes, every: Hashes) -> NDArray[np.bool_]:
    """np.isin sorts both, which takes a second here: `every` is sorted."""
    if not len(every):
        return np.zeros(len(some), dtype=np.bool_)
    result: NDArray[np.bool_] = every[np.minimum(np.searchsorted(every, some), len(every) - 1)] == some
    return result


def _powers(base: int, count: int) -> Hashes:
    powers = np.full(count, base, dtype=np.uint64)
    powers[:1] = 1
    return np.cumprod(powers, dtype=np.uint64)


@lru_cache(maxsize=1 << 17)
def _word(word: str) -> tuple[int, int]:
    """The hash of a word and its weight. Not Python's hash(): that one differs from process to process."""
    if word.isdecimal():
        weight = NUMBER
    elif alone := _WITHOUT_SPACES.match(word):
        weight = LETTER if alone[1] else IDEOGRAM
    else:
        weight = WORD * (len(word) // 5 if len(word) > 20 else 1)  # FLORES has lines that have lost all spaces
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little"), weight


class _Folding(dict[int, str]):
    """What becomes of a character once decomposed: a letter stays, an accent goes, anything else is a space."""

    def __missing__(self, code: int) -> str:
        character, kind = chr(code), unicodedata.category(chr(code))
        if kind[0] == "M" or kind == "Cf":  # Cf: zero-width spaces and joiners, which some write and some do not
            kept = ""
        elif kind[0] not in "LN":
            kept = " "
        else:
            kept = f" {character} " if _WITHOUT_SPACES.match(character) else character
        self[code] = kept
        return kept


# Turkish has an i without a dot, whose capital is I. An apostrophe that is a letter is often typed as ours.
_FOLDING = _Folding({ord("ı"): "i", **dict.fromkeys(range(0x2B9, 0x2C0), " ")})


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold()).translate(_FOLDING)


def _files(path: str) -> Iterator[tuple[str, bytes]]:
    """The files of a path with names that do not depend on where the path lies."""
    top = Path(path).expanduser().absolute()
    inside = sorted(p for p in top.rglob("*") if p.is_file() and not _ASIDE.fullmatch(p.name))
    if top.is_dir() and not inside:
        raise UserError(f"{path}: a folder of benchmarks with no file in it; name the one that holds their text")
    for file in inside if top.is_dir() else [top]:
        try:
            data = file.read_bytes()
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}; name a file or a folder") from None
        yield file.relative_to(top.parent).as_posix(), data


def texts(paths: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The files that hold text, those in archives also, with their lines."""
    for path in paths:
        waiting = list(_files(path))[::-1]
        while waiting:
            name, data = waiting.pop()
            try:
                members = _members(name, data)
                if members is None:
                    yield name, _lines(name, data)
                else:
                    waiting += [(f"{name}/{m}", d) for m, d in members if not _ASIDE.fullmatch(Path(m).name)][::-1]
            except (
                OSError, EOFError, ValueError, csv.Error, lzma.LZMAError, zlib.error,
                tarfile.TarError, zipfile.BadZipFile, pa.ArrowException,
            ) as error:  # fmt: skip
                reason = first_line(error)
                raise UserError(
                    f"{path}: {name} cannot be read as a benchmark: {reason}; "
                    "give UTF-8 text, TSV, CSV, JSON, JSON lines, Parquet, or a tar or zip archive of them"
                ) from None


def _members(name: str, data: bytes) -> list[tuple[str, bytes]] | None:
    """What an archive holds; None for a file that is none."""
    kind = name.lower()
    if re.search(r"\.(tar|tgz|tar\.\w+)$", kind):
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            return [(m.name, f.read()) for m in archive if m.isfile() and (f := archive.extractfile(m))]
    if kind.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(data)) as pack:
            return [(m, pack.read(m)) for m in pack.namelist() if not m.endswith("/")]
    if kind.endswith(".gz"):
        return [(Path(name).stem, gzip.decompress(data))]
    return None


def _lines(name: str, data: bytes) -> list[str]:
    kind = Path(name).suffix.lower()
    if kind == ".parquet":
        return list(_strings(pq.read_table(io.BytesIO(data)).to_pylist()))
    text = data.decode("utf-8-sig")
    if kind == ".json":
        return list(_strings(json.loads(text)))
    if kind == ".jsonl":
        return list(_strings([json.loads(line) for line in text.split("\n") if line.strip()]))
    if kind == ".csv":
        return [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    return text.replace("\t", "\n").split("\n") if kind == ".tsv" else text.split("\n")


def _strings(value: Any) -> Iterator[str]:
    """Every text in it, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)
