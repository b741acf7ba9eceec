"""Models on object storage: those that a cluster's steps or its users left there, and those that lay on the
driver's machine alone, as the tiny world's do, and were brought to the cluster's store, once.
"""

import fnmatch
import hashlib
import json
import posixpath
from pathlib import Path

from xlnu.cache import cache_folder
from xlnu.engines import checkpoint
from xlnu.engines.checkpoint import Checkpoint
from xlnu.progress import Display
from xlnu.steps import Files
from xlnu.store import Store

FOLDER = "checkpoints"  # below XLNU_STORE


def shared(of: Checkpoint) -> Files | None:
    """A folder's files in the store, if they were brought there whole."""
    if not of.store:
        return None
    store, address = Store(of.store), posixpath.join(FOLDER, of.content)
    try:
        return Files(store, address, tuple(json.loads(store.read(f"{address}.json"))))
    except FileNotFoundError:
        return None


def fetched(uri: str) -> Path:
    """The folder that a URI names, as a copy in this machine's cache: a new one where the files are others."""
    store = Store(uri)
    there = [
        entry
        for entry in store.list("")
        if any(fnmatch.fnmatch(posixpath.basename(entry.name), part) for part in (*checkpoint.PARTS, "README.md"))
    ]
    if not there:
        store.check(writable=False)  # that there is no such bucket is another matter
    seen = hashlib.sha256(repr([store.label, *there]).encode()).hexdigest()[:16]
    place = cache_folder("models") / f"{posixpath.basename(store.root)}-{seen}"
    return store.copy("", [entry.name for entry in there], place)


def share(display: Display) -> None:
    """Bring all there that this job was told of. What lies on one file system with the store all machines
    see already.
    """
    for one in checkpoint.folders.values():
        if not one.store or shared(one):
            continue
        store, folder, address = Store(one.store), Path(one.name), posixpath.join(FOLDER, one.content)
        store.check(writable=True)
        if store.local and folder.stat().st_dev == Path(store.root).stat().st_dev:
            continue
        files = checkpoint.files(folder)
        size = sum(path.stat().st_size for path in files) / 1e6
        display.say(f"{one.name}: copied to {store.place(address)}, for other machines: {size:,.1f} MB")
        names = [path.name if path == folder else path.relative_to(folder).as_posix() for path in files]
        for name, path in zip(names, files, strict=True):
            store.put(posixpath.join(address, name), path)
        store.write(f"{address}.json", json.dumps(names).encode())  # the last: now it is whole
