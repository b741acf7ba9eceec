"""Models that keep the examples of a pack apart, and models that do not."""

from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, BloomConfig, LlamaConfig, Qwen2Config

from xlnu.train.tuned import separates

SMALL: Any = {"vocab_size": 64, "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2}


def made(config: Any, dtype: torch.dtype) -> Any:
    torch.manual_seed(0)
    build: Any = AutoModelForCausalLM.from_config
    return build(config, attn_implementation="sdpa" if config.model_type != "bloom" else None).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_seen_which_model_is_which(dtype: torch.dtype) -> None:
    configs: list[Any] = [LlamaConfig, Qwen2Config, BloomConfig]
    llama, qwen, bloom = (made(config(**SMALL), dtype) for config in configs)
    assert separates(llama)
    assert separates(qwen)
    assert not separates(bloom)
