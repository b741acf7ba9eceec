"""Rows of tables, JSON and Parquet, each with the place where it stands. A damaged row stops the reading."""

import csv
import gzip
import io
import json
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlnu.errors import UserError, first_line


@dataclass(frozen=True)
class Row:
    number: int  # of the file's rows, from 1
    origin: str
    fields: dict[str, Any]

    def wrong(self, why: str) -> UserError:
        return UserError(f"{self.origin}: {why}")

    def value(self, name: str) -> Any:
        if self.fields.get(name) is None:
            there = ", ".join(each for each, value in self.fields.items() if value is not None)
            raise self.wrong(f"{name} is missing; there are {there or 'no fields'}")
        return self.fields[name]

    def text(self, name: str) -> str:
        value = self.value(name)
        if not isinstance(value, str):
            raise self.wrong(f"{name} must be text, and is {_shown(value)}")
        return value.strip()

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.value(name)
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.wrong(f"{name} must be a list of texts, and is {_shown(value)}")
        return tuple(each.strip() for each in value)

    def record(self, name: str) -> "Row":
        """A row inside this one."""
        return self._inside(self.value(name), name)

    def records(self, name: str) -> "list[Row]":
        value = self.value(name)
        if not isinstance(value, list):
            raise self.wrong(f"{name} must be a list, and is {_shown(value)}")
        return [self._inside(each, f"{name} {number}") for number, each in enumerate(value, 1)]

    def _inside(self, value: Any, place: str) -> "Row":
        if not isinstance(value, dict):
            raise self.wrong(f"{place} must be an object with fields, and is {_shown(value)}")
        return Row(self.number, f"{self.origin}, {place}", value)

    def name(self, name: str) -> str:
        """Text, or a whole number, which is the same in a table: an id, or a label that is a class."""
        value = self.value(name)
        text = value.strip() if isinstance(value, str) else str(value)
        if not text or isinstance(value, bool) or not isinstance(value, str | int):
            raise self.wrong(f"{name} must be text or a whole number, and is {_shown(value)}")
        return text

    def one_of(self, name: str, known: dict[str, str]) -> str:
        """What a text, or the number of a class, stands for."""
        text = self.name(name)
        if text not in known:
            raise self.wrong(f"{name} must be one of {', '.join(known)}, and is {_shown(self.value(name))}")
        return known[text]

    def real(self, name: str) -> float:
        try:
            value = float(self.value(name))
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            raise self.wrong(f"{name} must be a number, and is {self.value(name)!r}")
        return value

    def number_of(self, name: str, first: int, last: int) -> int:
        text = self.name(name)
        if text not in map(str, range(first, last + 1)):
            raise self.wrong(f"{name} must be a number from {first} to {last}, and is {_shown(self.value(name))}")
        return int(text)


def lines(path: Path) -> Iterator[str]:
    """Read at once, so that no file is left open where a row is refused; decoded one by one, to name a bad one."""
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read: {first_line(error)}") from None
    for number, line in enumerate(io.BytesIO(data), 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise UserError(f"{path}, line {number}: is not UTF-8") from None


def rows(path: Path, otherwise: Callable[[Path], Iterator[Row]]) -> Iterator[Row]:
    """Of Parquet and JSON lines, as the hub has them, by the name's ending; or of a format's own files."""
    ending = Path(path.name.removesuffix(".gz")).suffix
    return {".parquet": parquet, ".jsonl": json_lines}.get(ending, otherwise)(path)


def table(path: Path, delimiter: str, *, quoted: bool = True, head: Sequence[str] | None = None) -> Iterator[Row]:
    """A table whose first line names the columns, unless `head` does. Not quoted: a quotation mark is a letter."""
    cells = _cells(path, delimiter) if quoted else _bare_cells(path, delimiter)
    if head is None:
        _, head = next(cells, (1, []))
    for number, (line, row) in enumerate(cells, 1):
        origin = f"{path}, line {line}"
        if len(row) != len(head):
            raise UserError(f"{origin}: has {len(row)} columns, and must have {len(head)}: {', '.join(head)}")
        yield Row(number, origin, dict(zip(head, row, strict=True)))


def _cells(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows, each with the line it begins in: in quotation marks, cells may have line breaks."""
    reader, last = csv.reader(lines(path), delimiter=delimiter, strict=True), 0
    try:
        for row in reader:
            yield last + 1, row
            last = reader.line_num
    except csv.Error as error:
        why = f"{error}; a cell with quotation marks must stand in quotation marks, its own doubled"
        raise UserError(f"{path}, line {last + 1}: cannot be told into columns: {why}") from None


def _bare_cells(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines(path), 1):
        yield number, line.rstrip("\r\n").split(delimiter)


def json_lines(path: Path) -> Iterator[Row]:
    for number, line in enumerate(lines(path), 1):
        origin = f"{path}, line {number}"
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{origin}: is not JSON: {first_line(error)}") from None
        if not isinstance(fields, dict):
            raise UserError(f"{origin}: must be a JSON object, and is {_shown(fields)}")
        yield Row(number, origin, fields)


def document(path: Path) -> Row:
    """A whole file that is one JSON object."""
    try:
        fields = json.loads("".join(lines(path)))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not JSON: {first_line(error)}") from None
    if not isinstance(fields, dict):
        raise UserError(f"{path}: must be a JSON object, and is {_shown(fields)}")
    return Row(1, str(path), fields)


def parquet(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            classes = _classes(file.schema_arrow.metadata or {})
            for batch in file.iter_batches():
                for fields in batch.to_pylist():
                    number += 1
                    named = {name: _named(fields[name], names) for name, names in classes.items()}
                    yield Row(number, f"{path}, row {number}", fields | named)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: cannot be read: {first_line(error)}") from None


def _classes(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """The names of classes that stand as numbers, where the library `datasets` wrote them into the file."""
    features = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    kinds = {name: each.get("feature", each) for name, each in features.items() if isinstance(each, dict)}
    return {name: kind["names"] for name, kind in kinds.items() if kind.get("_type") == "ClassLabel"}


def _named(value: Any, names: list[str]) -> Any:
    """-1 stays as it is: with it, the library says that a class is not told."""
    if isinstance(value, list):
        return [_named(each, names) for each in value]
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
