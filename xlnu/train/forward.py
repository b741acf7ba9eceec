"""What a model says at the positions that predict answers, and nowhere else: with 128,000 words in a vocabulary the
logits of a whole pack would take more memory than the model's layers.
"""

from typing import TYPE_CHECKING, Any

from xlnu.train.packing import IGNORED, Batch

if TYPE_CHECKING:
    import torch


class Answers:
    """A model, or a DeepSpeed engine around one, seen as a function from a batch to logits [n, words]."""

    def __init__(self, model: Any, head: Any) -> None:
        """`head`: the module that makes logits of hidden states; only some of these are let through to it."""
        self.model = model
        self.places: torch.Tensor | None = None
        head.register_forward_pre_hook(self._pick)

    def _pick(self, _head: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden, *rest = given
        return (hidden.flatten(0, 1)[self.places], *rest)

    def __call__(self, batch: Batch) -> "tuple[torch.Tensor, torch.Tensor]":
        """The logits and the labels, answer by answer in the order of the batch's rows."""
        self.places, labels = answers(batch)
        return self.model(**batch.inputs()).logits, labels


def answers(batch: Batch) -> "tuple[torch.Tensor, torch.Tensor]":
    """Where answers are predicted from, rows laid end to end, and what is right there."""
    flat = batch.labels.flatten()
    learned = (flat != IGNORED).nonzero().flatten()
    return learned - 1, flat[learned]


def examples(batch: Batch) -> "torch.Tensor":
    """Of each answer token, the number of its example."""
    import torch

    learned = (batch.labels.flatten() != IGNORED).nonzero().flatten()
    starts = torch.tensor([start for start, _ in batch.spans], device=learned.device)
    return torch.searchsorted(starts, learned, right=True) - 1
