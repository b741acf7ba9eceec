"""Steps: what is done once, kept under an address made of all it depends on, skipped when done, resumed when not.

    english = Step("english", config, make_english, inputs=(instructions,))
    run([instructions, english], Store("runs/store"), display)

A step's function gets a Work and returns how many rows it was given. It writes rows in parts; a part is there
whole or not at all, so a killed step loses the parts under way and nothing else. Rows refused on the way stay in
the table, with the reason in the column `reject`: rows in = rows out + rejected, or the step does not finish.

Steps that share something dear to load (a model) share a `Together` as their function: those of them that are not
done are done at once, each with its own folder and manifest.
"""

import contextlib
import functools
import hashlib
import io
import json
import posixpath
import re
import time
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xlnu import lock, machine, manifest
from xlnu.cache import cache_folder
from xlnu.cluster.roles import Role
from xlnu.errors import Halt, first_line
from xlnu.manifest import Manifest
from xlnu.progress import Display, Task
from xlnu.store import Store

PLAN = "_plan.json"  # [rows, rows per part]
PARTS = 10_000  # of a step at most: 200 languages of 700 million sentences are then 2 million files, and not 70
PART = re.compile(r"\d{6,}\.parquet")  # rows of ours; other Parquet a step leaves is a file like any other
LOCK = "_lock"


@dataclass(frozen=True)
class Estimate:
    """What a step will take when none of it is done."""

    rows: int
    tokens: int = 0
    hours: float | None = 0.0  # of this machine; None: nobody knows
    role: Role | Literal[""] = ""  # of the machines that do it, if it is not done in passing
    effort: float | None = None  # tokens times parameters, of a model that writes
    wide: int | None = None  # actors that can work at it at once; None: as many as there are


NOBODY_KNOWS = Estimate(0, 0, None)


@dataclass(frozen=True, eq=False)
class Together:
    """One function for several steps: it is given those not done, and says how many rows each was given."""

    name: str
    run: Callable[[dict[str, "Work"]], dict[str, int]]


@dataclass(frozen=True)
class Step:
    """A name, what its result depends on, and the function that makes it.

    `config` holds what changes the result and nothing else: a batch size or a number of workers would make every
    address new for no reason. Raise `version` when the function's output changes for the same config. `tidy` is
    called when the step is finished, also by an earlier run: what it needed to go on after a kill can go.
    """

    name: str
    config: Mapping[str, Any]
    run: Callable[["Work"], int] | Together = field(compare=False)
    inputs: tuple["Step", ...] = ()
    version: int = 1
    estimate: Estimate | None = field(default=None, compare=False)
    tidy: "Callable[[Result], None] | None" = field(default=None, compare=False)

    @functools.cached_property
    def address(self) -> str:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", self.name), f"not a step's name: {self.name!r}"
        depends_on = {
            "name": self.name,
            "config": self.config,
            "inputs": [step.address for step in self.inputs],
            "format": [manifest.FORMAT, self.version],
        }
        return f"{self.name}-{hashlib.sha256(manifest.canonical(depends_on).encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Part:
    """A run of a step's rows that is written as one file."""

    index: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        return f"{self.index:06d}.parquet"


@dataclass(frozen=True)
class Writer:
    """Writes parts of one step. It pickles, so a worker anywhere can; the same part twice does no harm."""

    store: Store
    address: str

    def __call__(self, part: Part, made: "pa.Table | dict[str, pa.Table]") -> None:
        """One table, a row for each it was given; or several, by folder, with as many rows as come of them.

        The last of several is what says that the part is there.
        """
        if isinstance(made, pa.Table):
            assert made.num_rows == part.stop - part.start, f"part {part} got {made.num_rows} rows: one row an id"
            made = {"": made}
        for folder, table in made.items():
            data = io.BytesIO()
            pq.write_table(table, data, compression="zstd", write_page_checksum=True)
            self.store.write(posixpath.join(self.address, folder, part.name), data.getvalue())


