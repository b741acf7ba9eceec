"""A training that has no LLM, no packs and no files: a small module learns numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from xlnu.train.config import LoopConfig
from xlnu.train.loop import Running
from xlnu.train.schedule import share

ROWS, HELD_OUT, INPUTS, HIDDEN = 24, 7, 5, 6


@dataclass(frozen=True)
class Some:
    given: torch.Tensor
    wanted: torch.Tensor
    ids: list[str]


def numbers(seed: int, n: int) -> Some:
    torch.manual_seed(seed)
    given = torch.randn(n, INPUTS)
    return Some(given, given.sum(1) + 0.1 * torch.randn(n), [f"{seed}-{i}" for i in range(n)])


class Shares:
    """Rows of a table, `batch` a step, in the table's order, again and again."""

    def __init__(self, rows: Some, steps: int, batch: int, rank: int, world: int, micro: int) -> None:
        self.rows, self.steps, self.batch = rows, steps, batch
        self.rank, self.world, self.micro = rank, world, micro

    def at(self, step: int) -> list[int]:
        n, start = len(self.rows.ids), step * self.batch % len(self.rows.ids)
        return list(range(start, min(start + self.batch, n)))

    def micros(self, step: int) -> Iterator[Some]:
        mine = self.at(step)[self.rank :: self.world]
        for start in range(0, -(-self.batch // self.world), self.micro):
            yield self._some(mine[start : start + self.micro])

    def nothing(self, times: int) -> list[Some]:
        return [self._some([])] * times

    def learned(self, step: int) -> int:
        return len(self.at(step))

    def tokens(self, step: int) -> int:
        return len(self.at(step)) * INPUTS

    def _some(self, which: list[int]) -> Some:
        return Some(self.rows.given[which], self.rows.wanted[which], [self.rows.ids[i] for i in which])


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.still, self.slow = torch.nn.Linear(INPUTS, HIDDEN), torch.nn.Linear(HIDDEN, HIDDEN)
        self.fast, self.frozen = torch.nn.Linear(HIDDEN, 1), torch.nn.Linear(1, 1)
        self.frozen.requires_grad_(False)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh(self.slow(torch.tanh(self.still(given))))
        said: torch.Tensor = self.frozen(self.fast(hidden))
        return said[:, 0]


class Squares:
    """Both the objective and the judge."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def losses(self, micro: Some) -> torch.Tensor:
        return self._off(micro).square()

    def measures(self, micro: Some) -> dict[str, torch.Tensor]:
        off = self._off(micro)
        return {"off": off.abs(), "loss": off.square()}

    def _off(self, micro: Some) -> torch.Tensor:
        off: torch.Tensor = self.model(micro.given) - micro.wanted
        return off

    def update(self, mean: float) -> None: ...

    def state(self) -> dict[str, float]:
        return {}

    def restore(self, state: dict[str, float]) -> None: ...


SCALES = {"still": 0.0, "slow": 0.25, "fast": None}  # None: it says none


@dataclass
class Regression:
    steps: int
    batch: int

    def model(self) -> Net:
        return Net()

    def groups(self, model: torch.nn.Module) -> list[dict[str, Any]]:
        made = [(list(model.get_submodule(name).parameters()), scale) for name, scale in SCALES.items()]
        return [{"params": some} | ({} if scale is None else {"scale": scale}) for some, scale in made]

    def running(self, engine: Any, rank: int, world: int, micro: int) -> Running:
        train = Shares(numbers(0, ROWS), self.steps, self.batch, rank, world, micro)
        at_once = micro * world
        held_out = Shares(numbers(1, HELD_OUT), -(-HELD_OUT // at_once), at_once, rank, world, micro)
        goal = Squares(engine)
        return Running(train, held_out, goal, goal)


def plainly(about: LoopConfig, steps: int) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    """One worker, no DeepSpeed, no micro-batches; each group with its own learning rate."""
    told = list[dict[str, float]]()
    torch.manual_seed(about.seed)
    model = Net()
    optimizer = torch.optim.AdamW(
        [{"params": model.get_submodule(name).parameters()} for name in SCALES], weight_decay=about.weight_decay
    )
    data, held = Shares(numbers(0, ROWS), steps, about.batch, 0, 1, about.batch), numbers(1, HELD_OUT)
    for step in range(steps):
        rate = about.lr * share(step, steps, about.warmup, about.decay)
        for group, scale in zip(optimizer.param_groups, SCALES.values(), strict=True):
            group["lr"] = rate * (1.0 if scale is None else scale)
        (micro,) = data.micros(step)
        loss = Squares(model).losses(micro).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), about.clip)
        optimizer.step()
        optimizer.zero_grad()
        row = {"loss": float(loss.detach())}
        if (step + 1) % about.evaluate_every == 0:
            with torch.no_grad():
                off = model(held.given) - held.wanted
            row |= {"held_out_loss": float(off.square().mean()), "held_out_off": float(off.abs().mean())}
        told.append(row)
    return told, {name: one.detach() for name, one in model.named_parameters()}
