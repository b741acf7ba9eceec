"""The loop: it asks an objective for a loss and DeepSpeed for the step; it reports, evaluates, and stops early.

A step's loss is the mean over all that is counted in it, as the answer tokens of its packs, whoever holds them:
how they are spread over workers and micro-batches changes nothing but rounding. What is drawn is drawn anew at each
step from the seed, so that a run that goes on from a checkpoint is the run that was not interrupted.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from xlnu.errors import Halt
from xlnu.train.schedule import Decay, share
from xlnu.train.state import base

if TYPE_CHECKING:
    import torch
ASK = 2.0  # seconds between asking whether a machine will go: it costs all workers 3 ms, and a notice is of 30 s
NOT_LOOKED_AT = 1e30  # in place of a held-out loss: such a checkpoint is gone on from, and is never the best


class Micro(Protocol):
    """What a worker computes at once. Without rows: work for the others' sake, which counts for nothing."""

    @property
    def ids(self) -> Sequence[str]:
        """Of its rows."""
        ...


class Objective(Protocol):
    """What is minimised, on micro-batches of the data that it was made for."""

    def losses(self, micro: Any) -> "torch.Tensor":
        """Of everything counted in it, an answer token or an example, each to count as one."""
        ...

    def update(self, mean: float) -> None:
        """After every step."""
        ...

    def state(self) -> dict[str, float]: ...

    def restore(self, state: dict[str, float]) -> None: ...


class Judge(Protocol):
    """What is looked at in held-out rows."""

    def measures(self, micro: Any) -> "dict[str, torch.Tensor]":
        """By name, and of every micro-batch the same names, numbers of everything counted in it. `loss` is among
        them: by it the best is chosen, and without a better one it stops.
        """
        ...


class Data(Protocol):
    steps: int

    def micros(self, step: int) -> Iterator[Micro]:
        """This worker's, always as many as every other's."""
        ...

    def nothing(self, times: int) -> Sequence[Micro]:
        """So many micro-batches without rows."""
        ...

    def learned(self, step: int) -> int:
        """What is counted in the step, of all workers together."""
        ...

    def tokens(self, step: int) -> int:
        """All its tokens, padding not counted."""
        ...


@dataclass(frozen=True)
class Running:
    """A worker's own, made around its engine."""

    data: Data
    held_out: Data
    objective: Objective
    judge: Judge


@dataclass(frozen=True)
class Pace:
    """How fast, how long, and when to look."""

    lr: float
    warmup: float
    decay: Decay
    evaluate_every: int
    patience: int  # evaluations without a better one before it stops; 0: never
    seed: int
    key: str = "train"  # the section of the settings that says so, for what is told of them


@dataclass
class Progress:
    """Where a run stands; all of it is saved."""

    step: int = 0
    best: float = math.inf
    best_step: int = 0
    worse: int = 0  # evaluations since the best
    tokens: int = 0
    objective: dict[str, float] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)  # a row a step


class Diverged(Halt):
    """The loss is no number any more."""


# What an evaluation is told of: where the run stands, and what was measured since the one before.
Told = Callable[[Progress, dict[str, float]], None]


def fit(
    engine: Any,
    running: Running,
    pace: Pace,
    progress: Progress,
    checkpoint: Told,
    told: Callable[[dict[str, float]], None],
    leaving: Callable[[], bool] | None = None,
) -> Progress:
    """Train from where `progress` stands to the end, or until the held-out loss gets no better.

    `checkpoint` is called at every evaluation, by all workers alike, and `told` after every step. `leaving` is
    asked now and then, by all workers alike: whether one of them will be gone soon, and all is to be saved now.
    """
    data, objective = running.data, running.objective
    objective.restore(progress.objective)
    asked = time.monotonic()
    while progress.step < data.steps and not (pace.patience and progress.worse >= pace.patience):
        due = leaving is not None and time.monotonic() - asked > ASK
        mean, norm, ask = _step(engine, objective, data, pace, progress.step, due)
        objective.update(mean)
        rate, tokens = _rate(pace, progress.step, data.steps), data.tokens(progress.step)
        progress.tokens += tokens
        progress.step += 1
        row = {"step": progress.step, "loss": mean, "grad_norm": norm, "lr": rate, "tokens": tokens}
        progress.curve.append(row)
        if progress.step % pace.evaluate_every == 0 or progress.step == data.steps:
            measured = evaluate(engine, running.judge, running.held_out)
            loss = measured["loss"]
            if not math.isfinite(loss):  # before it is saved: what is no number must not be gone on from
                raise Diverged(f"step {progress.step}: the held-out loss is {loss}; take a smaller {pace.key}.lr")
            better = loss < progress.best
            progress.worse = 0 if better else progress.worse + 1
            if better:
                progress.best, progress.best_step = loss, progress.step
            progress.objective = objective.state()
            row |= {f"held_out_{name}": value for name, value in measured.items()}
            checkpoint(progress, {"loss": mean, "held_out_loss": loss, "grad_norm": norm})
        if ask and leaving is not None:
            asked = time.monotonic()
            if leaving() and "held_out_loss" not in row:  # else it has just been saved
                progress.objective = objective.state()
                checkpoint(progress, {"loss": mean, "held_out_loss": NOT_LOOKED_AT, "grad_norm": norm})
        told(row)
    return progress


