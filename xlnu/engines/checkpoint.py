"""Hugging Face checkpoints: where one lies, and what its content is.

A model is a folder or a name on the hub with a revision. Addresses are made of its content (a folder's files) or of
the commit the revision means, never of a path: a model that moved is the same model, one that changed is another.
"""

import hashlib
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

from xlnu.errors import UserError
from xlnu.store import cache_folder

# What makes a model: weights, shapes, tokenizer. Not READMEs, training states, or what else lies beside them.
PARTS = ("*.safetensors", "*.bin", "*.json", "*.model", "*.jinja", "*.txt", "*.tiktoken", "*.ckpt", "*.yaml")
LARGE = 16_000_000  # bytes from which a file's hash is kept: a 7B model takes half a minute to read


@dataclass(frozen=True)
class Checkpoint:
    """A model as the user named it, and what identifies it."""

    name: str
    revision: str  # of the hub: the commit; of a folder: empty
    content: str  # of a folder: the hash of its files; of the hub: empty
    licence: str = "not stated"
    parameters: int | None = None  # None: not known

    @property
    def identity(self) -> dict[str, str]:
        """What a step's address depends on."""
        return {"content": self.content} if self.content else {"name": self.name, "revision": self.revision}

    @property
    def short(self) -> str:
        """What stands on a row."""
        return f"{Path(self.name).name if self.content else self.name}@{(self.content or self.revision)[:12]}"

    def local(self) -> str:
        """A folder with its files on this machine."""
        if self.content:
            return self.name
        from huggingface_hub import snapshot_download

        return snapshot_download(self.name, revision=self.revision, allow_patterns=list(PARTS))


def find(key: str, name: str, revision: str = "main") -> Checkpoint:
    """The checkpoint that a setting names; UserError when there is none."""
    folder = Path(name).expanduser()
    if folder.suffix == ".ckpt" and folder.is_file():  # as COMET's own tools name it
        folder = folder.parent.parent if folder.parent.name == "checkpoints" else folder.parent
    if folder.is_dir():
        if not (folder / "config.json").is_file() and not list(folder.rglob("*.ckpt")):
            raise UserError(f"{key}: {name}: the folder holds no model: there is no config.json in it")
        return Checkpoint(str(folder.absolute()), "", _hash_folder(folder), _licence(folder), _parameters(folder))
    if folder.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1:
        why = "is a file; name the folder" if folder.exists() else "there is no such folder"
        raise UserError(f"{key}: {name}: {why} of a Hugging Face checkpoint")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        info = HfApi().model_info(name, revision=revision, timeout=30)
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        why = (str(error).strip().splitlines() or ["unreachable"])[0]
        raise UserError(
            f"{key}: {name}: no folder here, and the hub does not give it at {revision}: {why}"
        ) from None
    stated = info.card_data and info.card_data.get("license")
    weights = info.safetensors.total if info.safetensors else None
    return Checkpoint(name, str(info.sha), "", stated or Checkpoint.licence, weights)


def _parameters(folder: Path) -> int | None:
    total = 0
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        total += sum(math.prod(about["shape"]) for name, about in header.items() if name != "__metadata__")
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


def _hash_folder(folder: Path) -> str:
    files = sorted({path for pattern in PARTS for path in folder.rglob(pattern) if path.is_file()})
    whole = hashlib.sha256()
    for path in files:
        whole.update(f"{path.relative_to(folder)}\0{_hash_file(path)}\n".encode())
    return whole.hexdigest()[:32]


def _hash_file(path: Path) -> str:
    status = path.stat()
    if status.st_size < LARGE:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    seen = json.dumps([os.path.realpath(path), status.st_size, status.st_mtime_ns, status.st_ino])
    kept = cache_folder("hashes") / hashlib.sha256(seen.encode()).hexdigest()
    if kept.exists():
        return kept.read_text()
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    kept.parent.mkdir(parents=True, exist_ok=True)
    beside = kept.with_name(f".{kept.name}-{os.getpid()}")
    beside.write_text(found)
    beside.replace(kept)
    return found
