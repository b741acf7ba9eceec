"""Hugging Face checkpoints: where one lies, and what its content is.

A model is a folder, here or on object storage, or a name on the hub with a revision. Addresses are made of its
content (a folder's files) or of the commit the revision means, never of a path: a model that moved is the same
model, one that changed is another.
"""

import hashlib
import math
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xlnu.cache import hash_file
from xlnu.errors import Halt, UserError, first_line

# What makes a model: weights, shapes, tokenizer. Not READMEs, training states, or what else lies beside them.
PARTS = ("*.safetensors", "*.bin", "*.json", "*.model", "*.jinja", "*.txt", "*.tiktoken", "*.ckpt", "*.yaml")

folders: dict[str, "Checkpoint"] = {}  # that this process was told of, by content


@dataclass(frozen=True)
class Checkpoint:
    """A model as the user named it, and what identifies it."""

    name: str
    revision: str  # of the hub: the commit; of a folder: empty
    content: str  # of a folder: the hash of its files, wherever it lies; of the hub: empty
    licence: str = "not stated"
    parameters: int | None = None  # None: not known
    store: str = field(default="", compare=False)  # of a folder: the cluster's, for machines that do not have it

    @property
    def identity(self) -> dict[str, str]:
        """What a step's address depends on."""
        return {"content": self.content} if self.content else {"name": self.name, "revision": self.revision}

    @property
    def short(self) -> str:
        """What stands on a row."""
        own = own_name(self.name) if self.content else self.name
        return f"{own}@{(self.content or self.revision)[:12]}"

    def local(self, parts: Sequence[str] = PARTS) -> str:
        """A folder with its files on this machine."""
        if self.content:
            here = Path(self.name)
            if here.exists() and (self.content in folders or _hash(here) == self.content):
                folders.setdefault(self.content, self)
                return self.name
            from xlnu.engines.shared import fetched, shared

            if "://" in self.name:
                folder = fetched(self.name)
                if _hash(folder) != self.content:
                    raise Halt(f"{self.name}: has changed since the job began: run it again")
                return str(folder)
            kept = shared(self)
            if kept is None:
                what = "is not what the job was told of" if here.exists() else "there is no such folder"
                raise UserError(
                    f"{self.name}: {what} on {socket.gethostname()}: put it where every machine sees it, or take "
                    "the model from the hub by its name"
                )
            return str(kept.local() / (kept.paths[0] if len(kept.paths) == 1 else ""))
        from huggingface_hub import HfApi, snapshot_download
        from huggingface_hub.errors import HfHubHTTPError

        try:
            there = HfApi().list_repo_files(self.name, revision=self.revision)
            twice = ["*.bin"] if any(file.endswith(".safetensors") for file in there) else None
            return snapshot_download(
                self.name, revision=self.revision, allow_patterns=list(parts), ignore_patterns=twice
            )
        except (HfHubHTTPError, OSError) as error:
            raise Halt(f"{self.name}: {socket.gethostname()} cannot download it: {first_line(error)}") from None


def own_name(place: str) -> str:
    """The last of a path, or of a URI, which may end in a query."""
    return Path(place.partition("?")[0] if "://" in place else place).name


def find(key: str, name: str, revision: str = "main") -> Checkpoint:
    """The checkpoint that a setting names; UserError when there is none."""
    if not name:
        raise UserError(f"{key}: must be given: a folder with a checkpoint, or a model's name on the hub")
    name = name.removeprefix("file://")
    folder = _fetched(key, name) if "://" in name else Path(name).expanduser()
    if folder.suffix == ".ckpt" and folder.is_file():  # as COMET's own tools name it
        folder = folder.parent.parent if folder.parent.name == "checkpoints" else folder.parent
    if folder.is_dir():
        whole = any((folder / name).is_file() for name in ("config.json", "adapter_config.json"))
        if not whole and not list(folder.rglob("*.ckpt")):
            raise UserError(f"{key}: {name}: the folder holds no model: there is no config.json in it")
        at, content = str(folder.absolute()), _hash(folder)
        if "://" in name:
            return Checkpoint(name, "", content, _licence(folder), parameters(folder))
        folders[content] = Checkpoint(at, "", content, _licence(folder), parameters(folder), cluster_store())
        return folders[content]
    if folder.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1:
        why = "is a file; name the folder" if folder.exists() else "there is no such folder"
        raise UserError(f"{key}: {name}: {why} of a Hugging Face checkpoint")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        info = HfApi().model_info(name, revision=revision, timeout=30)
        if info.gated:  # what it is may be read by all, its files may not
            HfApi().auth_check(name)
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise UserError(
            f"{key}: {name}: no folder here, and the hub does not give it at {revision}: {first_line(error)}"
        ) from None
    stated = info.card_data and info.card_data.get("license")
    weights = info.safetensors.total if info.safetensors else None
    return Checkpoint(name, str(info.sha), "", stated or Checkpoint.licence, weights)


def _fetched(key: str, uri: str) -> Path:
    from xlnu.engines.shared import fetched

    try:
        return fetched(uri)
    except Halt as halt:
        raise UserError(f"{key}: {halt}") from None


def parameters(folder: Path) -> int | None:
    """How many; UserError where a file of them is not whole."""
    from safetensors import SafetensorError, safe_open

    total = 0
    for path in folder.glob("*.safetensors"):
        try:
            with safe_open(path, "np") as file:
                total += sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
        except SafetensorError as error:
            said = f"{path} cannot be read: {first_line(error)}; copy it anew"
            pointer = path.stat().st_size < 1000 and path.read_bytes().startswith(b"version https://git-lfs")
            raise UserError(f"{path}: is a pointer of git-lfs: run git lfs pull" if pointer else said) from None
    states = sum(path.stat().st_size for path in folder.rglob("*.ckpt"))  # COMET's: float32
    return total or states // 4 or None


def _licence(folder: Path) -> str:
    """What the model card in the folder says."""
    from huggingface_hub import ModelCard

    path = folder / "README.md"
    if not path.is_file():
        return Checkpoint.licence
    try:
        stated = ModelCard.load(path).data.get("license")
    except ValueError:  # its front matter is no YAML
        stated = None
    return stated or Checkpoint.licence


def of_file(path: Path) -> Checkpoint:
    """A model that is one file, of whatever kind."""
    content = _hash(path)
    folders[content] = Checkpoint(str(path.absolute()), "", content, store=cluster_store())
    return folders[content]


def cluster_store() -> str:
    return os.environ.get("XLNU_STORE", "") if os.environ.get("RAY_ADDRESS") else ""


def files(place: Path) -> list[Path]:
    """Of a model: those in a folder, or the one that it is."""
    if place.is_file():
        return [place]
    return sorted({path for pattern in PARTS for path in place.rglob(pattern) if path.is_file()})


def _hash(place: Path) -> str:
    whole = hashlib.sha256()
    for path in files(place):
        whole.update(f"{path.relative_to(place)}\0{hash_file(path)}\n".encode())
    return whole.hexdigest()[:32]
