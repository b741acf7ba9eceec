"""Where results are kept: a folder here or a prefix on object storage, by one set of verbs.

A write is whole or absent, whenever the process dies: a local file is written beside its place and renamed, an
object is put in one call (pyarrow's stream, closed by an exception, would publish the half that was written).
"""

import contextlib
import os
import posixpath
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pyarrow import ArrowException, fs

from xlnu.cache import alone
from xlnu.errors import Halt, UserError, first_line

UNFINISHED = ".unfinished-"  # what a killed local write leaves behind begins so


def beside(uri: str, name: str) -> str:
    """A place below a URI, which may end in a query that says how to get there."""
    place, mark, query = uri.partition("?")
    return f"{place.rstrip('/')}/{name}{mark}{query}" if uri else name


@dataclass(frozen=True)
class Entry:
    """A file of the store: its name below the store, its size, and when its server says it was written."""

    name: str
    size: int
    written: float


class Store:
    """Files by name below one root. It pickles, so workers on other machines can write to it."""

    def __init__(self, uri: str) -> None:
        remote = "://" in uri
        self.label = uri.partition("?")[0] if remote else uri  # the query says how to get there: not for messages
        if remote and "@" in self.label:
            raise UserError("a URI may not hold keys or an @, for it is saved with every run: use the environment")
        if not uri.strip() or re.match(r"\w+:/(?!/)", uri):
            raise UserError(f"{uri!r} is neither a folder nor a URI such as s3://bucket/prefix")
        try:
            uri.encode()  # a name that is not UTF-8 could not even be printed
            if remote:
                self.fs, self.root = fs.FileSystem.from_uri(uri)
            else:
                self.fs, self.root = fs.LocalFileSystem(), os.path.abspath(os.path.expanduser(uri))
        except (ArrowException, OSError, ValueError) as error:
            raise UserError(f"{self.label!a}: cannot be opened: {first_line(error)}") from None
        if not self.root.strip("/"):
            raise UserError(f"{self.label}: names no bucket or folder; give one, as s3://bucket/prefix")
        self.local = isinstance(self.fs, fs.LocalFileSystem)
        if self.local and os.path.exists(self.root) and not os.path.isdir(self.root):
            raise UserError(f"{self.label}: is a file; a store is a folder or a prefix on object storage")

    def check(self, writable: bool) -> None:
        """Raise Halt when the store cannot be reached, or not be written: before any work, not after it."""
        if not self.local:
            bucket = self.root.partition("/")[0]  # a listing calls what lies in no bucket empty, not missing
            try:
                with self._told("reached", ""):
                    missing = self.fs.get_file_info(bucket).type == fs.FileType.NotFound
            except Halt as halt:
                if "ACCESS_DENIED" not in str(halt):  # keys for one prefix may not look at the bucket as a whole
                    raise
                missing = False
            if missing:
                raise Halt(f"{self.label}: there is no bucket {bucket}")
        if writable:
            self.write(UNFINISHED + "probe", b"")
            self.delete(UNFINISHED + "probe")

    def place(self, name: str) -> str:
        """Where a file is, in the words of the user's own URI."""
        return posixpath.join(self.label, name)

    def write(self, name: str, data: bytes) -> None:
        path = posixpath.join(self.root, name)
        with self._told("written", name):
            if not self.local:
                # compression is guessed from the name unless it is refused: x.gz would not come back as it went in
                with self.fs.open_output_stream(path, compression=None) as stream:
                    stream.write(data)
                return
            folder = os.path.dirname(path)
            os.makedirs(folder, exist_ok=True)
            beside = os.path.join(folder, UNFINISHED + uuid.uuid4().hex)
            try:
                with open(beside, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())  # else a power cut can leave the name with nothing behind it
                os.replace(beside, path)
            except BaseException:
                Path(beside).unlink(missing_ok=True)
                raise

    def touch(self, name: str) -> None:
        """An empty file, new or made young again: with nothing in it, it needs no care to be whole."""
        with self._told("written", name):
            if self.local:
                path = Path(self.root, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            else:
                with self.fs.open_output_stream(posixpath.join(self.root, name)):
                    pass

    def put(self, name: str, file: Path) -> None:
        """Bring a file in that may be larger than memory. Not for files whose presence means something: an object
        whose upload breaks off may be there in part.
        """
        path = posixpath.join(self.root, name)
        with self._told("written", name):
            if not self.local:
                fs.copy_files(str(file), path, fs.LocalFileSystem(), self.fs)
                return
            os.makedirs(os.path.dirname(path), exist_ok=True)
            beside = os.path.join(os.path.dirname(path), UNFINISHED + uuid.uuid4().hex)
            try:
                shutil.copyfile(file, beside)
                os.replace(beside, path)  # another may be reading what was there
            except BaseException:
                Path(beside).unlink(missing_ok=True)
                raise

    def fetch(self, name: str, file: Path) -> None:
        """Copy a file of the store to a place on this machine."""
        with self._told("read", name):
            fs.copy_files(posixpath.join(self.root, name), str(file), self.fs, fs.LocalFileSystem())

    def copy(self, folder: str, names: Iterable[str], place: Path) -> Path:
        """A folder's files at a place on this machine, all of them at once, unless they are there already."""
        if place.exists():
            return place
        with alone(place), tempfile.TemporaryDirectory(dir=place.parent, prefix=UNFINISHED) as beside:
            if place.exists():
                return place
            made = Path(beside, "files")
            for name in names:
                (made / name).parent.mkdir(parents=True, exist_ok=True)
                self.fetch(posixpath.join(folder, name), made / name)
            if made.exists():
                made.rename(place)
        return place

    def read(self, name: str) -> bytes:
        """The file's bytes; FileNotFoundError when there is none."""
        path = posixpath.join(self.root, name)
        with self._told("read", name), self.fs.open_input_stream(path, compression=None) as stream:
            return bytes(stream.read())

    def list(self, folder: str) -> list[Entry]:
        """The files below a folder, at any depth, by name. A folder that is not there is empty."""
        top = posixpath.join(self.root, folder)
        with self._told("listed", folder):
            if self.local:
                entries = _walk(top)
            else:
                selector = fs.FileSelector(top, allow_not_found=True, recursive=True)
                infos = [info for info in self.fs.get_file_info(selector) if info.type == fs.FileType.File]
                entries = [Entry(info.path, info.size, (info.mtime_ns or 0) / 1e9) for info in infos]
        below = (Entry(posixpath.relpath(e.name, self.root), e.size, e.written) for e in entries)
        return sorted(below, key=lambda entry: entry.name)

    def delete(self, name: str) -> None:
        """Take a file away; one that is gone already is no error."""
        with self._told("deleted", name), contextlib.suppress(FileNotFoundError):
            self.fs.delete_file(posixpath.join(self.root, name))

    def delete_folder(self, name: str) -> None:
        """Take a folder away, with all that is in it."""
        with self._told("deleted", name), contextlib.suppress(FileNotFoundError):
            self.fs.delete_dir(posixpath.join(self.root, name))

    @contextlib.contextmanager
    def _told(self, done: str, name: str) -> Iterator[None]:
        try:
            yield
        except (ArrowException, OSError) as error:
            if done == "read" and isinstance(error, FileNotFoundError):
                raise
            again = "what is finished is kept: mend it and run the same command again"
            raise Halt(f"{self.place(name)}: cannot be {done}: {first_line(error)}; {again}") from error


def _walk(top: str) -> list[Entry]:
    """pyarrow's listing of a folder fails when the folder, or a file in it, comes or goes in the middle of it."""
    entries = []

    def failed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # what cannot be listed is not empty
            raise error

    for folder, _, names in os.walk(top, onerror=failed):
        for path in (os.path.join(folder, name) for name in names):
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(path)
                entries.append(Entry(path, status.st_size, status.st_mtime))
    return entries
