"""The models that are merged: opened, and refused where they are not experts of one architecture."""

import inspect
import json
import re
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlnu.engines.checkpoint import PARTS, Checkpoint, find
from xlnu.errors import UserError, first_line
from xlnu.merge.weights import FLOATS, Weights

LAYER = re.compile(r"model\.layers\.(\d+)\.")
HEAD = "lm_head.weight"
TOKENIZER = ("tokenizer.json", "tokenizer.model", "vocab.json")  # one of these is what others are known by
PROJECTIONS = tuple(f"self_attn.{x}_proj" for x in "qkvo") + tuple(f"mlp.{x}_proj" for x in ("gate", "up", "down"))

# Settings of an architecture that change nothing of what its weights compute.
_FREE = {
    "attention_dropout", "bos_token_id", "eos_token_id", "initializer_range", "max_position_embeddings",
    "pad_token_id", "pretraining_tp", "use_cache",
}  # fmt: skip


@dataclass(frozen=True)
class Parent:
    label: str  # the setting that named it, and what it said
    checkpoint: Checkpoint
    folder: Path
    config: Any
    weights: Weights

    @property
    def depth(self) -> int:
        return int(self.config.num_hidden_layers)


def layer(name: str) -> int | None:
    """Which layer a tensor is of; None: the embeddings, the last norm, the head."""
    found = LAYER.match(name)
    return int(found[1]) if found else None


def projection(layer: int, name: str) -> str:
    return f"model.layers.{layer}.{name}.weight"


def open_parent(key: str, name: str) -> Parent:
    from transformers import AutoConfig

    label = f"{key}: {name}"
    _refuse_adapter(label, Path(name).expanduser())  # to `find` it would be a folder without a model
    checkpoint = find(key, name)
    folder = Path(checkpoint.local([part for part in PARTS if part not in ("*.bin", "*.ckpt")]))
    _refuse_adapter(label, folder)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{label}: its config.json cannot be read: {first_line(error)}") from None
    architecture = (config.architectures or ["none"])[0]
    if not architecture.endswith("ForCausalLM") or not hasattr(config, "num_hidden_layers"):
        raise UserError(f"{label}: no causal LM: the architecture in its config.json is {architecture}")
    parent = Parent(label, checkpoint, folder, config, Weights(folder, label))
    _check(parent, architecture)
    return parent


def _refuse_adapter(label: str, folder: Path) -> None:
    about = folder / "adapter_config.json"
    if about.is_file():
        try:
            base = json.loads(about.read_text(encoding="utf-8"))["base_model_name_or_path"] or "its base"
        except (ValueError, KeyError, TypeError):
            base = "its base"
        raise UserError(
            f"{label}: is a PEFT adapter: merge it into {base} first, with "
            "AutoPeftModelForCausalLM.from_pretrained(FOLDER).merge_and_unload().save_pretrained(ANOTHER_FOLDER)"
        )


def _check(parent: Parent, architecture: str) -> None:
    """Whether a model is whole, and one of those that are merged by their tensors' names."""
    weights = parent.weights
    for name, dtype in sorted(weights.dtypes.items()):
        if dtype not in FLOATS:
            raise UserError(f"{parent.label}: {name} is {dtype}: quantised weights cannot be merged")
    layers = {found for found in map(layer, weights.shapes) if found is not None}
    if not layers:
        raise UserError(f"{parent.label}: no tensor is named model.layers.N: {architecture} cannot be merged")
    if layers != set(range(parent.depth)):
        odd = min(layers ^ set(range(parent.depth)))
        raise UserError(
            f"{parent.label}: config.json says {parent.depth} layers, and layer {odd} of the weights "
            f"{'is beyond them' if odd in layers else 'is missing'}"
        )
    if not parent.config.tie_word_embeddings and HEAD not in weights.shapes:
        raise UserError(f"{parent.label}: there is no {HEAD}, and config.json says that it is not the embeddings")


def compare(one: Parent, other: Parent) -> None:
    """Raise UserError unless these are two experts, any tensor of which may stand for the other's."""
    _same_config(one, other)
    apart = one.weights.shapes.keys() ^ other.weights.shapes.keys()
    if apart:
        name = min(apart)
        lacks, has = (one, other) if name in other.weights.shapes else (other, one)
        raise UserError(f"{lacks.label}: {name} is missing, which {has.label.replace(': ', '=', 1)} has")
    for name in sorted(one.weights.shapes):
        _same_shape(one, other, name)
        a, b = one.weights.dtypes[name], other.weights.dtypes[name]
        if a != b:
            raise UserError(
                f"{other.label}: {name} is {FLOATS[b]}, and {FLOATS[a]} in {one.label}: save both in one dtype"
            )
    _same_vocabulary(one, other)


def compare_base(base: Parent, expert: Parent) -> None:
    """The same for a base, of which only the projections are read; its vocabulary may be smaller."""
    _same_config(expert, base, {"vocab_size"})
    for i in range(base.depth):
        for name in (projection(i, each) for each in PROJECTIONS):
            for one in (expert, base):
                if name not in one.weights.shapes:
                    raise UserError(f"{one.label}: {name} is missing, which adaptive compares")
            _same_shape(expert, base, name)


def _same_config(one: Parent, other: Parent, besides: Set[str] = frozenset()) -> None:
    own = inspect.signature(type(one.config).__init__).parameters.keys() - {"self", "kwargs"}
    for key in ["model_type", "architectures", *sorted(own - _FREE - besides)]:
        a, b = getattr(one.config, key, None), getattr(other.config, key, None)
        if a != b:
            raise UserError(
                f"{other.label}: {key} is {b} in its config.json, and {a} in {one.label}: only models of one "
                "architecture can be merged"
            )


def _same_shape(one: Parent, other: Parent, name: str) -> None:
    a, b = (list(parent.weights.shapes[name]) for parent in (one, other))
    if a != b:
        raise UserError(f"{other.label}: {name} has the shape {b}, and {a} in {one.label}")


def _same_vocabulary(one: Parent, other: Parent) -> None:
    a, b = _vocabulary(one), _vocabulary(other)
    if a is None and b is None:
        return
    if a is None or b is None:
        lacks, has = (one, other) if a is None else (other, one)
        raise UserError(
            f"{lacks.label}: has no tokenizer to compare with that of {has.label}: copy it there if it is the same"
        )
    if a != b:
        token = min(token for token in a.keys() | b.keys() if a.get(token) != b.get(token))
        raise UserError(
            f"{other.label}: its tokenizer is not that of {one.label}: {token!r} is {b.get(token, 'not in it')} "
            f"here, and {a.get(token, 'not in it')} there"
        )


def _vocabulary(parent: Parent) -> dict[str, int] | None:
    from transformers import AutoTokenizer

    if not any((parent.folder / name).is_file() for name in TOKENIZER):
        return None
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(parent.folder)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise UserError(f"{parent.label}: its tokenizer cannot be opened: {first_line(error)}") from None
    found: dict[str, int] = tokenizer.get_vocab()
    return found
