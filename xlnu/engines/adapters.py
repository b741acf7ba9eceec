"""Adapters that peft trained, put into the model they were trained for."""

from pathlib import Path
from typing import Any


def merge(base: str, adapter: str, place: Path) -> None:
    """Write the whole model, in the numbers of its base, and the tokenizer. The base is where we found it: what the
    adapter says of it may have moved, or be another revision.
    """
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    below: Any = AutoModelForCausalLM.from_pretrained(base, dtype="auto")
    model: Any = PeftModel.from_pretrained(below, adapter)
    whole = model.merge_and_unload()
    savable(whole)
    whole.save_pretrained(place)
    tokenizer: Any = AutoTokenizer.from_pretrained(adapter)  # type: ignore[no-untyped-call]
    tokenizer.save_pretrained(place)


def savable(model: Any) -> None:
    """A temperature without drawing, as some models have it, is what transformers would not save."""
    try:
        model.generation_config.validate(strict=True)
    except ValueError:
        model.generation_config.do_sample = True
