"""What a head's numbers are held against: one loss an example, whatever it answers.

`logits` are as the stack gives them: [rows, groups, labels] for texts, pairs and words, [rows, choices] for a
choice, [rows, 1] for a regression. `gold` is [rows, groups]: a label's number, or a value; IGNORED where there is
none.
"""

from torch import Tensor
from torch.nn import functional

IGNORED = -100.0


def hard(task: str, logits: Tensor, gold: Tensor) -> Tensor:
    if task == "regression":
        return (logits[:, 0].float() - gold[:, 0].float()).square()
    if task == "choice":
        return functional.cross_entropy(logits.float(), gold[:, 0].long(), reduction="none")
    width = min(logits.shape[1], gold.shape[1])
    losses = functional.cross_entropy(
        logits[:, :width].float().transpose(1, 2),
        gold[:, :width].long(),
        reduction="none",
        ignore_index=int(IGNORED),
    )
    return losses.sum(1) / (gold[:, :width] != IGNORED).sum(1).clamp(min=1)


def like(task: str, logits: Tensor, taught: Tensor, there: Tensor) -> Tensor:
    """How far the student's answer is from the teacher's: KL of their distributions, squared error of values.
    `there` [rows, groups]: which groups an example has.
    """
    if task == "regression":
        return (logits[:, 0].float() - taught[:, 0].float()).square()
    width = min(logits.shape[1], taught.shape[1])  # a tokenizer may have made nothing of the last word
    logits, taught, there = logits[:, :width], taught[:, :width], there[:, :width]
    log_s, log_t = logits.float().log_softmax(-1), taught.float().log_softmax(-1)
    found = (log_t.exp() * (log_t - log_s)).sum(-1)
    if task == "choice":
        return found
    return (found * there).sum(1) / there.sum(1).clamp(min=1)


def right(task: str, logits: Tensor, gold: Tensor) -> Tensor:
    """Whether the answer is right; of words, the share; of a regression, minus the error."""
    if task == "regression":
        return -(logits[:, 0].float() - gold[:, 0].float()).abs()
    if task == "choice":
        return (logits.argmax(-1) == gold[:, 0]).float()
    width = min(logits.shape[1], gold.shape[1])
    asked = gold[:, :width] != IGNORED
    hits = (logits[:, :width].argmax(-1) == gold[:, :width]) & asked
    return hits.sum(1) / asked.sum(1).clamp(min=1)
