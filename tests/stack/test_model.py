"""The stack's forward pass, held against the same thing written down plainly, a text at a time."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from tests.stack.stacks import ENCODERS, FAMILIES, TEXTS, alone, llm, reader, stack
from xlnu.errors import UserError
from xlnu.stack.inputs import Tokens, padded
from xlnu.stack.model import StackModel
from xlnu.tiny.build import Built

FUSIONS = ["linear", "mlp", "end_token", "layer_mix", "layer_kv"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("families")


def read(model: StackModel, built: Built) -> list[Tokens]:
    texts, languages = zip(*TEXTS, strict=True)
    return reader(model, str(built.mt)).read(texts, languages)


def plain(model: StackModel, tokens: Tokens, built: Built, llm_folder: str) -> Tensor:
    """What the stack is to say of one text: its pooled state. No padding, no mask, every step on its own."""
    config, weights = model.config, dict(model.fusion.named_parameters())
    seq2seq: Any = AutoModel.from_pretrained(built.mt)
    own: Any = AutoModel.from_pretrained(llm_folder, attn_implementation="eager")
    encoded = seq2seq.get_encoder()(torch.tensor([tokens.ids]), output_hidden_states=True)
    layers = [one[0] for one in encoded.hidden_states]
    states = layers[-1]
    if config.fusion == "layer_mix":
        states = sum(w * one for w, one in zip(weights["weights"].softmax(0), layers, strict=True))
    if config.fusion == "mlp":
        states = functional.relu(states @ weights["first.weight"].T + weights["first.bias"])
        vectors = states @ weights["second.weight"].T + weights["second.bias"]
    else:
        vectors = states @ weights["project.weight"].T + weights["project.bias"]
    rows, counted = list(vectors), [config.special] + [True] * (len(vectors) - 2) + [config.special]
    if config.code == "begin":
        rows[0] = own.get_input_embeddings()(torch.tensor(model.begin))
    if config.end == "drop":
        rows, counted = rows[:-1], counted[:-1]
    if config.code == "drop":
        rows, counted = rows[1:], counted[1:]
    if config.fusion in ("mlp", "end_token"):
        rows.append(weights["boundary" if config.fusion == "mlp" else "vector"])
        counted.append(config.special)
    given = torch.stack(rows)[None]
    inner = given if config.fusion != "layer_kv" else None
    found = _layers(own, given, config.attention) if inner is not None else _with_cross(model, own, given, layers)
    return found[0][torch.tensor(counted)].mean(0)


def _layers(own: Any, given: Tensor, attention: str) -> Tensor:
    n = given.shape[1]
    everything = torch.zeros(1, 1, n, n)
    mask = everything if attention == "bidirectional" else None
    found: Tensor = own(inputs_embeds=given, attention_mask=mask, use_cache=False).last_hidden_state
    return found


def _with_cross(model: StackModel, own: Any, given: Tensor, layers: list[Tensor]) -> Tensor:
    """A Llama, layer by layer, with LayAlign's attention beside its own."""
    n, fused = given.shape[1], model.fusion
    weights = dict(fused.named_parameters())
    mask = torch.zeros(1, 1, n, n)
    if model.config.attention == "causal":
        mask = torch.full((n, n), -torch.inf).triu(1)[None, None]
    places = own.rotary_emb(given, torch.arange(n)[None])
    hidden = given
    for number, layer in enumerate(own.layers):
        normed = layer.input_layernorm(hidden)
        said = layer.self_attn(normed, position_embeddings=places, attention_mask=mask)[0]
        keys, values = (
            functional.relu(sum(w * one for w, one in zip(weights["mix"][i, number], layers, strict=True)))
            @ weights["lift.weight"].T
            for i in (0, 1)
        )
        att = layer.self_attn
        q = att.q_proj(normed)[0].view(n, 4, 8)
        k, v = (
            made(x).view(-1, 2, 8).repeat_interleave(2, 1) for made, x in ((att.k_proj, keys), (att.v_proj, values))
        )
        heads = [((q[:, h] @ k[:, h].T) * 8**-0.5).softmax(-1) @ v[:, h] for h in range(4)]
        cross = att.o_proj(torch.cat(heads, -1))
        hidden = hidden + said + weights["gates"][number] * cross
        hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
    found: Tensor = own.norm(hidden)
    return found