def read_part(store: Store, path: str, columns: list[str] | None) -> pa.Table:
    """A part's rows; where the file is damaged, a Halt that says what to do."""
    try:
        return pq.read_table(path, columns=columns, filesystem=store.fs, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        place = store.place(posixpath.relpath(path, store.root))
        mend = f"delete it and any {manifest.NAME} beside it, and run again: only this part is made again"
        raise Halt(f"{place}: damaged ({first_line(error)}); {mend}") from None


@dataclass(frozen=True)
class Result:
    """A finished step's rows."""

    store: Store
    manifest: Manifest
    skipped: bool

    def paths(self, folder: str = "") -> list[str]:
        """The tables, in the order of their rows, for any reader that takes (paths, filesystem=store.fs)."""
        tables = (file.path for file in self.manifest.files if file.rows is not None)
        files = (path for path in tables if path.startswith(folder))
        return [posixpath.join(self.store.root, self.manifest.address, path) for path in files]

    def table(self, columns: list[str] | None = None) -> pa.Table:
        return pa.concat_tables(read_part(self.store, path, columns) for path in self.paths())

    def files(self) -> "Files":
        """What the step left beside tables, for whoever needs it as files on their own machine."""
        paths = tuple(file.path for file in self.manifest.files if file.rows is None)
        made = f"{self.manifest.files} {self.manifest.finished} {self.manifest.seconds}"
        return Files(self.store, self.manifest.address, paths, hashlib.sha256(made.encode()).hexdigest()[:8])

    def rows(self, folder: str = "", *, rejected: bool = False) -> "Rows":
        """The rows that go further, or all with the rejected among them, for whoever reads them piece by piece."""
        paths = self.paths(folder)
        if rejected:
            files = (file for file in self.manifest.files if file.path.startswith(folder))
            counts = [file.rows for file in files if file.rows is not None]
        else:
            counts = [read_part(self.store, path, ["reject"])["reject"].null_count for path in paths]
        return Rows(self.store, tuple(paths), tuple(accumulate(counts)), rejected)


@dataclass(frozen=True)
class Rows:
    """The rows of a finished step, numbered from 0. It pickles: workers anywhere read what they need of them."""

    store: Store
    paths: tuple[str, ...]
    ends: tuple[int, ...]  # how many there are in the files up to and with each
    rejected: bool  # whether those that were rejected are among them

    @staticmethod
    def joined(several: "Sequence[Rows]") -> "Rows":
        """Those of several steps as if they were of one. What column some lack is empty in their rows."""
        sizes = [stop - start for one in several for start, stop in pairwise((0, *one.ends))]
        paths = tuple(path for one in several for path in one.paths)
        return Rows(several[0].store, paths, tuple(accumulate(sizes)), several[0].rejected)

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def read(self, start: int, stop: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows from `start` up to `stop`: what is needed of the files that hold them, and no other file."""
        wanted = None if columns is None else [*columns, *({"reject"} - set(columns))]
        first = min(bisect_right(self.ends, start), len(self.paths) - 1)  # of no rows there still is the schema
        last = min(max(first, bisect_left(self.ends, stop)), len(self.paths) - 1)
        tables = []
        for at in range(first, last + 1):
            table = read_part(self.store, self.paths[at], wanted)
            kept = table if self.rejected else table.filter(pc.is_null(table["reject"]))
            before = self.ends[at - 1] if at else 0
            begin = max(0, start - before)
            tables.append(kept.slice(begin, max(0, stop - before - begin)))
        found = pa.concat_tables(tables, promote_options="default")
        return found if columns is None else found.select(list(columns))


@dataclass(frozen=True)
class Files:
    """The files of a finished step. It pickles: a worker asks for them where it is."""

    store: Store
    address: str
    paths: tuple[str, ...]
    made: str = ""  # tells it from what was deleted there and made again

    def local(self) -> Path:
        """The folder that holds them here; for a store elsewhere, a copy in the user's cache, once a machine."""
        if self.store.local:
            return Path(self.store.root, self.address)
        return self.store.copy(self.address, self.paths, cache_folder("steps") / f"{self.address}{self.made}")


@dataclass
class Work:
    """What a step's function is given: its inputs, what is still to do, and where to put it."""

    name: str
    inputs: dict[str, Result]
    write_part: Writer
    lock: lock.Lock
    task: Task

    def todo(self, rows: int, rows_per_part: int, folder: str = "") -> list[Part]:
        """The parts that are not there yet, of a step that is given so many rows; `folder` is where a part's last
        table goes.

        The cut into parts is fixed when the step first starts and kept beside it: a later run with another
        `rows_per_part` must not cut across what is done.
        """
        store, address = self.write_part.store, self.write_part.address
        cut = read_cut(store, address)
        if cut is None:
            cut = (rows, max(rows_per_part, -(-rows // PARTS)))
            store.write(posixpath.join(address, PLAN), json.dumps(cut).encode())
        assert cut[0] == rows, f"{address} began with {cut[0]} rows and is now given {rows}"
        size = cut[1]
        starts = range(0, max(rows, 1), size)  # no rows are one empty part, so that the schema is not lost
        parts = [Part(i, at, min(at + size, rows)) for i, at in enumerate(starts)]
        there = {posixpath.relpath(entry.name, address) for entry in manifest.data_files(store, address)}
        missing = [part for part in parts if posixpath.join(folder, part.name) not in there]
        self.task.begin(rows, done=rows - sum(part.stop - part.start for part in missing), of=self.name)
        return missing

    def write(self, part: Part, made: "pa.Table | dict[str, pa.Table]") -> None:
        """Write a part from the driver. Workers call `write_part`, and their driver `wrote`."""
        self.lock.check()
        self.write_part(part, made)
        self.wrote(part)

    def wrote(self, part: Part, tokens: int = 0) -> None:
        self.lock.check()
        self.task.advance(part.stop - part.start, tokens)


def run(steps: Sequence[Step], store: Store, display: Display) -> dict[str, Result]:
    """Do what is not done, in the given order; every step's inputs stand before it. The results are by address:
    steps of one name may be many, and one that several others share is done once.
    """
    results: dict[str, Result] = {}
    for step in steps:
        one_run = [other for other in steps if other.run is step.run] if isinstance(step.run, Together) else [step]
        todo = []
        for each in one_run:
            if each.address in results:
                continue
            found = manifest.read(store, each.address)
            if found is None:
                todo.append(each)
                continue
            display.say(f"{each.name}: done before, {_counts(found)} ({each.address})")
            results[each.address] = _finished(each, Result(store, found, skipped=True))
        if todo:
            results |= _do(todo, store, display, results)
    return {step.address: results[step.address] for step in steps}


def named(results: Mapping[str, Result], steps: Sequence[Step]) -> dict[str, Result]:
    """The results of some steps, by their names."""
    return {step.name: results[step.address] for step in steps}


def _finished(step: Step, result: Result) -> Result:
    if step.tidy:
        step.tidy(result)
    return result


def _do(steps: Sequence[Step], store: Store, display: Display, before: dict[str, Result]) -> dict[str, Result]:
    """Do steps that share a run (most often there is one), each under its lock."""
    run, results, todo = steps[0].run, dict[str, Result](), dict[str, Work]()
    name = run.name if isinstance(run, Together) else steps[0].name
    with contextlib.ExitStack() as stack:
        locks = {}
        for step in sorted(steps, key=lambda step: step.address):  # one order for all: no two wait for each other

            def waiting(holder: str, name: str = step.name) -> None:
                display.say(f"{name}: being made by another run ({holder}); waiting for it")

            held = lock.held(store, posixpath.join(step.address, LOCK), waiting)
            locks[step.name] = stack.enter_context(held)
        task = stack.enter_context(display.task(name))
        for step in steps:
            found = manifest.read(store, step.address)
            if found is not None:
                display.say(f"{step.name}: done meanwhile by another run, {_counts(found)} ({step.address})")
                results[step.address] = _finished(step, Result(store, found, skipped=True))
                continue
            inputs = {parent.name: before[parent.address] for parent in step.inputs}
            todo[step.name] = Work(step.name, inputs, Writer(store, step.address), locks[step.name], task)
        began = time.monotonic()
        rows_in = _run(run, todo) if todo else {}
        seconds = time.monotonic() - began
        for step in (step for step in steps if step.name in todo):
            made = _survey(step, store, rows_in[step.name], seconds / len(todo))
            locks[step.name].check()
            manifest.write(store, made)
            results[step.address] = _finished(step, Result(store, made, skipped=False))
            display.say(f"{step.name}: done, {_counts(made)} in {made.seconds:.1f} s ({step.address})")
    return results


def _run(run: "Callable[[Work], int] | Together", todo: dict[str, Work]) -> dict[str, int]:
    if isinstance(run, Together):
        return run.run(todo)
    return {name: run(work) for name, work in todo.items()}


def _counts(made: Manifest) -> str:
    if not any(file.rows is not None for file in made.files):
        return f"{len(made.files):,} file{'s' * (len(made.files) != 1)}"
    reasons = "; ".join(f"{n:,} {reason}" for reason, n in made.rejected.items())
    return f"{made.rows_out:,} rows" + (
        f", rejected {sum(made.rejected.values()):,} ({reasons})" if reasons else ""
    )


def _short(name: str) -> int:
    return hash(name)


def _repeated(step: Step, store: Store, short: set[int]) -> int:
    """Rows whose id another has, too. In 64 bits two ids are alike in one of 75 tables of 700 million rows, so
    those that seem to be are looked at as they are.
    """
    counts = Counter[str]()
    for entry in manifest.data_files(store, step.address):
        if PART.fullmatch(posixpath.basename(entry.name)):
            table = read_part(store, posixpath.join(store.root, entry.name), ["id"])
            counts.update(name for name in table["id"].to_pylist() if _short(name) in short)
    return counts.total() - len(counts)


def _survey(step: Step, store: Store, rows_in: int, seconds: float) -> Manifest:
    """Count what was written, from the files themselves, and hold it against what was given."""
    files, ids, rejected = [], array("q"), Counter[str]()
    for entry in manifest.data_files(store, step.address):
        rows = None
        if PART.fullmatch(posixpath.basename(entry.name)):
            table = read_part(store, posixpath.join(store.root, entry.name), ["id", "reject"])
            rows = table.num_rows
            ids.extend(map(_short, table["id"].to_pylist()))  # eight bytes a row, where the ids take fifty
            rejected.update(reason for reason in table["reject"].to_pylist() if reason is not None)
        files.append(manifest.File(posixpath.relpath(entry.name, step.address), entry.size, rows))
    hashes = np.frombuffer(ids, dtype=np.int64)
    hashes.sort()  # in place: of 700 million they are 6 GB, which np.unique has three times
    total, twice = len(ids), set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    distinct = total - (_repeated(step, store, twice) if twice else 0)
    if not rows_in == total == distinct:
        given = f"it was given {rows_in} rows and wrote {total}, {distinct} of them with an id of their own"
        raise AssertionError(f"{step.address}: rows in are not rows out + rejected: {given}")
    for entry in manifest.leftovers(store, step.address):
        store.delete(entry.name)
    return Manifest(
        format=manifest.FORMAT,
        name=step.name,
        address=step.address,
        config=dict(step.config),
        parents=[parent.address for parent in step.inputs],
        rows_in=rows_in,
        rows_out=total - sum(rejected.values()),
        rejected=dict(sorted(rejected.items())),
        files=files,
        versions=machine.versions(),
        device=machine.device(),
        seconds=round(seconds, 3),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def read_cut(store: Store, address: str) -> tuple[int, int] | None:
    """How many rows the step has, and how many a part; None before it first started."""
    name = posixpath.join(address, PLAN)
    try:
        rows, size = json.loads(store.read(name))
        if not (isinstance(rows, int) and isinstance(size, int) and rows >= 0 and size > 0):
            raise ValueError
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise Halt(
            f"{store.place(name)}: damaged; delete this one file and run again with the same settings"
        ) from None
    return rows, size
