"""The steps `documents` and `texts`: unlabeled text in the source language, and as tokens of both tokenizers.

Teacher and student must read the same text, and each tokenizer counts its own tokens: a document is cut at a
sentence's end, once, so that what is left fits both. The rest of it is not used.
"""

import functools
import gzip
import itertools
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xlnu.cache import hash_file
from xlnu.cluster.pools import ONE_CORE, Placed
from xlnu.config import setting
from xlnu.errors import UserError, first_line
from xlnu.languages import Language
from xlnu.mtllm import estimate
from xlnu.mtllm.parts import Parents, StackSettings, stack_config
from xlnu.mtllm.schemas import HELD_OUT, REJECTED, TOKENS, TRAIN
from xlnu.mtllm.tokens import Readers, readers, row
from xlnu.rows import ROW, row_id
from xlnu.spread import spread
from xlnu.steps import Part, Rows, Step, Work
from xlnu.transfer.segment import split

ROWS_PER_PART = 4096
JSON = (".jsonl", ".json", ".ndjson")
ENDINGS = (".txt", ".parquet", *JSON)
SOME = 1000  # documents, and lines of a file, that stand for all
PACKED = 3  # times smaller is text that gzip has packed
MOST_HELD_OUT = 2000  # documents: each look reads all of them twice
DOCUMENTS = pa.schema([*ROW, pa.field("text", pa.string(), nullable=False)])


@dataclass
class TextsConfig:
    """Unlabeled text in the source language, which stage 1 reads."""

    path: str = setting(
        "", "a text file (a document a line), JSON lines, or Parquet, .gz as well; or a folder of such files"
    )
    column: str = setting("text", "of JSON lines and Parquet")
    at_most: int = setting(0, "only the first n documents; 0: all", at_least=0)
    held_out: float = setting(
        0.02, f"share of them that is kept to look at, some {MOST_HELD_OUT:,} at most", above=0, at_most=0.5
    )


def steps(config: TextsConfig, settings: StackSettings, parents: Parents, source: Language) -> list[Step]:
    files = _files(config)
    about: dict[str, Any] = {
        "files": [hash_file(path) for path in files],
        "column": config.column,
        "at_most": config.at_most,
    }
    documents = Step("documents", about, functools.partial(_read, config=config, files=files))
    cut = {
        **parents.identity,
        "source": source.label,
        "held_out": config.held_out,
        "length": settings.length,
        "special": settings.special,
    }
    run = functools.partial(_tokens, config=config, settings=settings, parents=parents, source=source)
    takes = estimate.of_texts(*_amount(config, files), settings.length)
    return [documents, Step("texts", cut, run, (documents,), estimate=takes)]


def _files(config: TextsConfig) -> list[Path]:
    if not config.path:
        raise UserError("texts.path: must be given: unlabeled text in the source language, for stage 1")
    place = Path(config.path).expanduser()
    found = [place]
    if place.is_dir():  # a downloaded data set has a README and a cache beside its data
        found = sorted(path for path in place.rglob("*") if path.is_file() and _ending(path) in ENDINGS)
    if not found or not all(path.is_file() for path in found):
        raise UserError(f"texts.path: {config.path}: no such file, or no {', '.join(ENDINGS)} in the folder")
    return found