@pytest.mark.parametrize("attention", ["bidirectional", "causal"])
@pytest.mark.parametrize("fusion", FUSIONS)
@torch.no_grad()
def test_the_forward_pass_is_what_it_says(fusion: str, attention: str, tiny: Built, folder: Path) -> None:
    """Padded left or right, one at a time or all at once, three languages together."""
    own = llm("Llama", tiny, folder)
    model = stack(str(tiny.mt), own, fusion=fusion, attention=attention)
    tokens = read(model, tiny)
    right = torch.stack([plain(model, one, tiny, own) for one in tokens])
    for side in ("left", "right"):
        torch.testing.assert_close(model(*padded(tokens, 1, side=side)).pooled[:, 0], right, atol=1e-5, rtol=1e-5)
    alone = torch.cat([model(*padded([one], 1)).pooled[:, 0] for one in tokens])
    torch.testing.assert_close(alone, right, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize(
    ("code", "end"), [("drop", "drop"), ("keep", "drop"), ("begin", "drop"), ("begin", "keep")]
)
@torch.no_grad()
def test_what_code_and_end_become(code: str, end: str, special: bool, tiny: Built, folder: Path) -> None:
    own = llm("Llama", tiny, folder)
    model = stack(str(tiny.mt), own, code=code, end=end, special=special)
    tokens = read(model, tiny)
    right = torch.stack([plain(model, one, tiny, own) for one in tokens])
    torch.testing.assert_close(model(*padded(tokens, 1)).pooled[:, 0], right, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("attention", ["bidirectional", "causal"])
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_every_family_attends_as_asked(family: str, attention: str, tiny: Built, folder: Path) -> None:
    """A later token changes an earlier state where attention goes both ways, and does not where it is causal."""
    own = llm(family, tiny, folder)
    model = stack(str(tiny.mt), own, view="llm", attention=attention)
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    other = torch.tensor([[5, 6, 7, 8, 11]])
    one, two = (model(given, torch.ones_like(given)).last_hidden_state[0] for given in (ids, other))
    moved = (one - two).abs().max(-1).values
    assert moved[-1] > 1e-3
    if attention == "causal":
        assert moved[:-1].max() == 0
    else:
        assert moved[:-1].min() > 1e-4


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_every_family_ignores_padding(family: str, tiny: Built, folder: Path) -> None:
    own = llm(family, tiny, folder)
    model = stack(str(tiny.mt), own)
    tokens = read(model, tiny)
    alone = torch.cat([model(*padded([one], 1)).pooled for one in tokens])
    for side in ("left", "right"):
        torch.testing.assert_close(model(*padded(tokens, 1, side=side)).pooled, alone, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_llm_alone_reads_as_transformers_does(tiny: Built, folder: Path) -> None:
    for family in FAMILIES:
        own = llm(family, tiny, folder)
        model = stack(str(tiny.mt), own, view="llm", attention="causal")
        ids = torch.tensor([[5, 6, 7, 8, 9]])
        right = AutoModelForCausalLM.from_pretrained(own, attn_implementation="eager")(
            ids, output_hidden_states=True
        ).hidden_states[-1]
        said = model(ids, torch.ones_like(ids)).last_hidden_state
        torch.testing.assert_close(said, right, atol=5e-5, rtol=1e-4)  # of states between -10 and 10


@pytest.mark.parametrize("family", ENCODERS)
@torch.no_grad()
def test_an_encoder_of_many_languages_alone_reads_as_transformers_does(
    family: str, tiny: Built, folder: Path
) -> None:
    own = alone(family, tiny, folder)
    model = stack(str(tiny.mt), own, view="llm")
    texts, languages = zip(*TEXTS, strict=True)
    tokens = reader(model, own, "llm").read(texts, languages)
    theirs = AutoTokenizer.from_pretrained(own)(  # type: ignore[no-untyped-call]
        [text for (text,) in texts]
    )["input_ids"]
    assert [one.ids for one in tokens] == theirs
    plain = AutoModel.from_pretrained(own).eval()
    right = [plain(torch.tensor([one.ids])).last_hidden_state[0] for one in tokens]
    for side in ("left", "right"):
        ids, mask, groups = padded(tokens, 1, side=side)
        said = model(ids, mask, groups)
        for number, one in enumerate(right):
            states = said.last_hidden_state[number][mask[number].bool()]
            torch.testing.assert_close(states, one, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(said.pooled[number, 0], one.mean(0), atol=1e-5, rtol=1e-5)


def test_the_encoder_is_never_in_training(tiny: Built, folder: Path) -> None:
    model = stack(str(tiny.mt), llm("Llama", tiny, folder))
    model.train()
    assert model.llm.training
    assert not any(module.training for module in model.encoder.modules())


def test_an_unknown_family_of_settings_is_refused(tiny: Built, folder: Path) -> None:
    with pytest.raises(UserError, match=r"fusion: 'glue'; allowed: linear, mlp"):
        stack(str(tiny.mt), llm("Llama", tiny, folder), fusion="glue")


@pytest.mark.parametrize("fusion", ["mlp", "end_token"])
@torch.no_grad()
def test_what_comes_behind_belongs_to_no_choice(fusion: str, tiny: Built, folder: Path) -> None:
    """Special places are pooled with texts; a choice has its own tokens alone."""
    own = llm("Llama", tiny, folder)
    model = stack(str(tiny.mt), own, fusion=fusion, task="choice", labels=None, special=True)
    (tokens,) = reader(model, str(tiny.mt)).read([["the boy", "who?", "plum", "red cup"]], ["eng_Latn"])
    found = model(*padded([tokens], 1))
    groups = torch.tensor([*tokens.groups, 0])
    for number in (1, 2):
        states = found.last_hidden_state[0][groups == number]
        torch.testing.assert_close(found.pooled[0, number - 1], states.mean(0))
