"""The trainings of MT-LLM as recipes of the one loop: align, task (of teachers and baselines), distil."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from xlnu.errors import Halt
from xlnu.mtllm.feed import Feed, Micro, Share, Table
from xlnu.mtllm.parts import Parents
from xlnu.steps import Files
from xlnu.train.loop import Running
from xlnu.train.order import Order
from xlnu.train.tuned import LoraConfig, Numbers

if TYPE_CHECKING:
    import torch

    from xlnu.stack.model import StackModel

Goal = Literal["map", "align", "task", "distil"]
View = Literal["stack", "dual"]


@dataclass
class Weights:
    """Of the terms of a loss."""

    mse: float = 1.0
    cross_entropy: float = 0.0
    logits: float = 0.0
    contrast: float = 0.0
    span: float = 0.0


@dataclass
class Training:
    """A recipe. `start`: the directory that is trained further; its LLM gets a LoRA unless it has one."""

    start: Files
    parents: Parents
    key: str  # of the settings, in what is said of them
    goal: Goal
    numbers: Numbers
    lora: LoraConfig | None
    fusion_scale: float  # the fusion's share of the learning rate; 0: it stays as it is
    noise: float
    weights: Weights
    head: Files | None  # a directory whose head is taken over, and stays as it is
    changed: dict[str, Any]  # of the configuration: the task and labels of a head that is new, the view
    recompute: bool
    attention: str
    order: Order
    train: Table
    held_out: Table

    @property
    def steps(self) -> int:
        return self.order.steps

    def model(self) -> "StackModel":
        from xlnu.mtllm.trained import opened

        model = opened(self)
        if self.recompute and model.llm is not None:
            model.llm.gradient_checkpointing_enable({"use_reentrant": False})
            model.llm.enable_input_require_grads()
        model.noise = self.noise
        return model

    def groups(self, model: Any) -> list[dict[str, Any]]:
        fusion = [one for name, one in model.named_parameters() if one.requires_grad and name.startswith("fusion.")]
        rest = [
            one for name, one in model.named_parameters() if one.requires_grad and not name.startswith("fusion.")
        ]
        found: list[dict[str, Any]] = [{"params": rest}, {"params": fusion, "scale": self.fusion_scale}]
        return [group for group in found if group["params"]]

    def running(self, engine: Any, rank: int, world: int, micro: int) -> Running:
        share = Share(rank, world, micro, self._pads(), engine.device)
        width = engine.module.config.hidden_size
        data = Feed(self.train, self.order, share, self.order.batch, width)
        held_out = Feed(self.held_out, None, share, micro * world, width)
        made: Any = {"map": Map, "align": Align, "task": Labels, "distil": Distil}[self.goal](engine, self.weights)
        made.start(held_out)
        return Running(data, held_out, made, made)

    def _pads(self) -> tuple[int, int]:
        from transformers import AutoTokenizer

        found = []
        for folder in self.parents.folders().values():
            tokenizer: Any = AutoTokenizer.from_pretrained(folder)  # type: ignore[no-untyped-call]
            found.append(tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)
        return found[0], found[1]


class _Objective:
    def __init__(self, engine: Any, weights: Weights) -> None:
        self.engine, self.weights = engine, weights
        self.variance = self.variance_of_tokens = 1.0

    @property
    def stack(self) -> "StackModel":
        found: StackModel = self.engine.module
        return found

    def start(self, held_out: Feed) -> None:
        """Before the first step."""

    def losses(self, micro: Micro) -> "torch.Tensor":
        return self._losses(micro)[: micro.count]

    def _losses(self, micro: Micro) -> "torch.Tensor":
        raise NotImplementedError

    def read(self, micro: Micro) -> Any:
        view = self.stack.config.view
        text = {f"text_{name.split('_')[-1]}": one for name, one in micro.llm.items()} if view == "dual" else {}
        return self.engine(**(micro.llm if view == "llm" else micro.encoder), **text)

    def update(self, mean: float) -> None:
        pass

    def state(self) -> dict[str, float]:
        return {}

    def restore(self, state: dict[str, float]) -> None:
        pass


class Map(_Objective):
    """Before stage 1, on bitext: from the mapped states of a foreign text the LLM, untouched, writes the source's.
    So only the fusion learns.
    """

    def _losses(self, micro: Micro) -> "torch.Tensor":
        from xlnu.objectives.align import per_row
        from xlnu.objectives.sft import hard

        text, mask = micro.llm["input_ids"], micro.llm["attention_mask"].bool()
        found = self.engine(**micro.encoder, text_ids=text, text_mask=mask, view="dual", attention="causal")
        states = found.last_hidden_state[:, -text.shape[1] : -1]
        asked = mask[:, 1:]
        losses = hard(self.stack.lm_head(states[asked]), text[:, 1:][asked])
        return per_row(losses, asked.nonzero()[:, 0], len(text))

    def measures(self, micro: Micro) -> "dict[str, torch.Tensor]":
        return {"loss": self.losses(micro)}


class Align(_Objective):
    """Stage 1: the stack's state of a text held against that of the LLM itself, its adapters off."""

    def start(self, held_out: Feed) -> None:
        """What the teacher makes of held-out texts is the same at every look: it is kept."""
        import torch

        self.kept = dict[str, torch.Tensor]()

        def pooled(micro: Micro) -> torch.Tensor:
            found: torch.Tensor = self.taught(micro).pooled[: micro.count, 0]
            self.kept |= zip(micro.ids, found.cpu(), strict=True)
            return found

        self.variance = spread(self.engine, held_out, pooled)
        if self.weights.span:
            self.variance_of_tokens = spread(
                self.engine, held_out, lambda micro: self._tokens(self.taught(micro), micro, 2)
            )

    def taught(self, micro: Micro) -> Any:
        import torch

        with torch.no_grad(), _untouched(self.stack):
            return self.engine(**micro.llm, view="llm")

    def _tokens(self, found: Any, micro: Micro, side: int) -> "torch.Tensor":
        """The states of tokens that are one in both tokenizers; `side`: 1 the stack's, 2 the LLM's."""
        states: torch.Tensor = found.last_hidden_state[micro.same[0], micro.same[side]]
        return states[micro.same[0] < micro.count]

    def _losses(self, micro: Micro) -> "torch.Tensor":
        from xlnu.objectives.align import info_nce, per_row, squared

        taught, said = self.taught(micro), self.read(micro)
        losses = self.weights.mse * squared(said.pooled, taught.pooled, self.variance)
        if self.weights.contrast:
            losses = losses + self.weights.contrast * info_nce(said.pooled[:, 0], taught.pooled[:, 0], 0.05)
        if self.weights.span:
            one, other = said.last_hidden_state, taught.last_hidden_state
            rows, ours, theirs = micro.same
            off = squared(one[rows, ours], other[rows, theirs], self.variance_of_tokens)
            losses = losses + self.weights.span * per_row(off, rows, len(losses))
        return losses

    def measures(self, micro: Micro) -> "dict[str, torch.Tensor]":
        """The share of variance that is not explained (FVU), and the cosine."""
        import torch

        from xlnu.objectives.align import cosine, squared

        said = self.read(micro).pooled[: micro.count]
        if not micro.count:  # computed for the others' sake
            return {name: said.new_zeros(0) for name in ("loss", "cosine")}
        taught = torch.stack([self.kept[name] for name in micro.ids])[:, None].to(said.device)
        return {"loss": squared(said, taught, self.variance), "cosine": cosine(said, taught)}


