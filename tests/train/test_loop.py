"""The loop under DeepSpeed on two workers, held against a plain loop in PyTorch on the same packs."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.train.spawned import spawn
from tests.train.worlds import packs
from xlnu.tiny.build import Built
from xlnu.train import state
from xlnu.train.feed import Feed, Share
from xlnu.train.loop import Pace, Progress, Running, fit, step_of_nothing
from xlnu.train.objective import Sft, objective
from xlnu.train.order import Order
from xlnu.train.packs import Index
from xlnu.train.schedule import share
from xlnu.train.tuned import LoraConfig, Numbers, load
from xlnu.train.zero import ZeroConfig, configuration

pytestmark = pytest.mark.timeout(600)

PACE = Pace(lr=3e-3, warmup=0.2, decay="cosine", evaluate_every=3, patience=0, seed=0)
BATCH, EPOCHS, CLIP = 4, 3, 0.5


@dataclasses.dataclass(frozen=True)
class World:
    model: str
    train: Index
    held_out: Index
    out: Path

    @property
    def order(self) -> Order:
        return Order(len(self.train), self.train.per_file, 2, BATCH, EPOCHS, 0)

    def feed(self, rank: int, workers: int, micro: int) -> Feed:
        place = Share(rank, workers, micro, 0, torch.device("cpu"), flat=False)
        return Feed(self.train, self.order, place, BATCH, teacher=False)

    def held(self, rank: int, workers: int, micro: int) -> Feed:
        place = Share(rank, workers, micro, 0, torch.device("cpu"), flat=False)
        return Feed(self.held_out, None, place, micro * workers, teacher=False)


@pytest.fixture(scope="module")
def world(tiny: Built, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("loop")
    train, held_out = packs(tiny, folder, length=96)
    assert len(train) > 3 * BATCH
    return World(str(tiny.llm), train, held_out, folder)


def plain(world: World) -> tuple[list[float], list[float], dict[str, torch.Tensor]]:
    """Without DeepSpeed, Ray, packs by the row, hooks or shares: one worker, one pack after another."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_pretrained(world.model, dtype=torch.float32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PACE.lr, weight_decay=0.0)
    feed, losses, norms = world.feed(0, 1, 1), list[float](), list[float]()
    for step in range(feed.steps):
        for group in optimizer.param_groups:
            group["lr"] = PACE.lr * share(step, feed.steps, PACE.warmup, PACE.decay)
        sums, learned = [], 0
        for number in world.order.at(step).tolist():
            for one in feed.reader.pack(number):  # each example by itself
                ids = torch.tensor([one.example.ids])
                labels = ids.clone()
                labels[0, : one.example.prompt] = -100
                logits = model(input_ids=ids).logits[0, :-1].double()
                sums.append(torch.nn.functional.cross_entropy(logits, labels[0, 1:], reduction="sum"))
                learned += len(one.example.ids) - one.example.prompt
        loss = torch.stack(sums).sum() / learned
        loss.backward()  # type: ignore[no-untyped-call]
        norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)))
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss))
    return losses, norms, {name: one.detach() for name, one in model.named_parameters()}


def engine(world: World, stage: str, workers: int, micro: int, numbers: Numbers) -> Any:
    import deepspeed

    model = load(world.model, numbers, None, recompute=False, attention="sdpa")
    optimizer = torch.optim.AdamW(model.parameters(), lr=PACE.lr, weight_decay=0.0, fused=True)
    settings = configuration(
        ZeroConfig(stage=stage),  # type: ignore[arg-type]
        micro=micro, batch=BATCH, workers=workers, clip=CLIP, bf16=numbers == "bf16", gpu=False,
    )  # fmt: skip
    made, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=settings)
    return made


def run(
    rank: int,
    workers: int,
    world: World,
    stage: str,
    micro: int,
    out: str,
    start: str = "",
    numbers: Numbers = "fp32",
) -> None:
    """From the beginning, or from the state in the folder `start`; every evaluation's state is kept."""
    made = engine(world, stage, workers, micro, numbers)
    data, held_out = world.feed(rank, workers, micro), world.held(rank, workers, micro)
    progress, losses, norms = Progress(), dict[int, float](), dict[int, float]()
    running = Running(data, held_out, objective(made, "sft", "none", data.steps), Sft(made))
    if start:
        about = state.load(made, world.out / start, lambda: step_of_nothing(made, running))
        progress = Progress(**about)

    def checkpoint(now: Progress, _measured: dict[str, float]) -> None:
        folder = world.out / out / str(now.step)
        folder.mkdir(parents=True, exist_ok=True)
        state.save(made, folder, rank, workers, dataclasses.asdict(now))

    def told(row: dict[str, float]) -> None:
        losses[int(row["step"])] = row["loss"]
        norms[int(row["step"])] = row["grad_norm"]

    fit(made, running, PACE, progress, checkpoint, told)
    if rank == 0:
        torch.save(losses, world.out / out / "losses")
        torch.save(norms, world.out / out / "norms")


def run_all(rank: int, workers: int, world: World, *runs: tuple[Any, ...]) -> None:
    for one in runs:
        run(rank, workers, world, *one)


