"""The stack: an MT encoder, a fusion, an LLM, a head. One class for it and for what it is held against: the LLM
alone and the encoder alone read, pool and answer in the same way.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils.generic import ModelOutput

from xlnu.stack import parents, pooling
from xlnu.stack.attention import mask_for, prepare
from xlnu.stack.config import Attention, StackConfig, View
from xlnu.stack.fusion import LayerKv, fusion


@dataclass
class StackOutput(ModelOutput):
    """pooled [rows, groups, width] in float32, and which of the groups there are; logits [rows, groups, labels], or
    [rows, choices] for a choice.
    """

    pooled: Tensor | None = None
    there: Tensor | None = None
    logits: Tensor | None = None
    last_hidden_state: Tensor | None = None
    attention_mask: Tensor | None = None


class StackModel(PreTrainedModel):  # type: ignore[no-untyped-call]
    config_class = StackConfig
    base_model_prefix = "stack"

    def __init__(self, config: StackConfig, encoder: Any = None, llm: Any = None, begin: int | None = None) -> None:
        """`begin`: the LLM's own <s>, where the place of the language code becomes that."""
        super().__init__(config)
        self.encoder, self.llm, self.begin = encoder, llm, begin
        self.noise = 0.0  # in training, of the encoder's states: a share of their spread
        size = encoder.config.d_model if encoder is not None else 0
        if llm is not None:
            about = parents.text_config(llm)
            config.hidden_size = about.hidden_size
            if encoder is not None:
                depth = parents.depth(encoder)
                self.fusion = fusion(config, size, about.hidden_size, depth, about.num_hidden_layers)
        else:
            config.hidden_size = size
        if config.task:
            self.head = nn.Linear(config.hidden_size, config.outputs, bias=False)

    def train(self, mode: bool = True) -> "StackModel":
        """The encoder stays as it is: its dropout would be switched on."""
        super().train(mode)
        if self.encoder is not None:
            self.encoder.eval()
        return self

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Whatever numbers the weights are turned into, the LLM counts positions as transformers opened it, in
        float32: with bfloat16's frequencies a token 500 places away is half a radian off.
        """
        modules = self.llm.modules() if self.llm is not None else ()
        kept = [(one._buffers, name, found) for one in modules for name, found in one._buffers.items()]
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for place, name, found in kept:
            place[name] = found.to(place[name].device)
        return self

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        groups: Tensor | None = None,
        text_ids: Tensor | None = None,
        text_mask: Tensor | None = None,
        text_groups: Tensor | None = None,
        view: View | None = None,
        attention: Attention | None = None,
        **_unused: Any,
    ) -> StackOutput:
        """`input_ids` are the encoder's tokens, or the LLM's where it reads alone; `text_ids` the LLM's behind the
        encoder's, in the view `dual`. `groups`: what each token is pooled into, 0 for none; without, all that is
        there makes one. `view`, `attention`: others than the configuration's, as for a teacher inside its student.
        """
        view, attention = view or self.config.view, attention or self.config.attention
        mask = attention_mask.bool()
        groups = mask.long() if groups is None else groups
        if view == "encoder":
            states = self._encode(input_ids, mask)[-1]
            return self._said(states, mask, groups)
        if view == "llm":
            vectors = self._embeddings()(input_ids)
            return self._said(self._llm(vectors, mask, attention), mask, groups)
        layers = self._encode(input_ids, mask)
        inside: Any = contextlib.nullcontext()
        if isinstance(self.fusion, LayerKv):
            inside = self.fusion.inside(self.llm, layers, mask)
        vectors = self.fusion(layers)
        vectors, seen, groups = self._edges(vectors, mask, groups)
        if view == "dual":
            assert text_ids is not None
            assert text_mask is not None
            groups = text_groups if text_groups is not None else text_mask.long()
            vectors, seen, groups = self._joined(vectors, seen, groups, text_ids, text_mask)
        with inside:
            states = self._llm(vectors, seen, attention)
        return self._said(states, seen, groups)

    def _encode(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """The states of the last layer, or of all."""
        every = hasattr(self, "fusion") and self.fusion.layers
        with torch.no_grad():
            found = self.encoder(input_ids=ids, attention_mask=mask.long(), output_hidden_states=every)
            states: tuple[Tensor, ...] = found.hidden_states if every else (found.last_hidden_state,)
            if self.training and self.noise:
                states = tuple(
                    one + self.noise * one[mask].float().std().to(one.dtype) * torch.randn_like(one)
                    for one in states
                )
        return states

    def _edges(self, vectors: Tensor, mask: Tensor, groups: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the language code and </s> become, and what comes behind. A dropped place stays in the row, and is
        seen by nothing: positions count what is there.
        """
        config, rows = self.config, torch.arange(len(mask), device=mask.device)
        seen = mask.clone()
        first = mask.long().argmax(1)
        end = mask.shape[1] - 1 - mask.flip(1).long().argmax(1)
        if config.code == "drop":
            seen[rows, first] = False
        elif config.code == "begin":
            own = self._embeddings()(torch.tensor(self.begin, device=mask.device)).to(vectors.dtype)
            at = torch.nn.functional.one_hot(first, mask.shape[1])[..., None].bool()
            vectors = torch.where(at, own, vectors)
        if config.end == "drop":
            seen[rows, end] = False
        groups = groups.masked_fill(~seen, 0)
        if self.fusion.tail:
            vectors, seen, groups = _behind(vectors, seen, groups, self.fusion.behind(), config.edges)
        return vectors, seen, groups

    def _joined(
        self, vectors: Tensor, seen: Tensor, groups: Tensor, text_ids: Tensor, text_mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The LLM's own tokens behind the mapped states: what is pooled are these."""
        text = self._embeddings()(text_ids).to(vectors.dtype)
        nothing = torch.zeros(vectors.shape[:2], dtype=groups.dtype, device=groups.device)
        return (
            torch.cat([vectors, text], 1),
            torch.cat([seen, text_mask.bool()], 1),
            torch.cat([nothing, groups], 1),
        )

    def _llm(self, vectors: Tensor, seen: Tensor, attention: Attention) -> Tensor:
        positions = (seen.long().cumsum(1) - 1).clamp(min=0)
        dtype = next(self.llm.parameters()).dtype
        if parents.is_encoder(self.llm.config):
            said: Tensor = self.llm(
                inputs_embeds=vectors.to(dtype),
                attention_mask=seen.long(),
                position_ids=positions + parents.first_position(self.llm),
            ).last_hidden_state
            return said
        prepare(self.llm, attention)
        found: Tensor = self.llm(
            inputs_embeds=vectors.to(dtype),
            attention_mask=mask_for(self.llm, attention, seen, dtype),
            position_ids=positions,
            use_cache=False,
        ).last_hidden_state
        return found

    def _embeddings(self) -> Any:
        return self.llm.get_input_embeddings()

    def _said(self, states: Tensor, mask: Tensor, groups: Tensor) -> StackOutput:
        if self.config.pooling == "last":
            pooled, there = pooling.last(states, mask)
        else:
            pooled, there = pooling.mean(states, groups)
        logits = self.answer(pooled, there)
        return StackOutput(pooled=pooled, there=there, logits=logits, last_hidden_state=states, attention_mask=mask)

    def answer(self, pooled: Tensor, there: Tensor) -> Tensor | None:
        """The head's numbers for pooled states. A choice that is not there is never right: examples of four stand
        beside some of two.
        """
        if not self.config.task:
            return None
        said: Tensor = self.head(pooled.to(self.head.weight.dtype)).float()
        if self.config.task == "choice":
            return said.squeeze(-1).masked_fill(~there, torch.finfo(said.dtype).min)
        return said.squeeze(-1) if self.config.task == "regression" else said

    def own(self) -> Iterator[tuple[str, nn.Parameter]]:
        """What belongs to the stack itself: the fusion and the head, not the parents and not the adapter."""
        for name, one in self.named_parameters():
            if name.startswith(("fusion.", "head.")):
                yield name, one

    @classmethod
    def from_pretrained(cls, folder: str, *_: Any, **given: Any) -> "StackModel":
        """Open what training left: `encoder=FOLDER`, `llm=FOLDER` where the parents have moved, `dtype=`,
        `attn_implementation=`.
        """
        from xlnu.stack.artefact import load

        return load(folder, **given)

    def save_pretrained(self, folder: str, **_: Any) -> None:  # type: ignore[override]
        from xlnu.stack.artefact import save

        save(self, folder)


def _behind(
    vectors: Tensor, seen: Tensor, groups: Tensor, vector: Tensor, special: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """One more place in each row, behind all that is there and behind the padding: positions make it follow."""
    rows = len(vectors)
    more = vector.to(vectors.dtype).expand(rows, 1, -1)
    there = torch.ones((rows, 1), dtype=torch.bool, device=seen.device)
    counted = groups.new_full((rows, 1), int(special))
    return torch.cat([vectors, more], 1), torch.cat([seen, there], 1), torch.cat([groups, counted], 1)
