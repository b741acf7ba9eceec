"""Records from files and datasets, each with its origin, and only a few held at a time.

A file is told by its content: JSON array, JSON lines or Parquet; compressed or not.
"""

import contextlib
import functools
import hashlib
import io
import json
import lzma
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from xlnu.errors import UserError, first_line
from xlnu.store import Store
from xlnu.transfer.records import FORMS, Records, Reject, known_columns

BUFFER, PIECE, BATCH = 1 << 18, 1 << 16, 256  # bytes, characters and rows that are held
SPACE = re.compile(r"[ \t\r\n]*")
DATA_FILE = re.compile(r".+\.(json|jsonl|ndjson|parquet)(\.(gz|bz2|xz|zst))?", re.IGNORECASE)
PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}  # by what such a file begins with
XZ, PARQUET, BOM = b"\xfd7zXZ\x00", b"PAR1", b"\xef\xbb\xbf"
# What is cut off fails at its end, or before the rest of an escape or literal: \ud83d\ude00 is the longest.
CUT = 12
DECODER = json.JSONDecoder(parse_int=float)  # no number is text, and one of 5,000 digits is no int to Python


class Files:
    """A file, or all data files below a folder, here or on object storage."""

    def __init__(self, path: str) -> None:
        self.label = path
        if "://" in path:
            store = Store(path)
            self.fs, self.root, self.label = store.fs, store.root, store.label
        else:
            self.fs, self.root = fs.LocalFileSystem(), os.path.abspath(os.path.expanduser(path))
        with _told(self.label):
            found = self.fs.get_file_info(self.root)
            if found.type == fs.FileType.NotFound:
                raise UserError(f"{self.label}: no such file or folder; name one that holds instructions")
            self.folder = found.type == fs.FileType.Directory
            self.names = self._listed() if self.folder else [posixpath.basename(self.root)]
        if not self.names:
            raise UserError(f"{self.label}: no data file (.json, .jsonl, .ndjson, .parquet) is in this folder")

    def _listed(self) -> list[str]:
        found = self.fs.get_file_info(fs.FileSelector(self.root, recursive=True))
        names = (posixpath.relpath(each.path, self.root) for each in found if each.type == fs.FileType.File)
        # What is hidden is a tool's own: `hf download` keeps a .cache of JSON beside the data.
        return sorted(name for name in names if DATA_FILE.fullmatch(name) and "/." not in f"/{name}")

    def _place(self, name: str) -> tuple[str, str]:
        """A file for the file system, and for messages."""
        if not self.folder:
            return self.root, self.label
        return posixpath.join(self.root, name), posixpath.join(self.label, name)

    def content(self) -> str:
        return _hash(self.fs, map(self._place, self.names))

    def read(self) -> Records:
        for name in self.names:
            path, place = self._place(name)
            with _told(place):
                yield from self._read(path, place, name)

    def _read(self, path: str, place: str, name: str) -> Records:
        stream = io.BufferedReader(self.fs.open_input_stream(path, compression=None), BUFFER)
        head = stream.peek(1)
        if head.startswith(PARQUET) or name.lower().endswith(".parquet"):
            # Else a whole row group is held: of 100,000 rows of 1 KB, 67 MB and not 9.
            parquet = pq.ParquetFile(self.fs.open_input_file(path), buffer_size=BUFFER, pre_buffer=False)
            columns = known_columns(parquet.schema_arrow.names, place)
            yield from _rows_of(parquet.iter_batches(BATCH, columns=columns, use_threads=False), name)
            return
        packed = next((how for begin, how in PACKED.items() if head.startswith(begin)), None)
        if packed:
            stream = io.BufferedReader(self.fs.open_input_stream(path, compression=packed), BUFFER)
        elif head.startswith(XZ):  # which Arrow does not know
            stream = io.BufferedReader(lzma.LZMAFile(stream), BUFFER)  # noqa: SIM115
        head = stream.peek(1)
        if b"\0" in head[:4096]:
            raise UserError(f"{place}: is neither UTF-8 text nor Parquet; {FORMS}")
        array = head.removeprefix(BOM).lstrip().startswith(b"[")
        # Bytes that are not UTF-8 become lone surrogates, and cost only the record that they are in.
        text = io.TextIOWrapper(stream, "utf-8-sig", "surrogateescape", newline="\n")
        last = 0
        for line, column, value in Array(text, place) if array else _lines(text):
            yield f"{name}:{line}" if line != last else f"{name}:{line}:{column}", value
            last = line


@contextlib.contextmanager
def _told(place: str, *kinds: type[Exception]) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except (pa.ArrowException, OSError, EOFError, lzma.LZMAError, UnicodeError, *kinds) as error:
        number = getattr(error, "errno", None)
        why = os.strerror(number) if number else first_line(error)
        raise UserError(f"{place}: cannot be read: {why}; give what is whole and may be read") from None


def _hash(where: fs.FileSystem, files: Iterable[tuple[str, str]]) -> str:
    """Of the bytes in the files, each with its name for messages; never of names or times."""
    whole = hashlib.sha256()
    for path, place in files:
        with _told(place), where.open_input_stream(path, compression=None) as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def _lines(text: TextIO) -> Iterator[tuple[int, int, Any]]:
    for number, line in enumerate(text, 1):
        if line.strip():
            try:
                yield number, 1, DECODER.decode(line)
            except (ValueError, RecursionError):
                yield number, 1, Reject("not JSON")


