"""From the states of tokens to one of a text, a choice or a word."""

import torch
from torch import Tensor


def mean(states: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
    """[rows, most groups, width]: the mean of each group's states, in float32; and [rows, most groups]: which there
    are. Groups are numbered from 1; 0 belongs to none, and a group with no token is 0.
    """
    rows, most = len(groups), max(1, int(groups.max())) if groups.numel() else 1
    width = states.shape[-1]
    at = (groups + torch.arange(rows, device=groups.device)[:, None] * (most + 1)).flatten()
    sums = states.new_zeros((rows * (most + 1), width), dtype=torch.float32)
    sums = sums.index_add(0, at, states.flatten(0, 1).float())
    counts = torch.bincount(at, minlength=len(sums))
    means = sums / counts.clamp(min=1)[:, None]
    return means.view(rows, most + 1, width)[:, 1:], counts.view(rows, most + 1)[:, 1:] > 0


def last(states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """[rows, 1, width]: the state of the last token that is there; and that it is."""
    at = mask.shape[1] - 1 - mask.flip(1).long().argmax(1)
    return states[torch.arange(len(states), device=states.device), at][:, None].float(), mask.new_ones(
        (len(states), 1)
    )
