"""What training leaves: a directory that transformers or peft open without us, with a card."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlnu.engines.adapters import merge, savable
from xlnu.engines.checkpoint import Checkpoint
from xlnu.manifest import CARD
from xlnu.steps import Files, Writer
from xlnu.store import Store
from xlnu.train.state import reader
from xlnu.train.tuned import LoraConfig, Numbers, adapted, dtype


@dataclass(frozen=True)
class Wanted:
    """What the directory is to hold."""

    model: Checkpoint
    numbers: Numbers
    lora: LoraConfig | None
    card: str


def write(writer: Writer, state: str, wanted: Wanted) -> None:
    """Put the model of a saved state into the step's folder. It holds the model in memory once, in a worker."""
    with tempfile.TemporaryDirectory() as place:
        made = Path(place, "made")
        made.mkdir()
        _save(here(writer.store, state, Path(place, "state")), made, wanted)
        _put(writer, made, wanted.card)


def here(store: Store, folder: str, place: Path) -> Path:
    """A folder on this machine's disk. What is on it is not copied: a state is six times a model in bf16."""
    if store.local:
        return Path(store.root, folder)
    place.mkdir()
    for entry in store.list(folder):
        store.fetch(entry.name, place / Path(entry.name).name)
    return place


def _save(saved: Path, made: Path, wanted: Wanted) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = wanted.model.local()
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype(wanted.numbers))
    if wanted.lora:
        model = adapted(model, wanted.lora)
    read = reader(saved)
    with torch.no_grad():
        for name, one in model.named_parameters():
            if one.requires_grad:
                one.copy_(read(f"weight {name}"))
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)  # type: ignore[no-untyped-call]
    if wanted.lora:
        about = model.peft_config["default"]
        about.base_model_name_or_path, about.revision = wanted.model.name, wanted.model.revision or None
    else:
        savable(model)
    model.save_pretrained(made)
    tokenizer.save_pretrained(made)


def write_merged(writer: Writer, base: Checkpoint, adapter: Files, card: str) -> None:
    """Put the model with its adapter merged in into the step's folder."""
    with tempfile.TemporaryDirectory() as place:
        merge(base.local(), str(adapter.local()), Path(place))
        _put(writer, Path(place), card)


def _put(writer: Writer, made: Path, card: str) -> None:
    (made / CARD).write_text(card, encoding="utf-8")  # over peft's own, an empty form
    for path in sorted(path for path in made.rglob("*") if path.is_file()):
        writer.store.put(f"{writer.address}/{path.relative_to(made)}", path)
