"""The learning rate at each step."""

import math
from typing import Literal

Decay = Literal["linear", "cosine", "constant"]


def share(step: int, steps: int, warmup: float, decay: Decay) -> float:
    """What of the full rate the step is made with, steps counted from 0: it rises over the first `warmup` share of
    all steps and then falls, to nothing after the last.
    """
    rising = math.ceil(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    return {"linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2, "constant": 1.0}[decay]
