"""What a training is of: a model, what it is shown, and towards what. The loop knows nothing else of it."""

from typing import TYPE_CHECKING, Any, Protocol

from xlnu.train.loop import Running

if TYPE_CHECKING:
    import torch


class Recipe(Protocol):
    """It pickles. Each worker has a copy, and calls in this order: model, groups, running."""

    @property
    def steps(self) -> int:
        """Of the whole run: its data's."""
        ...

    def model(self) -> "torch.nn.Module":
        """On this machine's processors: DeepSpeed takes it where it computes. What requires a gradient is trained,
        and all of it must be in every loss. What is drawn is drawn from the run's seed.
        """
        ...

    def groups(self, model: "torch.nn.Module") -> list[dict[str, Any]]:
        """What is trained, for the optimiser: one group of `params` or several, none empty. A group may say its own
        `weight_decay`, and by its `scale`, which is 1 where it says none, its share of the learning rate.
        """
        ...

    def running(self, engine: Any, rank: int, world: int, micro: int) -> Running:
        """`engine`: DeepSpeed's, around the model; `rank`: this worker's, of so many in the `world`; `micro`: how
        many sequences it computes at once.
        """
        ...