class Labels(_Objective):
    """A task's own labels: for teachers, and for what distilling is held against."""

    def _losses(self, micro: Micro) -> "torch.Tensor":
        from xlnu.objectives.task import hard

        return hard(self.stack.config.task or "", self.read(micro).logits, micro.gold)

    def measures(self, micro: Micro) -> "dict[str, torch.Tensor]":
        from xlnu.objectives.task import hard, right

        task, logits = self.stack.config.task or "", self.read(micro).logits
        found = {"loss": hard(task, logits, micro.gold), "right": right(task, logits, micro.gold)}
        return {name: values[: micro.count] for name, values in found.items()}


class Distil(_Objective):
    """Stage 2: the stack's state of an example held against the teacher's, which was computed before; the head is
    the teacher's own.
    """

    def start(self, held_out: Feed) -> None:
        def states(micro: Micro) -> "torch.Tensor":
            found, there = self.taught(micro)
            return found[: micro.count][there[: micro.count]]

        self.variance = spread(self.engine, held_out, states)

    def taught(self, micro: Micro) -> "tuple[torch.Tensor, torch.Tensor]":
        """The teacher's pooled states, and which of the groups there are."""
        assert micro.taught is not None
        return micro.taught, micro.taught.abs().sum(-1) > 0

    def _losses(self, micro: Micro) -> "torch.Tensor":
        from xlnu.objectives.task import hard, like

        task = self.stack.config.task or ""
        found, (taught, there) = self.read(micro), self.taught(micro)
        weights = self.weights
        losses = weights.mse * self._away(found.pooled, taught, there)
        if weights.cross_entropy:
            losses = losses + weights.cross_entropy * hard(task, found.logits, micro.gold)
        if weights.logits:
            told = self.stack.answer(taught, there)
            assert told is not None
            losses = losses + weights.logits * like(task, found.logits, told, there)
        return losses

    def _away(self, said: "torch.Tensor", taught: "torch.Tensor", there: "torch.Tensor") -> "torch.Tensor":
        """The mean over an example's groups."""
        width = min(said.shape[1], taught.shape[1])
        off = (said[:, :width] - taught[:, :width]).square().mean(-1) / self.variance
        return (off * there[:, :width]).sum(1) / there.sum(1).clamp(min=1)

    def measures(self, micro: Micro) -> "dict[str, torch.Tensor]":
        from xlnu.objectives.task import hard, right

        task = self.stack.config.task or ""
        found, (taught, there) = self.read(micro), self.taught(micro)
        made = {
            "loss": hard(task, found.logits, micro.gold),
            "right": right(task, found.logits, micro.gold),
            "unexplained": self._away(found.pooled, taught, there),
        }
        return {name: values[: micro.count] for name, values in made.items()}


def spread(engine: Any, held_out: Feed, states: "Callable[[Micro], torch.Tensor]") -> float:
    """The variance of a teacher's states of what is held out, over all workers: errors are shares of it."""
    import torch
    import torch.distributed as dist

    from xlnu.objectives.align import Spread

    found = Spread()
    engine.eval()
    with torch.no_grad():
        for step in range(held_out.steps):
            for micro in held_out.micros(step):
                found.add(states(micro))
    sums = found.sums()
    if dist.is_initialized():
        dist.all_reduce(sums)
    made = Spread.of(sums)
    if not made.count:  # of texts there always is a state, of single words there may be none
        raise Halt("align.span: no word of the held-out texts is one token in both tokenizers; take 0")
    return made.variance()


@contextmanager
def _untouched(stack: "StackModel") -> Iterator[None]:
    """The LLM as it was: without its adapter, and without dropout."""
    training = stack.llm.training
    stack.llm.eval()
    try:
        with stack.llm.disable_adapter():
            yield
    finally:
        stack.llm.train(training)
