"""Which layer comes from which expert.

swap: the outer layers, which turn language into meaning and back, are the language expert's; the middle ones, which
work on it, the task expert's (Bandarkar et al., arXiv 2410.01335).
adaptive: each layer is of the expert that changed it more, as a share of all that it changed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from xlnu.errors import UserError
from xlnu.merge.parents import PROJECTIONS, Parent, projection
from xlnu.merge.weights import change

Origin = Literal["language", "task", "half of each"]


@dataclass(frozen=True)
class Choice:
    """Where a merged model's layers come from, and its embeddings, last norm and head (`rest`)."""

    layers: list[Origin]
    rest: Origin
    language: list[float] | None = None  # adaptive: each layer's share of what an expert changed
    task: list[float] | None = None


def sizes(depth: int, bottom: int | None, top: int | None, transition: int | None) -> dict[str, int]:
    """What swap is given. The shares of the depth, where a number is not given, are our choice."""
    bottom = max(1, round(depth / 4)) if bottom is None else bottom
    top = max(1, round(depth / 8)) if top is None else top
    transition = round(depth / 32) if transition is None else transition
    return {"bottom": bottom, "top": top, "transition": transition}


def swap(depth: int, bottom: int, top: int, transition: int) -> Choice:
    """The embeddings and the head go with the outer layers: that they are the language expert's is our choice."""
    below, above = (transition if outer else 0 for outer in (bottom, top))  # where none is, there is no border
    middle = depth - bottom - below - above - top
    if middle < 1:
        raise UserError(
            f"bottom={bottom}, top={top}, transition={transition}: no layer of {depth} is left to the task expert"
        )
    parts: list[tuple[Origin, int]] = [
        ("language", bottom),
        ("half of each", below),
        ("task", middle),
        ("half of each", above),
        ("language", top),
    ]
    return Choice([origin for origin, layers in parts for _ in range(layers)], "language")


def adaptive(
    language: Parent, task: Parent, base: Parent, threshold: float, advance: Callable[[int], None]
) -> Choice:
    p_language, p_task = (shares(expert, base, advance) for expert in (language, task))
    layers = [_of(t - s, threshold) for s, t in zip(p_language, p_task, strict=True)]
    return Choice(layers, "half of each", p_language, p_task)


def shares(expert: Parent, base: Parent, advance: Callable[[int], None]) -> list[float]:
    """Each layer's share of what an expert changed; zeros for one that changed nothing."""
    changed = []
    for i in range(base.depth):
        changed.append(sum(change(expert.weights, base.weights, projection(i, name)) for name in PROJECTIONS))
        advance(1)
    total = sum(changed)
    return [each / total if total else 0.0 for each in changed]


def _of(difference: float, threshold: float) -> Origin:
    if difference > threshold:
        return "task"
    return "language" if difference < -threshold else "half of each"


def table(choice: Choice) -> list[list[str]]:
    """Where each layer comes from, for people: a line of names, then a line a layer."""
    names = [*map(str, range(len(choice.layers))), "embeddings, norm, head"]
    lines = [["layer", "from"], *map(list, zip(names, [*choice.layers, choice.rest], strict=True))]
    if choice.language is not None and choice.task is not None:
        lines[0] += ["language", "task", "difference"]
        for line, s, t in zip(lines[1:], choice.language, choice.task, strict=False):  # the rest has none
            line += [f"{s:.4f}", f"{t:.4f}", f"{t - s:+.4f}"]
        lines[-1] += ["", "", ""]
    return lines
