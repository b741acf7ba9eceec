"""Instructions from files of every common form, as rows. What is malformed is a row too, with the reason.

A record is told by its keys. {"messages"} or {"conversations"} is a chat. {"instruction"} or {"prompt"} stands with
"input" (Dolly: "context") and "output", "completion" or "response". "instances", as in the seed tasks of
self-instruct, are a row each. A file is told by its content: JSON array, JSON lines or Parquet; compressed or not.

Texts stay as they are, but for \\r\\n, which becomes \\n. The inputs "<no input>", "No input", "noinput" and
"<noinput>" of Alpaca's file are none, and blank ones too. null is nothing, and so is NaN, which pandas writes.
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
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TextIO

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from xlnu.config import REQUIRED, setting
from xlnu.errors import UserError
from xlnu.rows import row_id
from xlnu.store import Store

Row = dict[str, Any]
Records = Iterator[tuple[str, Any]]  # each with its origin

BUFFER, PIECE, BATCH = 1 << 18, 1 << 16, 256  # bytes, characters and rows that are held
INSTRUCTION, INPUT, OUTPUT = ("instruction", "prompt"), ("input", "context"), ("output", "completion", "response")
TOLD_BY = ("messages", "conversations", *INSTRUCTION)
COLUMNS = (*TOLD_BY, *INPUT, *OUTPUT, "instances", "system")
ROLES = {
    role: meant
    for meant, roles in {
        "system": ("system", "developer"),
        "user": ("user", "human"),
        "assistant": ("assistant", "gpt", "chatgpt", "model"),
    }.items()
    for role in roles
}
NO_INPUT = re.compile(r"\s*(<?no ?input>?\s*)?", re.IGNORECASE)
SPACE = re.compile(r"[ \t\r\n]*")
FORMS = "give Alpaca (instruction, input, output), chats (messages or conversations) or prompt and completion"
DATA_FILE = re.compile(r".+\.(json|jsonl|ndjson|parquet)(\.(gz|bz2|xz|zst))?", re.IGNORECASE)
PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}  # by what such a file begins with
XZ, PARQUET, BOM = b"\xfd7zXZ\x00", b"PAR1", b"\xef\xbb\xbf"
# What is cut off fails at its end, or before the rest of an escape or literal: \ud83d\ude00 is the longest.
CUT = 12
DECODER = json.JSONDecoder(parse_int=float)  # no number is text, and one of 5,000 digits is no int to Python


@dataclass
class SourceConfig:
    """The instructions that a transfer set is made of."""

    path: str = setting(
        REQUIRED,
        'where the instructions are: a file or folder of Alpaca JSON or JSONL, chat JSONL ("messages"), Parquet, a '
        "Hugging Face dataset saved on disk, or the name of one on the hub",
    )
    split: str = setting("train", "of a Hugging Face dataset")
    turns: Literal["single", "first"] = setting(
        "single", "chats with more than one exchange: reject them (single), or keep the first exchange"
    )
    at_most: int = setting(0, "only the first n records; 0: all", at_least=0)


class _Reject(Exception):
    """Why a record is no instruction, in few words that many share."""


@dataclass(frozen=True)
class Source:
    label: str  # for messages
    turns: Literal["single", "first"]
    at_most: int
    content: dict[str, str]
    read: Callable[[], Records]

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What the step's address depends on."""
        return {**self.content, "turns": self.turns, "at_most": self.at_most}

    def records(self) -> Iterator[Row]:
        """All rows, in order, and again at each call. Only the ids of the good ones are held."""
        seen = set[bytes]()
        first, known = "", False
        apart = (one for origin, record in self.read() for one in _apart(origin, record))
        for origin, record in islice(apart, self.at_most or None):
            known = known or (isinstance(record, dict) and not record.keys().isdisjoint(TOLD_BY))
            row = _row(origin, record, self.turns)
            if not row["reject"]:
                key = bytes.fromhex(row["id"])
                if key in seen:
                    row |= _rejected(origin, "duplicate")
                seen.add(key)
            first = first or f"{origin}: {row['reject']}{_keys(record)}"
            yield row
        if not first:
            raise UserError(f"{self.label}: holds no record; {FORMS}")
        if not known:
            raise UserError(f"{self.label}: no record in it is an instruction ({first}); {FORMS}")


