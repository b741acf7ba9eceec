"""Cross-entropy on hard labels: SDRRL as the paper has it, and supervised fine-tuning."""

from torch import Tensor
from torch.nn import functional

from xlnu.objectives.rows import FLOOR, by_rows, wide


def hard(logits: Tensor, labels: Tensor) -> Tensor:
    """-log p_s(label), a loss for each of n tokens; logits [n, vocabulary], labels [n].

    A logit of -inf takes its token out of the softmax. If that is the label, its loss is 0: it teaches nothing.
    """
    assert logits.shape[:1] == labels.shape
    return by_rows(_hard, logits, labels)


def _hard(logits: Tensor, labels: Tensor) -> Tensor:
    hidden = logits <= FLOOR
    losses = functional.cross_entropy(wide(logits, hidden), labels, reduction="none")
    return losses.masked_fill(hidden.gather(1, labels[:, None])[:, 0], 0.0)
