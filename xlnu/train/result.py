"""What training leaves: a directory that transformers or peft open without us, with a card."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from xlnu.engines.checkpoint import Checkpoint
from xlnu.steps import Writer
from xlnu.store import Store
from xlnu.train.state import reader
from xlnu.train.tuned import LoraConfig, Numbers, adapted, dtype

Form = Literal["model", "adapter", "both"]
ADAPTER = "adapter"  # the folder of it where both are wanted


@dataclass(frozen=True)
class Wanted:
    """What the directory is to hold."""

    model: Checkpoint
    numbers: Numbers
    lora: LoraConfig | None
    form: Form
    card: str


def write(writer: Writer, state: str, wanted: Wanted) -> None:
    """Put the model of a saved state into the step's folder. It holds the model in memory once, in a worker."""
    with tempfile.TemporaryDirectory() as place:
        saved, made = Path(place, "state"), Path(place, "made")
        _fetched(writer.store, state, saved)
        made.mkdir()
        _save(saved, made, wanted)
        (made / "README.md").write_text(wanted.card, encoding="utf-8")
        for path in sorted(path for path in made.rglob("*") if path.is_file()):
            writer.store.put(f"{writer.address}/{path.relative_to(made)}", path)


def _fetched(store: Store, folder: str, place: Path) -> None:
    place.mkdir()
    for entry in store.list(folder):
        store.fetch(entry.name, place / Path(entry.name).name)


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
    try:
        model.generation_config.validate(strict=True)
    except ValueError:  # a temperature without drawing, as some models have it: transformers would not save that
        model.generation_config.do_sample = True
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)  # type: ignore[no-untyped-call]
    if wanted.lora and wanted.form != "model":
        place = made if wanted.form == "adapter" else made / ADAPTER
        model.peft_config["default"].base_model_name_or_path = wanted.model.name
        model.save_pretrained(place)
        (place / "README.md").unlink(missing_ok=True)  # peft's empty form; ours is told beside it
    if wanted.form != "adapter" or not wanted.lora:
        whole = model.merge_and_unload() if wanted.lora else model
        whole.save_pretrained(made)
    tokenizer.save_pretrained(made)
