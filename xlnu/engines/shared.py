"""Models that lie on the driver's machine alone, as the tiny world's do: brought to the cluster's store, once."""

import json
import posixpath
from pathlib import Path

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


def share(display: Display) -> None:
    """Bring all folders there that this job was told of. What lies on one file system with the store all machines
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
        names = [path.relative_to(folder).as_posix() for path in files]
        for name, path in zip(names, files, strict=True):
            store.put(posixpath.join(address, name), path)
        store.write(f"{address}.json", json.dumps(names).encode())  # the last: now it is whole
