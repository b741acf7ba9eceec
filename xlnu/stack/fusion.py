"""How the encoder's states enter the LLM. Each is a small module from states to vectors of the LLM's width.

linear      one Linear (MT-LLM)
mlp         Linear, ReLU, Linear, and a boundary vector behind the mapped states (MindMerger)
end_token   linear, and one learned vector at the end (LangBridge)
layer_mix   a learned softmax over all of the encoder's layers, then linear (arXiv 2508.09091)
layer_kv    linear, and in each layer of the LLM a gated attention over states of all layers (LayAlign)
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Linear(nn.Module):
    """`states` are those of all layers, the last one last; most fusions read only that."""

    layers = False  # whether all of the encoder's layers are read
    tail = 0  # vectors that come behind the mapped states

    def __init__(self, size: int, width: int, *, bias: bool) -> None:
        super().__init__()
        self.project = nn.Linear(size, width, bias=bias)

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        mapped: Tensor = self.project(states[-1])
        return mapped

    def behind(self) -> Tensor:
        raise AssertionError("this fusion puts nothing behind the states")


class Mlp(Linear):
    tail = 1

    def __init__(self, size: int, width: int, hidden: int) -> None:
        nn.Module.__init__(self)
        self.first = nn.Linear(size, hidden or 2 * size)
        self.second = nn.Linear(hidden or 2 * size, width)
        self.boundary = nn.Parameter(torch.zeros(width))

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        mapped: Tensor = self.second(functional.relu(self.first(states[-1])))
        return mapped

    def behind(self) -> Tensor:
        return self.boundary


class EndToken(Linear):
    tail = 1

    def __init__(self, size: int, width: int, *, bias: bool) -> None:
        super().__init__(size, width, bias=bias)
        self.vector = nn.Parameter(torch.randn(width) * 0.02)

    def behind(self) -> Tensor:
        return self.vector


class LayerMix(Linear):
    layers = True

    def __init__(self, size: int, width: int, depth: int, *, bias: bool) -> None:
        super().__init__(size, width, bias=bias)
        self.weights = nn.Parameter(torch.zeros(depth))

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        mapped: Tensor = self.project(mixed(self.weights.softmax(0), states))
        return mapped


class LayerKv(Linear):
    """A layer i of the LLM reads keys and values W2 ReLU(W1 . states); its own q, k, v and o are shared, and a gate
    that starts at 0 lets it in.
    """

    layers = True

    def __init__(self, size: int, width: int, depth: int, llm_layers: int, *, bias: bool) -> None:
        super().__init__(size, width, bias=bias)
        self.mix = nn.Parameter(torch.randn(2, llm_layers, depth) * depth**-0.5)
        self.lift = nn.Linear(size, width, bias=False)
        self.gates = nn.Parameter(torch.zeros(llm_layers))

    @contextmanager
    def inside(self, llm: nn.Module, states: Sequence[Tensor], mask: Tensor) -> Iterator[None]:
        """While it lasts, each layer of the LLM reads the encoder's states as well."""
        hooks = [
            attention.register_forward_hook(self._hook(number, states, mask), with_kwargs=True)
            for number, attention in enumerate(attentions(llm))
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _hook(self, number: int, states: Sequence[Tensor], mask: Tensor) -> Any:
        def add(attention: Any, args: Any, kwargs: dict[str, Any], output: Any) -> Any:
            hidden = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
            keys, values = (self.lift(functional.relu(mixed(self.mix[i, number], states))) for i in (0, 1))
            found = cross(attention, hidden, keys, values, mask)
            return (output[0] + self.gates[number] * found, *output[1:])

        return add


def cross(attention: Any, hidden: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """An LLM's attention module, its weights used to look at something else. There are no positions in it."""

    def heads(made: Tensor, norm: str = "") -> Tensor:
        split = made.view(*made.shape[:-1], -1, attention.head_dim)
        split = getattr(attention, norm)(split) if norm and hasattr(attention, norm) else split
        return torch.transpose(split, 1, 2)

    q = heads(attention.q_proj(hidden), "q_norm")
    k, v = heads(attention.k_proj(keys), "k_norm"), heads(attention.v_proj(values))
    seen = mask[:, None, None, :].bool()
    found = functional.scaled_dot_product_attention(
        q, k, v, attn_mask=seen, scale=attention.scaling, enable_gqa=q.shape[1] != k.shape[1]
    )
    out: Tensor = attention.o_proj(found.transpose(1, 2).flatten(2))
    return out


def attentions(llm: nn.Module) -> list[nn.Module]:
    """The LLM's own attention modules, layer by layer."""
    found = [module for name, module in llm.named_modules() if name.endswith(".self_attn")]
    assert found, "an LLM of a family that is not known here"
    return found


def mixed(weights: Tensor, states: Sequence[Tensor]) -> Tensor:
    made = weights[0] * states[0]
    for weight, state in zip(weights[1:], states[1:], strict=True):
        made = made + weight * state
    return torch.as_tensor(made)


def fusion(config: Any, size: int, width: int, depth: int, llm_layers: int) -> Linear:
    """`depth`: the encoder's layers and its embeddings."""
    bias: bool = config.fusion_bias
    if config.fusion == "mlp":
        return Mlp(size, width, config.fusion_width)
    if config.fusion == "end_token":
        return EndToken(size, width, bias=bias)
    if config.fusion == "layer_mix":
        return LayerMix(size, width, depth, bias=bias)
    if config.fusion == "layer_kv":
        return LayerKv(size, width, depth, llm_layers, bias=bias)
    return Linear(size, width, bias=bias)
