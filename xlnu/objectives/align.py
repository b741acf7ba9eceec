"""A student's state held against a teacher's of the same text: how far it is, example by example.

Errors are shares of the teacher's own variance (FVU), so that they mean the same for any LLM: 1 is what the
teacher's mean, said to every text, would get.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass
class Spread:
    """The variance of a teacher's states, from sums that workers can add up."""

    count: float = 0.0
    total: Tensor | None = None
    squares: Tensor | None = None

    def add(self, states: Tensor) -> None:
        """[n, width]"""
        wide = states.detach().double()
        self.count += len(wide)
        self.total = wide.sum(0) + (0 if self.total is None else self.total)
        self.squares = wide.square().sum(0) + (0 if self.squares is None else self.squares)

    def sums(self) -> Tensor:
        """All of it in one, to be added to that of others."""
        assert self.total is not None
        assert self.squares is not None
        return torch.cat([self.total, self.squares, self.total.new_tensor([self.count])])

    @classmethod
    def of(cls, sums: Tensor) -> "Spread":
        width = len(sums) // 2
        return cls(float(sums[-1]), sums[:width], sums[width : 2 * width])

    def variance(self) -> float:
        """The mean over dimensions."""
        assert self.total is not None
        assert self.squares is not None
        found = (self.squares / self.count - (self.total / self.count).square()).mean()
        return max(float(found), 1e-12)


def squared(student: Tensor, teacher: Tensor, variance: float) -> Tensor:
    """[n] of [n, ..., width]: the mean squared error as a share of the teacher's variance."""
    return (student.float() - teacher.float()).square().flatten(1).mean(1) / variance


def per_row(losses: Tensor, rows: Tensor, count: int) -> Tensor:
    """The mean of the losses of each row; 0 of a row that has none."""
    sums = losses.new_zeros(count).index_add(0, rows, losses)
    return sums / rows.bincount(minlength=count).clamp(min=1)


def cosine(student: Tensor, teacher: Tensor) -> Tensor:
    return functional.cosine_similarity(student.float().flatten(1), teacher.float().flatten(1))


def info_nce(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """[n]: how hard it is to tell an example's own teacher from those of the others beside it, by cosine."""
    near = functional.normalize(student.float(), dim=-1) @ functional.normalize(teacher.float(), dim=-1).T
    return functional.cross_entropy(
        near / temperature, torch.arange(len(near), device=near.device), reduction="none"
    )
