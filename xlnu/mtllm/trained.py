"""A training's model, opened in a worker before it and written into its step's folder after it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlnu.manifest import CARD
from xlnu.steps import Writer
from xlnu.train import tuned
from xlnu.train.tuned import dtype

if TYPE_CHECKING:
    from xlnu.mtllm.recipes import Training
    from xlnu.stack.model import StackModel


def opened(recipe: "Training") -> "StackModel":
    """What the recipe starts from, ready to be trained."""
    from xlnu.stack import artefact, parents
    from xlnu.stack.config import StackConfig

    start = recipe.start.local()
    config = StackConfig.from_pretrained(start)
    fresh = config.task is None and "task" in recipe.changed
    for name, value in recipe.changed.items():
        setattr(config, name, value)
    folders, there = recipe.parents.folders(), start / artefact.ADAPTER
    adapter = str(there) if there.is_dir() else None
    model = artefact.build(config, folders, dtype(recipe.numbers), recipe.attention, adapter)
    artefact.put(model, start, but=("head.",) if fresh else ())
    if recipe.goal == "map":
        model.lm_head = parents.head(folders["llm"], dtype(recipe.numbers))
    if recipe.head:
        artefact.put_head(model, recipe.head.local())
    _learning(model, recipe, adapted=adapter is not None)
    numbers: Any = dtype(recipe.numbers)
    model.to(numbers)
    return model


def _learning(model: "StackModel", recipe: "Training", *, adapted: bool) -> None:
    """Which weights are learned: the LLM's adapter, the fusion, a head that is no teacher's. Never the parents'."""
    model.requires_grad_(False)
    if model.llm is not None and recipe.lora is not None and not adapted:
        model.llm = tuned.adapted(model.llm, recipe.lora, recipe.key, "FEATURE_EXTRACTION")
    for name, one in model.named_parameters():
        of_adapter = name.startswith("llm.") and "lora_" in name
        of_fusion = name.startswith("fusion.") and recipe.fusion_scale > 0
        of_head = name.startswith("head.") and recipe.head is None
        one.requires_grad_(of_adapter or of_fusion or of_head)


@dataclass(frozen=True)
class Wanted:
    recipe: "Training"
    part: str  # whose tokenizer it reads with: the encoder's or the LLM's
    card: str


def write(writer: Writer, state: str, wanted: Wanted) -> None:
    """Put the model of a saved state into the step's folder."""
    import torch

    from xlnu.train.result import here
    from xlnu.train.state import reader

    with tempfile.TemporaryDirectory() as place:
        model = opened(wanted.recipe)
        read = reader(here(writer.store, state, Path(place, "state")))
        with torch.no_grad():
            for name, one in model.named_parameters():
                if one.requires_grad:
                    one.copy_(read(f"weight {name}"))
        made = Path(place, "made")
        save(model, made, wanted.recipe.parents.folders()[wanted.part], wanted.card)
        put(writer, made)


def save(model: "StackModel", made: Path, tokenizer: str, card: str) -> None:
    from transformers import AutoTokenizer

    model.save_pretrained(str(made))
    opened: Any = AutoTokenizer.from_pretrained(tokenizer)  # type: ignore[no-untyped-call]
    opened.save_pretrained(made)
    (made / CARD).write_text(card, encoding="utf-8")


def put(writer: Writer, made: Path) -> None:
    for path in sorted(path for path in made.rglob("*") if path.is_file()):
        writer.store.put(f"{writer.address}/{path.relative_to(made)}", path)
