"""Packs and batches: the laws of putting examples together, and that a model sees each of them as if alone."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, Gemma2Config, LlamaConfig, MistralConfig, Qwen2Config

from xlnu.train.examples import Example
from xlnu.train.packing import IGNORED, Batch, pack, packed, padded


def skewed(seed: int, count: int, longest: int) -> list[int]:
    """Lengths as of answers: most are short, some are long."""
    drawn = np.random.default_rng(seed).lognormal(4.6, 0.8, count)
    return [min(longest, max(2, int(one))) for one in drawn]


def test_each_example_is_in_one_pack_and_none_is_too_full() -> None:
    rng = random.Random(0)
    for seed in range(200):
        length, count = rng.randint(2, 300), rng.randint(0, 400)
        lengths = [rng.randint(1, length) for _ in range(count)]
        window = rng.choice([1, 7, 64, 4096])
        packs = pack(lengths, length, seed, window)
        assert sorted(i for one in packs for i in one) == list(range(count))
        assert all(0 < sum(lengths[i] for i in one) <= length for one in packs)
        assert packs == pack(np.array(lengths), length, seed, window)


def test_little_of_a_pack_is_wasted() -> None:
    lengths = skewed(0, 20_000, 512)
    packs = pack(lengths, 512, 0)
    assert 1 - sum(lengths) / (512 * len(packs)) < 0.03


def test_packs_come_in_no_order_of_length() -> None:
    lengths = skewed(1, 8_000, 512)
    longest = np.array([max(lengths[i] for i in one) for one in pack(lengths, 512, 0)])
    assert abs(np.corrcoef(longest[:-1], longest[1:])[0, 1]) < 0.1
    assert pack(lengths, 512, 0) != pack(lengths, 512, 1)
    early = np.array([np.mean(one) for one in pack(lengths, 512, 0)[:500]])
    assert 3_500 < early.mean() < 4_500, "they are of all the examples, not of the first"


SHAPE: dict[str, Any] = {
    "vocab_size": 50, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "initializer_range": 0.3, "pad_token_id": 0,
}  # fmt: skip
SLIDING = {"sliding_window": 7}
MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    "llama": (LlamaConfig, {}),
    "qwen2": (Qwen2Config, {}),
    "qwen2, sliding": (Qwen2Config, {**SLIDING, "use_sliding_window": True, "max_window_layers": 1}),
    "mistral": (MistralConfig, {"sliding_window": None}),
    "mistral, sliding": (MistralConfig, SLIDING),
    "gemma2": (Gemma2Config, {**SLIDING, "head_dim": 8}),
}


def opened(name: str, attention: str) -> Any:
    kind, more = MODELS[name]
    torch.manual_seed(0)
    auto: Any = AutoModelForCausalLM
    model = auto.from_config(kind(**SHAPE, **more), attn_implementation=attention, dtype=torch.float32)
    return model.train()  # no dropout in any of them


def some(seed: int, count: int) -> list[Example]:
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        ids = [rng.randrange(1, 50) for _ in range(rng.randint(2, 40))]
        made.append(Example(ids, rng.randrange(1, len(ids))))
    return made


def losses(model: Any, inputs: dict[str, Any], batch: Batch) -> list[float]:
    """Of each example, as a model takes it: logits, and labels shifted by one over the whole row."""
    with torch.no_grad():
        logits = model(**inputs).logits
    shifted = torch.nn.functional.pad(batch.labels, (0, 1), value=IGNORED)[:, 1:]
    each = cross_entropy(logits.flatten(0, 1), shifted.flatten(), ignore_index=IGNORED, reduction="none")
    return [each[start:stop].sum().item() for start, stop in batch.spans]


def alone(model: Any, examples: list[Example]) -> list[float]:
    """By the model's own loss, and nothing of ours."""
    found = []
    with torch.no_grad():
        for one in examples:
            ids = torch.tensor([one.ids])
            labels = ids.masked_fill(torch.arange(len(one.ids)) < one.prompt, -100)
            found.append(model(input_ids=ids, labels=labels).loss.item() * (len(one.ids) - one.prompt))
    return found


def in_packs(examples: list[Example]) -> tuple[list[list[Example]], list[Example]]:
    packs = [[examples[i] for i in one] for one in pack([len(one.ids) for one in examples], 64, 0)]
    return packs, [one for some in packs for one in some]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", MODELS)
def test_an_example_has_the_same_loss_in_company_as_alone(name: str, attention: str) -> None:
    model = opened(name, attention)
    packs, examples = in_packs(some(0, 12))
    assert max(map(len, packs)) > 2
    expected = pytest.approx(alone(model, examples), rel=1e-5, abs=1e-5)
    for batch in (packed(packs, 0), packed(packs, 0, flat=True), padded(examples, 0)):
        assert losses(model, batch.inputs(), batch) == expected
    whole = packed(packs, 0)
    learned = sum(len(one.ids) - one.prompt for one in examples)
    own = model(**whole.inputs(), labels=whole.labels).loss.item() * learned
    assert own == pytest.approx(sum(alone(model, examples)), rel=1e-5), "and the model's own loss takes no more"


@pytest.mark.parametrize("name", MODELS)
def test_what_keeps_examples_apart_can_be_lost(name: str) -> None:
    """What inputs() gives is all needed: each of these lets an example read another, without a word."""
    model = opened(name, "sdpa")
    packs, examples = in_packs(some(0, 12))
    batch, expected = packed(packs, 0), np.array(alone(model, examples))
    onward = torch.arange(batch.input_ids.shape[1]).expand_as(batch.input_ids)
    changes: list[dict[str, Any]] = [
        {"position_ids": onward},
        {"attention_mask": torch.ones_like(onward)},
    ]
    if name != "gemma2":  # makes no cache in training
        changes.append({"use_cache": True})
    for change in changes:
        assert np.abs(losses(model, batch.inputs() | change, batch) - expected).max() > 0.01, change


def test_no_first_token_is_asked_of_the_example_before_it() -> None:
    packs, examples = in_packs(some(1, 30))
    for batch in (packed(packs, 0), packed(packs, 0, flat=True), padded(examples, 0)):
        ids, labels, positions = (t.flatten() for t in (batch.input_ids, batch.labels, batch.position_ids))
        for one, (start, stop) in zip(examples, batch.spans, strict=True):
            assert ids[start:stop].tolist() == one.ids
            assert labels[start:stop].tolist() == [IGNORED] * one.prompt + one.ids[one.prompt :]
            assert positions[start:stop].tolist() == list(range(len(one.ids)))
        assert (labels != IGNORED).sum() == sum(len(one.ids) - one.prompt for one in examples)
    mask = padded(examples, 0).attention_mask
    assert mask is not None
    assert mask.sum(1).tolist() == [len(one.ids) for one in examples]
    assert packed(packs, 0, flat=True).input_ids.shape == (1, sum(len(one.ids) for one in examples)), "no padding"
    with pytest.raises(AssertionError):
        packed([[examples[0], replace(examples[1], prompt=0)]], 0)


def test_padding_is_read_by_nobody() -> None:
    model = opened("mistral, sliding", "sdpa")
    packs, examples = in_packs(some(2, 12))
    for one, other in ((packed(packs, 0), packed(packs, 9)), (padded(examples, 0), padded(examples, 9))):
        assert not torch.equal(one.input_ids, other.input_ids)
        assert losses(model, one.inputs(), one) == losses(model, other.inputs(), other)
