"""A merged model's files, as transformers writes them: shards with an index, or one file where all fits in it."""

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from xlnu.merge.choose import Choice
from xlnu.merge.parents import Parent, layer
from xlnu.merge.weights import INDEX, half_of_each

# What a model needs beside its weights.
COPIED = (
    "config.json", "generation_config.json", "chat_template*", "additional_chat_templates/*", "tokenizer*",
    "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "*.model", "*.tiktoken",
)  # fmt: skip


def write_weights(
    folder: Path, language: Parent, task: Parent, choice: Choice, shard: int, advance: Callable[[int], None]
) -> None:
    """One shard is in memory at a time. Their names and order do not depend on how the experts' files are cut."""
    from huggingface_hub import split_state_dict_into_shards_factory
    from safetensors.torch import save_file

    split = split_state_dict_into_shards_factory(
        {name: language.weights.size(name) for name in sorted(language.weights.shapes)},
        get_storage_size=lambda size: size,
        filename_pattern="model{suffix}.safetensors",
        max_shard_size=shard,
    )
    for file, inside in split.filename_to_tensors.items():
        tensors = {}
        for name in inside:
            i = layer(name)
            origin = choice.rest if i is None else choice.layers[i]
            if origin == "half of each":
                tensors[name] = half_of_each(language.weights, task.weights, name)
            else:
                tensors[name] = (language if origin == "language" else task).weights.read(name)
            advance(1)
        save_file(tensors, folder / file, metadata={"format": "pt"})  # without it transformers refuses the file
        shutil.copymode(folder / "config.json", folder / file)  # safetensors lets only the owner read it
    if split.is_sharded:
        values = sum(map(math.prod, language.weights.shapes.values()))
        about = {"total_parameters": values, **split.metadata}
        index = {"metadata": about, "weight_map": split.tensor_to_filename}
        (folder / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def copy_rest(folder: Path, expert: Parent) -> None:
    """Configuration, tokenizer and chat template of an expert."""
    for path in (path for pattern in COPIED for path in expert.folder.glob(pattern) if path.is_file()):
        to = folder / path.relative_to(expert.folder)
        to.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, to)


def sync(folder: Path) -> None:
    """Else a power cut can leave the names with nothing behind them."""
    for path in folder.rglob("*"):
        handle = os.open(path, os.O_RDONLY)  # of a folder too
        os.fsync(handle)
        os.close(handle)