def open_source(config: SourceConfig) -> Source:
    """The source that the settings name. What can be read is looked at, so that most mistakes are found at once."""
    if not config.path.strip():
        raise UserError(f"{config.path!r} is no name of a file, folder or dataset that holds instructions")
    label, folder = config.path, Path(config.path).expanduser()
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        content, read = _saved(folder, config)
    elif _is_on_hub(config.path):
        content, read = _on_hub(config)
    else:
        files = _Files(config.path)
        label, content, read = files.label, {"content": files.content()}, files.read
    source = Source(label, config.turns, config.at_most, content, read)
    if "content" in content:  # what is on the hub is not loaded for a plan
        next(source.records())
    return source


def _keys(record: Any) -> str:
    return f"; its keys are {', '.join(map(repr, record))[:200]}" if isinstance(record, dict) else ""


# ---------------------------------------------------------------------------------------------- records


def _apart(origin: str, record: Any) -> Records:
    """The instances of one instruction as records of their own."""
    instances = record.get("instances") if isinstance(record, dict) else None
    if not isinstance(instances, list):
        yield origin, record
        return
    for number, instance in enumerate(instances or [None], 1):
        one = record | instance if isinstance(instance, dict) else _Reject("no instance")
        yield origin if len(instances) < 2 else f"{origin}#{number}", one


def _row(origin: str, record: Any, turns: str) -> Row:
    try:
        system, instruction, about, output = _texts(record, turns)
    except _Reject as reject:
        nothing = {"system": None, "instruction": "", "input": "", "output": None}
        return _rejected(origin, str(reject)) | nothing
    return {
        "id": row_id(instruction, about, *([system] if system else [])),
        "reject": None,
        "origin": origin,
        "system": system or None,
        "instruction": instruction,
        "input": about,
        "output": output,
    }


def _rejected(origin: str, reason: str) -> Row:
    return {"id": row_id("rejected", origin), "reject": reason, "origin": origin}


def _texts(record: Any, turns: str) -> tuple[str | None, str, str, str | None]:
    if isinstance(record, _Reject):
        raise record
    if not isinstance(record, dict):
        raise _Reject("not an object")
    system, about = _text(_first(record, ("system",)), "system"), ""
    chat = _first(record, ("messages", "conversations"))
    if chat is not None:
        said, instruction, output = _exchange(chat, turns)
        system = said or system
    else:
        instruction = _text(_first(record, INSTRUCTION), "instruction")
        about = _text(_first(record, INPUT), "input") or ""
        output = _text(_first(record, OUTPUT), "output")
    if not instruction or not instruction.strip():
        raise _Reject("no instruction")
    together = "".join([system or "", instruction, about, output or ""])
    if "\0" in together:
        raise _Reject("holds NUL")
    try:
        together.encode()
    except UnicodeEncodeError:  # half a pair of surrogates, or bytes that are not UTF-8
        raise _Reject("not valid Unicode") from None
    return system, instruction, "" if NO_INPUT.fullmatch(about) else about, output


def _first(record: Row, keys: Iterable[str]) -> Any:
    found = (record[key] for key in keys if record.get(key) is not None)
    return next((value for value in found if value == value), None)  # NaN alone is not itself


