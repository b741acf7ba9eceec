"""Adapters that peft trained, put into the model they were trained for."""

from pathlib import Path
from typing import Any


def is_adapter(folder: str) -> bool:
    return Path(folder, "adapter_config.json").is_file()


def merge(adapter: str, place: Path) -> None:
    """Write the whole model, in the numbers of the model below it, and the tokenizer."""
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoTokenizer

    model: Any = AutoPeftModelForCausalLM.from_pretrained(adapter, dtype="auto").merge_and_unload()
    savable(model)
    model.save_pretrained(place)
    tokenizer: Any = AutoTokenizer.from_pretrained(adapter)  # type: ignore[no-untyped-call]
    tokenizer.save_pretrained(place)


def savable(model: Any) -> None:
    """A temperature without drawing, as some models have it, is what transformers would not save."""
    try:
        model.generation_config.validate(strict=True)
    except ValueError:
        model.generation_config.do_sample = True