def _step(
    engine: Any, objective: Objective, data: Data, pace: Pace, step: int, due: bool
) -> tuple[float, float, bool]:
    """The mean loss, the gradient's norm, and whether the first worker's time is `due`: clocks are not alike."""
    import torch

    rank, world = _place()
    torch.manual_seed(((pace.seed * 1_000_003 + step) * 4099 + rank) % 2**63)  # of dropout
    rate = _rate(pace, step, data.steps)
    for group in base(engine).param_groups:
        group["lr"] = rate * group.get("scale", 1.0)
    engine.train()
    learned, total = data.learned(step), torch.zeros(2, device=engine.device)
    own: torch.Tensor | None = None
    seen, odd = list[str](), list[str]()
    for micro in data.micros(step):
        summed = objective.losses(micro).sum()
        # DeepSpeed takes the mean over workers and micro-batches; of unequal ones that is none over tokens
        engine.backward(summed * (world * engine.gradient_accumulation_steps() / learned))
        if not engine.zero_optimization() and engine.is_gradient_accumulation_boundary():
            own = _norm(engine)
        engine.step()
        total[0] += summed.detach()
        seen += micro.ids
        odd += micro.ids if not math.isfinite(float(summed.detach())) else []
    total[1] = float(due and rank == 0)
    whole, ask = _sums(total)
    mean, norm = whole / learned, float(engine.get_global_grad_norm() if own is None else own)
    if not (math.isfinite(mean) and math.isfinite(norm)):
        raise Diverged(_why(step + 1, mean, norm, pace, seen, odd))
    return mean, norm, ask > 0


def step_of_nothing(engine: Any, running: Running) -> None:
    """What state.load asks for: DeepSpeed has no moments to put anything into before a step."""
    for micro in running.data.nothing(engine.gradient_accumulation_steps()):
        engine.backward(running.objective.losses(micro).sum() * 0)
        engine.step()


def _norm(engine: Any) -> "torch.Tensor":
    """At stage 0, where DeepSpeed clips without telling by what: each worker has the gradients of all."""
    import torch

    return torch.nn.utils.get_total_norm([one.grad for one in engine.module.parameters() if one.grad is not None])


def _rate(pace: Pace, step: int, steps: int) -> float:
    return pace.lr * share(step, steps, pace.warmup, pace.decay)


def evaluate(engine: Any, judge: Judge, data: Data) -> dict[str, float]:
    """The mean of each measure over everything that is counted in held-out rows."""
    import torch

    engine.eval()
    totals, learned = {"loss": torch.zeros((), device=engine.device)}, 0
    with torch.no_grad():
        for step in range(data.steps):
            learned += data.learned(step)
            for micro in data.micros(step):
                for name, values in judge.measures(micro).items():
                    totals[name] = totals.get(name, 0) + values.sum()
    return {name: _sums(total.reshape(1))[0] / max(1, learned) for name, total in totals.items()}


def _why(step: int, mean: float, norm: float, pace: Pace, seen: list[str], odd: list[str]) -> str:
    """With the rows whose loss is no number; if it is the gradient that is none, with all that were seen."""
    import torch.distributed as dist

    found: list[Any] = [None] * _place()[1]
    if dist.is_initialized():
        dist.all_gather_object(found, (seen, odd))
    else:
        found = [(seen, odd)]
    rows = sorted({one for _, each in found for one in each} or {one for each, _ in found for one in each})
    named = f"{', '.join(rows[:20])}{f' and {len(rows) - 20} more' if len(rows) > 20 else ''}"
    return (
        f"step {step}: the loss is {mean} and the gradient's norm {norm}; take a smaller {pace.key}.lr, or look "
        f"at its rows: {named}"
    )


def _place() -> tuple[int, int]:
    import torch.distributed as dist

    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def _sums(values: "torch.Tensor") -> list[float]:
    """Over all workers."""
    import torch.distributed as dist

    if dist.is_initialized():
        dist.all_reduce(values)
    found: list[float] = values.tolist()
    return found