def _text(value: Any, name: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise _Reject(f"{name} is not text")
    return value and value.replace("\r\n", "\n")


def _exchange(chat: Any, turns: str) -> tuple[str, str | None, str | None]:
    """The system message of a chat, and its first exchange."""
    if not isinstance(chat, list) or not all(isinstance(message, dict) for message in chat):
        raise _Reject("not a chat")
    roles = [ROLES.get(str(_first(message, ("role", "from")))) for message in chat]
    if None in roles:
        raise _Reject("unknown role")
    if "user" not in roles:
        raise _Reject("no user turn")
    start = next(place for place, role in enumerate(roles) if role != "system")
    user, *answers = roles[start : start + 2]
    if user != "user":
        raise _Reject("answer before the user turn")
    if answers not in ([], ["assistant"]):
        raise _Reject("user turn without an answer")
    if turns == "single" and len(roles) > start + 2:
        raise _Reject("more than one exchange")
    system = "\n".join(_content(message, "system") or "" for message in chat[:start])
    output = _content(chat[start + 1], "output") if answers else None
    return system, _content(chat[start], "instruction"), output


def _content(message: Row, name: str) -> str | None:
    value = _first(message, ("content", "value"))
    if isinstance(value, list):
        if not all(isinstance(part, dict) and part.get("type") == "text" for part in value):
            raise _Reject("not only text")
        value = "".join(_text(part.get("text"), name) or "" for part in value)
    return _text(value, name)


# ------------------------------------------------------------------------------------------------ files


class _Files:
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
            columns = _known(parquet.schema_arrow.names, place)
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
        for line, column, value in _Array(text, place) if array else _lines(text):
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
        why = os.strerror(number) if number else _line(error)
        raise UserError(f"{place}: cannot be read: {why}; give what is whole and may be read") from None


def _hash(where: fs.FileSystem, files: Iterable[tuple[str, str]]) -> str:
    """Of the bytes in the files, each with its name for messages; never of names or times."""
    whole = hashlib.sha256()
    for path, place in files:
        with _told(place), where.open_input_stream(path, compression=None) as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _lines(text: TextIO) -> Iterator[tuple[int, int, Any]]:
    for number, line in enumerate(text, 1):
        if line.strip():
            try:
                yield number, 1, DECODER.decode(line)
            except (ValueError, RecursionError):
                yield number, 1, _Reject("not JSON")


# -------------------------------------------------------------------------------------------- JSON arrays


class _Array:
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


# ------------------------------------------------------------------------------------- Parquet and datasets


def _known(columns: Iterable[str], place: str) -> list[str]:
    known = [name for name in columns if name in COLUMNS]
    if not set(known) & set(TOLD_BY):
        raise UserError(f"{place}: none of its columns holds instructions ({', '.join(columns)}); {FORMS}")
    return known


def _rows_of(batches: Iterable[Any], name: str) -> Records:
    apart = (value for batch in batches for value in _values(batch))
    for number, value in enumerate(apart, 1):
        yield f"{name}:{number}", value


def _values(batch: Any) -> list[Any]:
    try:
        return list(batch.to_pylist())
    except UnicodeDecodeError:
        if batch.num_rows == 1:
            return [_Reject("not valid Unicode")]
        return [value for row in range(batch.num_rows) for value in _values(batch.slice(row, 1))]


def _saved(folder: Path, config: SourceConfig) -> tuple[dict[str, str], Callable[[], Records]]:
    """What `save_to_disk` has left: a dataset, or one for each split."""
    whole, part, place = folder / "dataset_dict.json", folder, config.path
    if whole.is_file():
        part, place = folder / config.split, f"{config.path}/{config.split}"
        if not (part / "state.json").is_file():
            there = ", ".join(sorted(each.parent.name for each in folder.glob("*/state.json")))
            raise UserError(f"{config.path}: has no split {config.split}; give one of its splits: {there}")
    files = ((str(file), str(file)) for file in sorted(part.glob("*.arrow")))

    def load() -> Any:
        from datasets import load_from_disk

        return load_from_disk(str(part))

    return {"content": _hash(fs.LocalFileSystem(), files)}, functools.partial(_dataset, load, place, part.name)


def _is_on_hub(path: str) -> bool:
    here = path.startswith((".", "/", "~")) or DATA_FILE.fullmatch(path) or Path(path).exists()
    return not here and path.count("/") < 2


def _on_hub(config: SourceConfig) -> tuple[dict[str, str], Callable[[], Records]]:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    name, split = config.path, config.split
    try:
        revision = str(HfApi().dataset_info(name, timeout=30).sha)
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        why = f"no file or folder here, and the hub does not give it: {_line(error)}"
        raise UserError(f"{name}: {why}; mend the name, or give a file or folder") from None

    def load() -> Any:
        from datasets import load_dataset

        return load_dataset(name, split=split, revision=revision)

    content = {"name": name, "split": split, "revision": revision}
    return content, functools.partial(_dataset, load, f"{name} on the hub", f"{name}/{split}")


def _dataset(load: Callable[[], Any], place: str, name: str) -> Records:
    from datasets.exceptions import DatasetsError

    # A split or a choice of several that is not there: ValueError. A dataset that is a program: RuntimeError.
    with _told(place, DatasetsError, ValueError, RuntimeError):
        dataset = load()
        columns = _known(dataset.column_names, place)
        yield from _rows_of(dataset.select_columns(columns).with_format("arrow").iter(BATCH), name)
