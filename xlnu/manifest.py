"""The manifest: what says that a step is finished, and with what.

It is written last and whole; a folder without one is not finished. It carries a checksum of itself and the size of
every file, so that damage is noticed and named rather than built upon.
"""

import dataclasses
import hashlib
import json
import posixpath
from typing import Any

from xlnu.errors import Halt
from xlnu.store import UNFINISHED, Entry, Store

FORMAT = 1  # of the manifest and of the folder's layout; a part of every address
NAME = "manifest.json"
CARD = (
    "README.md"  # may be written again when more is known of a step, as how good its model is: not in the manifest
)


@dataclasses.dataclass(frozen=True)
class File:
    path: str  # below the step's folder
    bytes: int
    rows: int | None  # None for what is not a table


@dataclasses.dataclass(frozen=True)
class Manifest:
    format: int
    name: str
    address: str
    config: dict[str, Any]
    parents: list[str]
    rows_in: int
    rows_out: int
    rejected: dict[str, int]
    files: list[File]
    versions: dict[str, str]
    device: str
    seconds: float  # of the run that finished it: what earlier, killed runs spent is not in it
    finished: str  # UTC


def canonical(value: object) -> str:
    """One text for one value, whatever the order of its keys: what addresses and checksums are taken of."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(body).encode()).hexdigest()


def data_files(store: Store, address: str) -> list[Entry]:
    """The step's own files: not the manifest, nor what the machinery keeps (`_plan.json`, `_lock/`)."""
    return [entry for entry in _own(store, address) if UNFINISHED not in entry.name]


def leftovers(store: Store, address: str) -> list[Entry]:
    """What killed writes of the step's own files left behind."""
    return [entry for entry in _own(store, address) if UNFINISHED in entry.name]


def _own(store: Store, address: str) -> list[Entry]:
    entries = [(entry, posixpath.relpath(entry.name, address)) for entry in store.list(address)]
    return [entry for entry, path in entries if path not in (NAME, CARD) and not path.startswith("_")]


def write(store: Store, manifest: Manifest) -> None:
    body = dataclasses.asdict(manifest)
    text = json.dumps({**body, "sha256": _checksum(body)}, indent=1, ensure_ascii=False)
    store.write(posixpath.join(manifest.address, NAME), text.encode())


def read(store: Store, address: str) -> Manifest | None:
    """The manifest of a finished step, held against itself and its files; None when there is none."""
    name = posixpath.join(address, NAME)
    try:
        raw = store.read(name)
    except FileNotFoundError:
        return None
    problem, body = _problem(raw, address)
    if problem:
        mend = "delete this one file and run again: the parts beside it are kept, checked and counted anew"
        raise Halt(f"{store.place(name)}: damaged manifest: {problem}; {mend}")
    manifest = Manifest(**{**body, "files": [File(**file) for file in body["files"]]})
    found = {posixpath.relpath(entry.name, address): entry.size for entry in data_files(store, address)}
    for file in manifest.files:
        if file.path != CARD and found.get(file.path) != file.bytes:
            place = store.place(posixpath.join(address, file.path))
            has = f"has {found[file.path]} bytes where" if file.path in found else "is missing, while"
            mend = f"delete it and {NAME} beside it, and run again: only this part is made again"
            raise Halt(f"{place}: {has} the manifest says {file.bytes}; {mend}")
    return manifest


def _problem(raw: bytes, address: str) -> tuple[str, dict[str, Any]]:
    try:
        body = json.loads(raw)
    except ValueError as error:  # bad JSON or bad UTF-8
        return (f"not JSON ({error})" if raw else "it is empty"), {}
    if not isinstance(body, dict) or "sha256" not in body:
        return "not a manifest of ours", {}
    if body.pop("sha256") != _checksum(body):
        return "its checksum does not fit its content", {}
    if body["address"] != address:
        return f"it belongs to {body['address']}", {}
    return "", body
