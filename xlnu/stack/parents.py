"""The models that a stack is made of: found by id and revision or by the hash of their content, and opened.

A parent that has changed is refused: the fusion and the adapter were trained for what it was.
"""

from pathlib import Path
from typing import Any

import torch

from xlnu.engines.attention import suited
from xlnu.engines.checkpoint import Checkpoint, find
from xlnu.errors import UserError
from xlnu.stack.config import StackConfig

T5S = ("t5", "mt5", "umt5")  # their encoders alone are models of their own
ENCODERS = ("bert", "roberta", "xlm-roberta", "xlm-roberta-xl", "modernbert")  # models that are nothing else


def described(checkpoint: Checkpoint) -> dict[str, str]:
    """What config.json says of a parent."""
    return {"name": checkpoint.name, **checkpoint.identity}


def folder_of(part: str, config: StackConfig, own: Path, elsewhere: str | None) -> str:
    """Where a parent's files lie here. `elsewhere`: where the caller says that they lie now."""
    about = getattr(config, part)
    if "folder" in about:
        return str(own / about["folder"])
    name = elsewhere or about["name"]
    place = Path(name).expanduser()
    if elsewhere is None and about.get("content") and "://" not in name and not place.is_dir():
        raise UserError(
            f"{part}: {name}: there is no such folder; say where it lies: from_pretrained(..., {part}=FOLDER)"
        )
    if place.is_dir() and "revision" in about:  # a folder's content says nothing of a commit, but its name may
        if place.name != about["revision"]:
            known = f"{about['name']} at {about['revision']}"
            raise UserError(
                f"{part}: {name}: should be {known}: give that model's name, or its folder in the hub's cache, "
                f"snapshots/{about['revision']}"
            )
        return str(place)
    found = find(part, name, about.get("revision", "main"))
    if about.get("content", found.content) != found.content or (found.revision or None) != about.get("revision"):
        known = about.get("content") or about["revision"]
        raise UserError(
            f"{part}: {name}: is not what this stack was trained with: it is {found.content or found.revision}, "
            f"and should be {known}"
        )
    return found.local()


def encoder(folder: str, dtype: torch.dtype | str, attention: str | None = None) -> Any:
    """The encoder of a translation model, frozen: NLLB, M2M-100, MADLAD and other T5s, mT5.

    `attention`: None leaves it to transformers, which takes the fastest that the model can do.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding

    about: Any = AutoConfig.from_pretrained(folder)
    if about.model_type in T5S:
        found = _opened(AutoModelForTextEncoding, folder, "encoder.", dtype=dtype)
    elif about.is_encoder_decoder:
        found = _opened(AutoModel, folder, "encoder.", dtype=dtype, attn_implementation=attention).get_encoder()
    else:
        raise UserError(f"{folder}: {about.model_type}: a stack needs the encoder of a translation model")
    return found.requires_grad_(False).eval()


def llm(folder: str, dtype: torch.dtype | str, attention: str | None = None) -> Any:
    """A decoder without its head, frozen. Not by AutoModel: of a Gemma 3 with a head that leaves every weight drawn
    anew (transformers 4.57). Or an encoder of XLM-R's kind, to be read by in its place.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    how = suited(folder, attention)
    about = AutoConfig.from_pretrained(folder)
    if is_encoder(about):
        # most checkpoints have no pooler, and nothing here asks for one
        bare = {} if about.model_type == "modernbert" else {"add_pooling_layer": False}
        found = _opened(AutoModel, folder, "", dtype=dtype, attn_implementation=how, **bare)
        return found.requires_grad_(False).eval()
    found = _opened(AutoModelForCausalLM, folder, "layers.", dtype=dtype, attn_implementation=how)
    found = found.get_decoder()
    found.config.use_cache = False
    return found.requires_grad_(False).eval()


def head(folder: str, dtype: torch.dtype | str) -> Any:
    """What makes words of a decoder's states, frozen."""
    from transformers import AutoModelForCausalLM

    found = _opened(AutoModelForCausalLM, folder, "", dtype=dtype)
    return found.get_output_embeddings().requires_grad_(False)


def _opened(kind: Any, folder: str, part: str, **how: Any) -> Any:
    """UserError where a weight of the part that is used is not in the checkpoint: transformers would draw it."""
    with _quiet():
        model, told = kind.from_pretrained(folder, output_loading_info=True, **how)
    missing = sorted(name for name in told["missing_keys"] if part in name)
    if missing:
        raise UserError(f"{folder}: {len(missing)} weights of the model are not in it, such as {missing[0]}")
    return model


class _quiet:  # noqa: N801  a context manager, used as a function
    """The half that is left out (a decoder, a head) is no reason to warn."""

    def __enter__(self) -> None:
        from transformers.utils import logging

        self.level = logging.get_verbosity()
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]

    def __exit__(self, *_: object) -> None:
        from transformers.utils import logging

        logging.set_verbosity(self.level)


def depth(encoder: Any) -> int:
    """Its layers, and the embeddings below them."""
    about = encoder.config
    layers: int = getattr(about, "encoder_layers", None) or about.num_layers
    return layers + 1


def is_encoder(config: Any) -> bool:
    """Of XLM-R's kind: it reads in both directions and counts positions by itself."""
    return config.model_type in ENCODERS and not getattr(config, "is_decoder", False)


def first_position(encoder: Any) -> int:
    """RoBERTa and its heirs count from behind the number of their padding."""
    padding = getattr(encoder.base_model.embeddings, "padding_idx", None)
    return 0 if padding is None else int(padding) + 1


def text_config(llm: Any) -> Any:
    """Gemma 3 keeps what belongs to text apart."""
    return llm.config.get_text_config()
