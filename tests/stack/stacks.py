"""Small parents of every family, with random weights, and stacks of them."""

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoTokenizer

from xlnu.engines.checkpoint import Checkpoint, find
from xlnu.stack import artefact, parents
from xlnu.stack.config import StackConfig
from xlnu.stack.inputs import Reader
from xlnu.stack.model import StackModel
from xlnu.tiny.build import Built

FAMILIES = ["Llama", "Mistral", "Qwen2", "Qwen3", "Gemma", "Gemma2", "Gemma3"]
ENCODERS = ["Bert", "Roberta", "XLMRoberta", "XLMRobertaXL", "ModernBert"]
TEXTS = [
    (["the boy sees the old horse."], "eng_Latn"),
    (["x"], "qaa_Latn"),
    (["a baker buys a red plum near the river and the old man sees it."], "qab_Cyrl"),
]


def llm(family: str, built: Built, folder: Path) -> str:
    """An LLM of a family, with the tiny world's tokenizer."""
    place = folder / family
    if not place.exists():
        tokenizer: Any = AutoTokenizer.from_pretrained(built.llm)  # type: ignore[no-untyped-call]
        name = f"{family}TextConfig" if family == "Gemma3" else f"{family}Config"
        config = getattr(transformers, name)(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=3,
            num_attention_heads=4, num_key_value_heads=2, head_dim=8, max_position_embeddings=256,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=0,
        )  # fmt: skip
        _drawn(f"{family}ForCausalLM", config, tokenizer, place)
    return str(place)


def _drawn(kind: str, config: Any, tokenizer: Any, place: Path) -> None:
    torch.manual_seed(1)
    model = getattr(transformers, kind)(config)
    for one in model.parameters():
        if one.dim() > 1:
            torch.nn.init.normal_(one, std=0.2)
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)


def alone(family: str, built: Built, folder: Path) -> str:
    """An encoder of XLM-R's kind, with a head as they are published, and the tiny world's tokenizer."""
    place = folder / family
    if not place.exists():
        tokenizer: Any = AutoTokenizer.from_pretrained(built.llm)  # type: ignore[no-untyped-call]
        config = getattr(transformers, f"{family}Config")(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=3,
            num_attention_heads=4, max_position_embeddings=130, type_vocab_size=1,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=0, cls_token_id=tokenizer.bos_token_id,
            sep_token_id=tokenizer.eos_token_id,
        )  # fmt: skip
        _drawn(f"{family}ForMaskedLM", config, tokenizer, place)
    return str(place)


def stack(encoder: str, llm: str, seed: int = 0, **about: Any) -> StackModel:
    """Every weight of the fusion is drawn, also those that begin as 0."""
    of: dict[str, Checkpoint] = {"encoder": find("encoder.model", encoder), "llm": find("llm.model", llm)}
    config = StackConfig(
        encoder=parents.described(of["encoder"]), llm=parents.described(of["llm"]),
        **({"task": "text", "labels": ["a", "b", "c"]} | about),
    )  # fmt: skip
    torch.manual_seed(seed)
    model = artefact.build(config, {part: one.local() for part, one in of.items()}, torch.float32)
    for _, one in model.own():
        torch.nn.init.normal_(one, std=0.2)
    model.eval()  # type: ignore[no-untyped-call]
    return model


def reader(model: StackModel, folder: str, part: Any = "encoder") -> Reader:
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)  # type: ignore[no-untyped-call]
    config: Any = model.config
    return Reader(tokenizer, config, part, folder)