def losses(world: World, out: str, what: str = "losses") -> dict[int, float]:
    found: dict[int, float] = torch.load(world.out / out / what)
    return found


def weights(world: World, out: str) -> dict[str, torch.Tensor]:
    read, last = state.reader(world.out / out / str(world.order.steps)), dict[str, torch.Tensor]()
    for name, _ in load(world.model, "fp32", None, recompute=False, attention="sdpa").named_parameters():
        last[name] = read(f"weight {name}")
    return last


@pytest.fixture(scope="module")
def two_workers(world: World) -> World:
    stages = ((stage, 1, f"zero{stage}") for stage in "0123")
    spawn(2, run_all, world, *stages, ("2", 2, "large"), ("3", 1, "again", "zero3/6"))
    return world


@pytest.mark.parametrize("name", ["zero0", "zero1", "zero2", "zero3", "large"])
def test_every_stage_is_the_plain_loop(two_workers: World, name: str) -> None:
    expected, norms, final = plain(two_workers)
    found = losses(two_workers, name)
    assert sorted(found) == list(range(1, len(expected) + 1))
    assert max(abs(found[i + 1] - loss) for i, loss in enumerate(expected)) < 1e-5
    assert expected[-1] < 0.9 * expected[0], "it learns"
    told = losses(two_workers, name, "norms")
    assert max(abs(told[i + 1] / norm - 1) for i, norm in enumerate(norms)) < 1e-4
    last = weights(two_workers, name)
    assert max(float((last[each] - final[each]).abs().max()) for each in final) < 1e-5


def test_what_goes_on_from_a_checkpoint_is_the_run_undisturbed(two_workers: World) -> None:
    one, other = weights(two_workers, "zero3"), weights(two_workers, "again")
    assert max(float((one[name] - other[name]).abs().max()) for name in one) <= 1e-6
    assert losses(two_workers, "again") == {
        step: loss for step, loss in losses(two_workers, "zero3").items() if step > 6
    }


def test_in_bf16_every_stage_learns_alike_and_goes_on_as_if_undisturbed(world: World) -> None:
    """Gradients of micro-batches are summed in bf16, as DeepSpeed has it: to a step's two digits it is the same."""
    stages = ("1", "2", "3")
    spawn(2, run_all, world, *((stage, 2, f"bf16-{stage}", "", "bf16") for stage in stages))
    spawn(2, run_all, world, *((stage, 2, f"bf16-{stage}-again", f"bf16-{stage}/6", "bf16") for stage in stages))
    expected, *_ = plain(world)
    for stage in stages:
        found, again = losses(world, f"bf16-{stage}"), losses(world, f"bf16-{stage}-again")
        assert max(abs(found[i + 1] / loss - 1) for i, loss in enumerate(expected)) < 0.02
        assert again == {step: loss for step, loss in found.items() if step > 6}
        one, other = weights(world, f"bf16-{stage}"), weights(world, f"bf16-{stage}-again")
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_on_another_number_of_workers_and_at_another_stage_it_goes_on(two_workers: World) -> None:
    spawn(1, run_all, two_workers, ("1", 1, "alone", "zero3/6"))
    expected, found = losses(two_workers, "zero3"), losses(two_workers, "alone")
    assert sorted(found) == [step for step in sorted(expected) if step > 6]
    assert max(abs(expected[step] - loss) for step, loss in found.items()) < 1e-5
    one, other = weights(two_workers, "zero3"), weights(two_workers, "alone")
    assert max(float((one[name] - other[name]).abs().max()) for name in one) < 1e-5


class Bare(torch.nn.Module):
    """A model where an engine is asked for."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, **inputs: Any) -> Any:
        return self.module(**inputs)


def test_examples_in_rows_of_their_own_have_the_same_losses(world: World) -> None:
    sft = Sft(Bare(load(world.model, "fp32", None, recompute=False, attention="sdpa").eval()))
    found = []
    for apart in (False, True):
        place = Share(0, 1, 2, 0, torch.device("cpu"), flat=False, apart=apart)
        feed = Feed(world.train, world.order, place, BATCH, teacher=False)
        micros = list(feed.micros(0))
        assert [len(micro.batch.input_ids) > 2 for micro in micros] == [apart, apart]
        found.append(torch.cat([sft.losses(micro).detach() for micro in micros]))
    assert len(found[0]) == world.feed(0, 1, 1).learned(0)
    assert torch.allclose(found[0], found[1], atol=1e-5)


@pytest.mark.parametrize("kind", ["fkl", "taid"])
def test_where_nothing_is_taught_the_teacher_is_asked_all_the_same(world: World, kind: Any) -> None:
    """Under ZeRO-3 every pass through the model is one for all workers."""
    model = load(world.model, "fp32", LoraConfig(), recompute=False, attention="sdpa")
    calls = list[int]()
    model.register_forward_hook(lambda *_: calls.append(1))
    goal = objective(Bare(model), kind, "none", 10)
    place = Share(0, 1, 1, 0, torch.device("cpu"), flat=False)
    feed = Feed(world.train, world.order, place, BATCH, teacher=True)
    for micro in [*feed.micros(0), *feed.nothing(1)]:
        calls.clear()
        loss = goal.losses(micro).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        assert sum(calls) == 2
    assert float(loss) == 0