class Array:
    """The values of a JSON array with the lines and columns where they begin, one held at a time."""

    def __init__(self, text: TextIO, place: str) -> None:
        self.text, self.place = text, place
        self.held, self.at = "", 0  # a piece of the text, and where in it we are
        self.line = self.column = 1

    def __iter__(self) -> Iterator[tuple[int, int, Any]]:
        self._next()
        self._pass(1)
        after = self._next()
        while after != "]":
            line, column = self.line, self.column
            yield line, column, self._value()
            after = self._next()
            if after == ",":
                self._pass(1)
                self._next()
            elif after != "]":
                raise self._wrong("Expecting ',' or ']'" if after else "the file ends before its array does")
        self._pass(1)
        if self._next():
            raise self._wrong("something follows the array")

    def _next(self) -> str:
        """Go to the next character that is no space; empty at the end of the text."""
        while True:
            self._pass(len(SPACE.match(self.held, self.at)[0]))  # type: ignore[index]
            if self.at < len(self.held) or not self._more():
                return self.held[self.at : self.at + 1]

    def _value(self) -> Any:
        while True:
            try:
                value, end = DECODER.raw_decode(self.held, self.at)
            except RecursionError:
                raise self._wrong("nested too deeply") from None
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string") or len(self.held) - error.pos < CUT
                if not (cut and self._more()):
                    self._pass(error.pos - self.at)
                    raise self._wrong(error.msg) from None
            else:
                if len(self.held) - end >= CUT or not self._more():  # else what follows 1.5 may be e-300
                    self._pass(end - self.at)
                    return value

    def _more(self) -> bool:
        """As much again as is held, so that a long record is not read anew for each of many chunks."""
        more = self.text.read(max(PIECE, len(self.held) - self.at))
        if more:
            self.held, self.at = self.held[self.at :] + more, 0
        return bool(more)

    def _pass(self, characters: int) -> None:
        end = self.at + characters
        lines = self.held.count("\n", self.at, end)
        self.line += lines
        self.column = end - self.held.rindex("\n", self.at, end) if lines else self.column + characters
        self.at = end

    def _wrong(self, why: str) -> UserError:
        where = f"{self.place}:{self.line}:{self.column}"
        return UserError(f"{where}: not JSON: {why}; mend it, or give JSON lines, where only a bad line is lost")


def _rows_of(batches: Iterable[Any], name: str) -> Records:
    apart = (value for batch in batches for value in _values(batch))
    for number, value in enumerate(apart, 1):
        yield f"{name}:{number}", value


def _values(batch: Any) -> list[Any]:
    try:
        return list(batch.to_pylist())
    except UnicodeDecodeError:
        if batch.num_rows == 1:
            return [Reject("not valid Unicode")]
        return [value for row in range(batch.num_rows) for value in _values(batch.slice(row, 1))]


def is_saved(path: str) -> bool:
    folder = Path(path).expanduser()
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def saved(path: str, split: str) -> tuple[dict[str, str], Callable[[], Records]]:
    """What `save_to_disk` has left: a dataset, or one for each split."""
    part = folder = Path(path).expanduser()
    place = path
    if (folder / "dataset_dict.json").is_file():
        part, place = folder / split, f"{path}/{split}"
        if not (part / "state.json").is_file():
            there = ", ".join(sorted(each.parent.name for each in folder.glob("*/state.json")))
            raise UserError(f"{path}: has no split {split}; give one of its splits: {there}")
    files = ((str(file), str(file)) for file in sorted(part.glob("*.arrow")))

    def load() -> Any:
        from datasets import load_from_disk

        return load_from_disk(str(part))

    return {"content": _hash(fs.LocalFileSystem(), files)}, functools.partial(of_dataset, load, place, part.name)


def is_on_hub(path: str) -> bool:
    here = path.startswith((".", "/", "~")) or DATA_FILE.fullmatch(path) or Path(path).exists()
    return not here and path.count("/") < 2


def on_hub(name: str, split: str) -> tuple[dict[str, str], Callable[[], Records]]:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        revision = str(HfApi().dataset_info(name, timeout=30).sha)
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        why = f"no file or folder here, and the hub does not give it: {first_line(error)}"
        raise UserError(f"{name}: {why}; mend the name, or give a file or folder") from None

    def load() -> Any:
        from datasets import load_dataset

        return load_dataset(name, split=split, revision=revision)

    content = {"name": name, "split": split, "revision": revision}
    return content, functools.partial(of_dataset, load, f"{name} on the hub", f"{name}/{split}")


def of_dataset(load: Callable[[], Any], place: str, name: str) -> Records:
    from datasets.exceptions import DatasetsError

    # A split or a choice of several that is not there: ValueError. A dataset that is a program: RuntimeError.
    with _told(place, DatasetsError, ValueError, RuntimeError):
        dataset = load()
        columns = known_columns(dataset.column_names, place)
        yield from _rows_of(dataset.select_columns(columns).with_format("arrow").iter(BATCH), name)
