"""A teacher's distribution over the whole vocabulary in place of a label: how far the student is from it.

Logits are [n, vocabulary], at the positions that predict answer tokens; a divergence is [n]. p_T and p_s are the
softmax of the teacher and of the student, in float32; only the student gets a gradient.

A token whose logit is -inf (or -1e30 and less) on both sides contributes nothing. Where it is so on one side only,
it is taken out of the other as well, and both are compared over what is left: fkl or rkl would be infinite there.
A logit that is NaN or +inf is a fault, and shows in the loss.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from xlnu.objectives.rows import FLOOR, by_rows, wide

Reliability = Literal["probability", "rank"]
START = 0.4  # TAID's t of the first step


def fkl(student: Tensor, teacher: Tensor) -> Tensor:
    """sum p_T (log p_T - log p_s)"""
    return _between(_fkl, student, teacher)


def rkl(student: Tensor, teacher: Tensor) -> Tensor:
    """sum p_s (log p_s - log p_T)"""
    return _between(_rkl, student, teacher)


def jsd(student: Tensor, teacher: Tensor) -> Tensor:
    """1/2 sum p_T (log p_T - log p) + 1/2 sum p_s (log p_s - log p), with p = (p_T + p_s) / 2"""
    return _between(_jsd, student, teacher)


@dataclass
class Taid:
    """Temporally adaptive interpolated distillation (arXiv 2501.16937): the target moves from the student to the
    teacher.

    z = (1 - t) z_s + t z_T, with no gradient through it, p = softmax(z), and the loss is -sum p log p_s. So it does
    not end at 0: with t = 1 it is fkl and the teacher's entropy.
    """

    steps: int  # optimizer steps of the whole run: when they are done, t is 1
    t: float = START
    m: float = 0.0
    loss: float = 0.0  # of the step before
    step: int = 0  # optimizer steps done

    def losses(self, student: Tensor, teacher: Tensor) -> Tensor:
        return _between(partial(_taid, t=self.t), student, teacher)

    def update(self, mean_loss: float) -> None:
        """After an optimizer step, with the mean over its whole global batch: so t is the same on all workers.

        rel = (L_prev - L) / (L_prev + 1e-15), m = 0.99 m + 0.01 rel, delta = 5e-4 sigmoid(m) (1 - t),
        t = min(1, max(t0 + (1 - t0) step / steps, t + delta)), t0 = 0.4. The first step only records L.
        """
        assert math.isfinite(mean_loss)
        self.step += 1
        if self.step > 1:
            rel = (self.loss - mean_loss) / (self.loss + 1e-15)
            self.m = 0.99 * self.m + 0.01 * rel
            sigmoid = (1 + math.tanh(self.m / 2)) / 2  # in this form it cannot overflow
            delta = 5e-4 * sigmoid * (1 - self.t)
            self.t = min(1.0, max(START + (1 - START) * self.step / self.steps, self.t + delta))
        self.loss = mean_loss

    def state_dict(self) -> dict[str, float]:
        return {"t": self.t, "m": self.m, "loss": self.loss, "step": float(self.step)}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        self.t, self.m, self.loss, self.step = state["t"], state["m"], state["loss"], int(state["step"])


@torch.no_grad()
def reliability(teacher: Tensor, labels: Tensor, kind: Reliability) -> Tensor:
    """How far the teacher itself is for the gold tokens: p_T(label), or 1 / (1 + how many logits are above it)."""
    assert teacher.shape[:1] == labels.shape
    return by_rows(_probability if kind == "probability" else _reciprocal_rank, teacher, labels).float()


@torch.no_grad()
def of_examples(weights: Tensor, examples: Tensor, kind: Reliability) -> Tensor:
    """One weight for all tokens of an example, whose number is beside each: the geometric mean of their
    probabilities, exp(mean log w), or the mean of their reciprocal ranks. One probability of 0 makes it 0.
    """
    assert weights.shape == examples.shape
    values = weights.log() if kind == "probability" else weights
    tokens = examples.bincount()
    means = (values.new_zeros(len(tokens)).index_add(0, examples, values) / tokens)[examples]
    return means.exp() if kind == "probability" else means


def _between(losses: Callable[..., Tensor], student: Tensor, teacher: Tensor) -> Tensor:
    assert student.shape == teacher.shape, "one vocabulary, and the same tokens"
    return by_rows(losses, student, teacher)


def _both(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    hidden = (student <= FLOOR) | (teacher <= FLOOR)
    return wide(student, hidden), wide(teacher, hidden)


def _logs(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    z_s, z_t = _both(student, teacher)
    return z_s.log_softmax(-1), z_t.log_softmax(-1)


def _fkl(student: Tensor, teacher: Tensor) -> Tensor:
    log_s, log_t = _logs(student, teacher)
    return (log_t.exp() * (log_t - log_s)).sum(-1)


def _rkl(student: Tensor, teacher: Tensor) -> Tensor:
    log_s, log_t = _logs(student, teacher)
    return (log_s.exp() * (log_s - log_t)).sum(-1)


def _jsd(student: Tensor, teacher: Tensor) -> Tensor:
    log_s, log_t = _logs(student, teacher)
    log_p = torch.logaddexp(log_s, log_t) - math.log(2)
    return (log_t.exp() * (log_t - log_p) + log_s.exp() * (log_s - log_p)).sum(-1) / 2


def _taid(student: Tensor, teacher: Tensor, t: float) -> Tensor:
    z_s, z_t = _both(student, teacher)
    p = ((1 - t) * z_s.detach() + t * z_t).softmax(-1)
    return -(p * z_s.log_softmax(-1)).sum(-1)


def _probability(teacher: Tensor, labels: Tensor) -> Tensor:
    return wide(teacher, teacher <= FLOOR).log_softmax(-1).gather(1, labels[:, None])[:, 0].exp()


def _reciprocal_rank(teacher: Tensor, labels: Tensor) -> Tensor:
    above = (teacher > teacher.gather(1, labels[:, None])).sum(-1)
    return torch.reciprocal(1.0 + above)