def _read(work: Work, config: TextsConfig, files: Sequence[Path]) -> int:
    """Read twice: once to count, for what is written in parts must know how many there are."""
    total = sum(1 for _ in _documents(config, files))
    todo = {part.index: part for part in work.todo(total, ROWS_PER_PART)}
    documents = enumerate(_documents(config, files))
    for start in range(0, total, ROWS_PER_PART):
        part = todo.get(start // ROWS_PER_PART)
        some = [next(documents) for _ in range(min(ROWS_PER_PART, total - start))]
        if part:
            rows = [{"id": row_id(n, text), "reject": None, "text": text} for n, text in some]
            work.write(part, pa.Table.from_pylist(rows, schema=DOCUMENTS))
    if not total:
        raise UserError(f"texts.path: {config.path}: holds no document")
    return total


def _documents(config: TextsConfig, files: Sequence[Path]) -> Iterator[str]:
    found = (text for path in files for text in _of_file(path, config.column))
    for number, text in enumerate(found):
        if config.at_most and number >= config.at_most:
            return
        yield text


def _amount(config: TextsConfig, files: Sequence[Path]) -> tuple[int, float]:
    """About how many documents there are, and how long one is, without reading all."""
    some = [len(text) for text in itertools.islice(_documents(config, files), SOME)]
    rows = sum(map(_rows, files))
    return min(rows, config.at_most or rows), sum(some) / max(1, len(some))


def _rows(path: Path) -> int:
    with _readable(path):
        if path.suffix == ".parquet":
            return int(pq.ParquetFile(path).metadata.num_rows)
        with _opened(path, "rb") as lines:
            some = [len(line) for line in itertools.islice(lines, SOME)]
        whole = path.stat().st_size * (PACKED if path.suffix == ".gz" else 1)
        return len(some) if len(some) < SOME else round(whole * SOME / sum(some))


def _opened(path: Path, mode: str, **how: Any) -> Any:
    opened: Any = gzip.open if path.suffix == ".gz" else open
    return opened(path, mode, **how)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (UnicodeDecodeError, EOFError, zlib.error, OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: cannot be read: {first_line(error)}") from None


def _ending(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix


def _of_file(path: Path, column: str) -> Iterator[str]:
    with _readable(path):
        yield from _read_file(path, column)


def _read_file(path: Path, column: str) -> Iterator[str]:
    if path.suffix == ".parquet":
        file = pq.ParquetFile(path)
        if column not in file.schema_arrow.names:
            raise UserError(f"{path}: has no column {column!r}: set texts.column")
        for batch in file.iter_batches(1024, columns=[column]):
            yield from (str(text or "") for text in batch[column].to_pylist())
        return
    of_json = _ending(path) in JSON
    with _opened(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not of_json:
                yield line.rstrip("\r\n")
                continue
            try:
                yield str(json.loads(line)[column] or "")
            except (ValueError, KeyError, TypeError):
                raise UserError(f"{path}, line {number}: no JSON with {column!r} in it") from None


def _tokens(work: Work, config: TextsConfig, settings: StackSettings, parents: Parents, source: Language) -> int:
    documents = work.inputs["documents"].rows()
    held_out = min(config.held_out, MOST_HELD_OUT / max(1, len(documents)))
    stage = functools.partial(_Tokens, documents, held_out, settings, parents, source)
    spread({work.name: work}, {work.name: len(documents)}, ROWS_PER_PART, stage, ONE_CORE, TRAIN)
    return len(documents)


class _Tokens:
    def __init__(
        self,
        documents: Rows,
        held_out: float,
        settings: StackSettings,
        parents: Parents,
        source: Language,
        _placed: Placed,
    ) -> None:
        self.documents, self.held_out, self.length, self.source = documents, held_out, settings.length, source
        self.readers = readers(stack_config(settings, parents, source=source.code), parents.folders())

    def __call__(self, _step: str, part: Part) -> tuple[dict[str, pa.Table], int]:
        given = self.documents.read(part.start, part.stop).to_pylist()
        cut = fitting([one["text"] for one in given], self.source, self.readers, self.length)
        found: dict[str, list[dict[str, Any]]] = {REJECTED: [], HELD_OUT: [], TRAIN: []}
        for one, text in zip(given, cut, strict=True):
            if text is None or not text.strip():
                why = "empty" if not one["text"].strip() else "its first sentence alone is too long"
                found[REJECTED].append(row(one["id"], self.source.label, why))
                continue
            folder = HELD_OUT if int(one["id"][:8], 16) / 2**32 < self.held_out else TRAIN
            found[folder].append(row(one["id"], self.source.label, None, content=row_id(text)) | {"text": text})
        for some in found.values():
            self._read([one for one in some if one["reject"] is None])
        tokens = sum(len(one["encoder_ids"]) for some in found.values() for one in some)
        return {name: pa.Table.from_pylist(some, schema=TOKENS) for name, some in found.items()}, tokens

    def _read(self, some: list[dict[str, Any]]) -> None:
        from xlnu.stack.inputs import same_tokens

        texts = [one.pop("text") for one in some]
        segments, both = [[text] for text in texts], self.readers
        for name, made in both.read(segments, [self.source] * len(texts), segments).items():
            for one, tokens in zip(some, made, strict=True):
                one[f"{name}_ids"], one[f"{name}_groups"] = tokens.ids, tokens.groups
        before = len(both.encoder.begin(self.source)), len(both.llm.begin(self.source))
        for one, text in zip(some, texts, strict=True):
            same = same_tokens(both.encoder.tokenizer, both.llm.tokenizer, text)
            one["encoder_at"] = [before[0] + ours for ours, _ in same]
            one["llm_at"] = [before[1] + theirs for _, theirs in same]


def fitting(texts: Sequence[str], language: Language, readers: Readers, length: int) -> list[str | None]:
    """Each text up to the last sentence with which it still fits both tokenizers; None where not even one does."""
    sizes = readers.sizes([[text] for text in texts], [language] * len(texts))
    return [
        text if size <= length else _cut(text, language, readers, length)
        for text, size in zip(texts, sizes, strict=True)
    ]


def _cut(text: str, language: Language, readers: Readers, length: int) -> str | None:
    pieces = split(text, language)
    heads, at = list[str](), ""
    for number, piece in enumerate(pieces):
        at += piece
        if number % 2:  # a sentence, and not what lies between
            heads.append(at)
    low, high = 0, len(heads)  # of how many sentences is known that they fit, and how many may
    while low < high:
        middle = (low + high + 1) // 2
        (size,) = readers.sizes([[heads[middle - 1]]], [language])
        low, high = (middle, high) if size <= length else (low, middle - 1)
    return heads[low - 1] if low else None
