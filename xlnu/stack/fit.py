"""The first weights of a fusion in closed form: from the encoder's states to the LLM's input embeddings, over
tokens that hold the same characters in both tokenizers.

A linear projection by least squares. For the mlp, a hidden unit for each of the commonest tokens, roused by the
mean of its states and by little else, and the second layer by least squares from what they say; with more units
than tokens, the rest begins at random and is not heard.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from xlnu.errors import UserError
from xlnu.stack.fusion import LayerMix, Mlp, mixed
from xlnu.stack.inputs import Reader, Tokens, batches, padded, same_tokens
from xlnu.stack.model import StackModel

THRESHOLD = 0.7  # of a unit's own token: what rouses it
NOISE = 0.2  # on the states that the second layer is fitted to: a foreign word lies beside its translation
RIDGE = 1e-2
TOKENS = 4096  # computed at once
MATCHES = 200_000  # are enough: some hundred for each of the commonest tokens, and 3 GB at 4,096 numbers each


@torch.no_grad()
def fit(model: StackModel, encoder: Reader, llm: Reader, texts: Sequence[str], seed: int) -> int:
    """Fit the fusion of a stack to some texts in its source language; how many tokens matched."""
    x, y, kinds = _pairs(model, encoder, llm, texts)
    if len(x) < 2:
        raise UserError("stack.init: no token of the texts is the same in both tokenizers; take stack.init=random")
    if isinstance(model.fusion, Mlp):
        _mlp(model.fusion, x, y, kinds, seed)
    else:
        _linear(model.fusion.project, x, y)
    return len(x)


def _pairs(model: StackModel, encoder: Reader, llm: Reader, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
    """States, embeddings, and the LLM's token of each match."""
    source = model.config.source
    rows = encoder.read([[text] for text in texts], [source] * len(texts))
    if not (encoder.tokenizer.is_fast and llm.tokenizer.is_fast):
        raise UserError("stack.init: least_squares needs tokenizers that say where their tokens lie; take random")
    matches = [same_tokens(encoder.tokenizer, llm.tokenizer, text) for text in texts]
    ids = llm.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    before = len(encoder.begin(source))
    embeddings = model.llm.get_input_embeddings()
    x, kinds = list[Tensor](), list[int]()
    device = next(model.fusion.parameters()).device
    for some in batches([len(one.ids) for one in rows], TOKENS):
        if len(kinds) >= MATCHES:
            break
        states = _states(model, [rows[i] for i in some], encoder.pad, device)
        for row, i in enumerate(some):
            places = [before + ours for ours, _ in matches[i]]
            x.append(states[row, places].float())
            kinds += [ids[i][theirs] for _, theirs in matches[i]]
    kind = torch.tensor(kinds, device=device)
    return torch.cat(x), embeddings(kind).float(), kind


def _states(model: StackModel, rows: list[Tokens], pad: int, device: Any) -> Tensor:
    ids, mask, _ = padded(rows, pad, device)
    layers = model._encode(ids, mask.bool())
    if isinstance(model.fusion, LayerMix):
        return mixed(model.fusion.weights.softmax(0), layers)
    return layers[-1]


def _least_squares(x: Tensor, y: Tensor, ridge: float) -> Any:
    square = x.T @ x / len(x)
    square += ridge * square.diagonal().mean() * torch.eye(x.shape[1], device=x.device)
    return torch.linalg.solve(square, x.T @ y / len(x))


def _linear(project: Any, x: Tensor, y: Tensor) -> None:
    biased = project.bias is not None
    at, to = (x.mean(0), y.mean(0)) if biased else (torch.zeros_like(x[0]), torch.zeros_like(y[0]))
    weight = _least_squares(x - at, y - to, RIDGE)
    project.weight.copy_(weight.T)
    if biased:
        project.bias.copy_(to - at @ weight)


def _mlp(fusion: Mlp, x: Tensor, y: Tensor, kinds: Tensor, seed: int) -> None:
    drawn = torch.Generator(device=x.device).manual_seed(seed)
    found, counts = torch.unique(kinds, return_counts=True)
    units = found[counts.argsort(descending=True, stable=True)][: fusion.first.out_features]
    at = x.mean(0)
    own = torch.stack([x[kinds == unit].mean(0) - at for unit in units])
    rows = own / own.square().sum(1, keepdim=True).clamp(min=1e-12)
    first, bias = fusion.first.weight, fusion.first.bias
    first.zero_()
    bias.zero_()
    first[: len(rows)].copy_(rows)
    bias[: len(rows)].copy_(-(rows @ at) - THRESHOLD)
    rest = torch.randn(first[len(rows) :].shape, generator=drawn, device=x.device)
    first[len(rows) :].copy_(rest * rows.norm(dim=1).mean() / first.shape[1] ** 0.5)
    noisy = x + NOISE * x.std() * torch.randn(x.shape, generator=drawn, device=x.device)
    hidden = torch.relu(noisy @ rows.T + bias[: len(rows)].float())
    weight = _least_squares(hidden, y - y.mean(0), 1e-3)
    fusion.second.weight.zero_()
    fusion.second.weight[:, : len(rows)].copy_(weight.T)
    fusion.second.bias.copy_(y.mean(0))
