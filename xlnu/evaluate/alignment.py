"""How well sentences in one language fit their translations, by the states that a model has of them.

States are [sentences, width], and row i of one language is the translation of row i of the other. What is computed
is computed in float64: states of an LLM's layer lie so close together that float32's rounding would decide.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

TIE = 1e-12  # cosines that differ by less are the same but for float64's rounding


def mexa(source: "Tensor", target: "Tensor") -> float:
    """The share of sentences that are nearer to their own translation than to any other, and their translation to
    them than to any other (Kargaran et al. 2024). A tie is a miss.
    """
    near = _cosines(source, target)
    return float((_first(near) & _first(near.T)).double().mean())


def retrieval(source: "Tensor", target: "Tensor") -> float:
    """The share of target sentences whose nearest source sentence is their translation. A tie is a miss."""
    return float(_first(_cosines(target, source)).double().mean())


def fvu(student: "Tensor", teacher: "Tensor") -> float:
    """The squared error as a share of the teacher's variance over these sentences: 1 is what its mean would get."""
    from xlnu.objectives.align import Spread, squared

    spread = Spread()
    spread.add(teacher)
    return float(squared(student, teacher, spread.variance()).double().mean())


def weighted(states: "Tensor", mask: "Tensor") -> "Tensor":
    """[n, width] of [n, places, width]: the mean over tokens, each counted by its position from 1, as MEXA has it:
    where attention is causal, a late token has read more of the sentence.
    """
    return _mean(states, mask.long().cumsum(1) * mask)


def mean(states: "Tensor", mask: "Tensor") -> "Tensor":
    """The same where all tokens count alike."""
    return _mean(states, mask)


def _mean(states: "Tensor", weights: "Tensor") -> "Tensor":
    share = weights.double() / weights.sum(1, keepdim=True).clamp(min=1)
    return (states.double() * share[..., None]).sum(1)


def _cosines(one: "Tensor", other: "Tensor") -> "Tensor":
    from torch.nn.functional import normalize

    return normalize(one.double(), dim=-1) @ normalize(other.double(), dim=-1).T


def _first(near: "Tensor") -> "Tensor":
    """[n]: whether what stands on the diagonal is the largest of its row."""
    own = near.diagonal()
    others = near.clone().fill_diagonal_(float("-inf")).amax(1)
    return own > others + TIE
