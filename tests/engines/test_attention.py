"""A model that caps its attention does so whoever opens it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma2Config, Gemma2ForCausalLM, LlamaConfig

from xlnu.engines.attention import suited
from xlnu.engines.hf import _open
from xlnu.stack.parents import llm
from xlnu.train.tuned import load

SMALL: Any = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_hidden_layers": 2,
    "num_key_value_heads": 2, "head_dim": 8,
}  # fmt: skip


@pytest.fixture
def capped(tmp_path: Path) -> str:
    torch.manual_seed(0)
    config: Any = Gemma2Config
    made: Any = Gemma2ForCausalLM
    model = made(config(**SMALL, attn_logit_softcapping=0.5, query_pre_attn_scalar=1))
    for one in model.parameters():
        torch.nn.init.normal_(one, std=0.5)
    model.save_pretrained(tmp_path)
    return str(tmp_path)


@torch.no_grad()
def test_caps_are_never_left_out(capped: str) -> None:
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    eager: Any = AutoModelForCausalLM.from_pretrained(capped, attn_implementation="eager")
    sdpa: Any = AutoModelForCausalLM.from_pretrained(capped, attn_implementation="sdpa")
    right = eager(ids).logits
    assert float((sdpa(ids).logits - right).abs().max()) > 1e-2, "if this ends, suited() has nothing to do any more"
    for opened in (
        load(capped, "fp32", None, recompute=False, attention="sdpa"),
        _open(AutoModelForCausalLM, capped, "float32", 0),
    ):
        torch.testing.assert_close(opened(ids).logits, right)
    states = eager(ids, output_hidden_states=True).hidden_states[-1]
    for attention in (None, "sdpa"):
        torch.testing.assert_close(llm(capped, torch.float32, attention)(ids).last_hidden_state, states)


def test_others_are_opened_as_asked(tmp_path: Path) -> None:
    made: Any = LlamaConfig
    made(**SMALL).save_pretrained(tmp_path)
    assert suited(str(tmp_path)) is None
    assert suited(str(tmp_path), "sdpa") == "sdpa"
