"""Attention of an LLM in both directions (as LLM2Vec has it) or to what came before."""

from typing import Any

import torch
from torch import Tensor

from xlnu.stack.config import Attention
from xlnu.stack.fusion import attentions


def prepare(llm: Any, attention: Attention) -> None:
    """Flash attention asks the module; and so does sdpa where nothing is padded, and it is given no mask."""
    for module in attentions(llm):
        module.is_causal = attention == "causal"  # type: ignore[assignment]


def mask_for(llm: Any, attention: Attention, seen: Tensor, dtype: torch.dtype) -> Tensor:
    """What the LLM is given as its attention_mask. A mask of four dimensions is taken as it is by all families, in
    every layer: layers with a sliding window see the whole text as well.
    """
    how = llm.config._attn_implementation
    if attention == "causal" or how.startswith("flash"):
        return seen.long()
    allowed = seen[:, None, None, :].bool()
    if how == "sdpa":
        return allowed.expand(-1, 1, seen.shape[1], -1)
    return torch.zeros(allowed.shape, dtype=dtype, device=seen.device).masked_fill(~allowed, torch.finfo(dtype).min)
