"""The user's cache folder: what lies there can be made again."""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

LARGE = 16_000_000  # bytes from which a file's hash is kept: a 7B model takes half a minute to read


def cache_folder(name: str) -> Path:
    """A folder of ours in it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "xlnu" / name


@contextlib.contextmanager
def alone(place: Path) -> Iterator[None]:
    """One process of this machine at a time makes what belongs at a place: others would do the same beside it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f".{place.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def hash_file(path: Path) -> str:
    """Of a file of the user's."""
    status = path.stat()
    if status.st_size < LARGE:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    seen = json.dumps([os.path.realpath(path), status.st_size, status.st_mtime_ns, status.st_ino])
    kept = cache_folder("hashes") / hashlib.sha256(seen.encode()).hexdigest()
    if kept.exists():
        return kept.read_text()
    with alone(kept):
        if kept.exists():
            return kept.read_text()
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        beside = kept.with_name(f".{kept.name}-{os.getpid()}")
        beside.write_text(found)
        beside.replace(kept)
        return found
