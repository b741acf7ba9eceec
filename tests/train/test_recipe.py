"""The loop with a training of another kind than an LLM's: its own module, its own data, parameters in groups, and
more than a loss that is measured.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.train.regressions import Net, Regression, plainly
from tests.train.spawned import spawn
from xlnu import steps
from xlnu.cluster.pools import Placed, PoolConfig
from xlnu.errors import UserError
from xlnu.progress import Display
from xlnu.steps import Step, Work
from xlnu.store import Store
from xlnu.train import state, workers
from xlnu.train.config import LoopConfig, check, check_shares
from xlnu.train.loop import Diverged, Progress, fit, step_of_nothing
from xlnu.train.zero import Stage, ZeroConfig

pytestmark = pytest.mark.timeout(600)

STEPS, BATCH, EVERY = 9, 6, 3


def config(stage: Stage = "0", **settings: Any) -> LoopConfig:
    usual: dict[str, Any] = {
        "numbers": "fp32", "batch": BATCH, "lr": 3e-2, "weight_decay": 0.1, "evaluate_every": EVERY, "patience": 0,
    }  # fmt: skip
    return LoopConfig(**(usual | settings), zero=ZeroConfig(stage))


def plain() -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    return plainly(config(), STEPS)


def run(rank: int, world: int, out: Path, stage: Stage, start: str) -> None:
    """From the beginning, or from a step's state."""
    job = workers.job(Regression(STEPS, BATCH), config(stage), Placed(world, 1, 0), "align")
    engine = workers.start(job, world)
    running, progress = job.recipe.running(engine, rank, world, job.micro), Progress()
    name = f"{stage}-again" if start else stage
    if start:
        last = out / stage / start
        progress = Progress(**state.load(engine, last, lambda: step_of_nothing(engine, running)))

    def checkpoint(now: Progress, _measured: dict[str, float]) -> None:
        folder = out / name / str(now.step)
        folder.mkdir(parents=True, exist_ok=True)
        state.save(engine, folder, rank, world, dataclasses.asdict(now))

    fit(engine, running, job.pace, progress, checkpoint, lambda _: None)


def run_all(rank: int, world: int, out: Path, stages: str) -> None:
    for stage in stages:
        run(rank, world, out, stage, "")  # type: ignore[arg-type]
        run(rank, world, out, stage, str(EVERY))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("regressions")
    spawn(2, run_all, out, "0123")
    return out


@pytest.mark.parametrize("stage", ["0", "1", "2", "3", "0-again", "1-again", "2-again", "3-again"])
def test_every_group_has_its_share_of_the_learning_rate(trained: Path, stage: str) -> None:
    folder = trained / stage / str(STEPS)
    read, (_, expected) = state.reader(folder), plain()
    torch.manual_seed(0)
    for name, one in Net().named_parameters():
        if name.startswith("frozen"):
            with pytest.raises(KeyError):
                read(f"weight {name}")
            continue
        found = read(f"weight {name}")
        assert torch.equal(found, one.detach()) == name.startswith("still")
        assert float((found - expected[name]).abs().max()) < 1e-5


@pytest.mark.parametrize("stage", ["0", "2", "3-again"])
def test_whatever_is_measured_stands_in_the_curve(trained: Path, stage: str) -> None:
    about = json.loads((trained / stage / str(STEPS) / state.ABOUT).read_text())
    rows, _ = plain()
    assert len(about["curve"]) == STEPS
    for found, expected in zip(about["curve"], rows, strict=True):
        assert {name: found[name] for name in found if name in ("loss", *expected)} == pytest.approx(expected)
        assert set(found) - set(expected) == {"step", "grad_norm", "lr", "tokens"}
    assert about["best"] == pytest.approx(min(row.get("held_out_loss", 9.0) for row in rows))


@pytest.mark.usefixtures("ray_here")
def test_on_ray_it_leaves_its_best_state(tmp_path: Path) -> None:
    made = list[workers.Trained]()

    def train(work: Work, **settings: Any) -> int:
        placed = Placed(1, 1, 0)
        job = workers.job(Regression(STEPS, BATCH), config(**settings), placed, "align")
        made.append(workers.train(work, job, placed, 2, tmp_path / "logs"))
        return 0

    store = Store(str(tmp_path / "store"))
    steps.run([Step("student", {}, train)], store, Display())
    rows, expected = plain()
    looks = [row["held_out_loss"] for row in made[0].progress.curve if "held_out_loss" in row]
    assert looks == pytest.approx([row["held_out_loss"] for row in rows if "held_out_loss" in row])
    assert made[0].progress.best_step == STEPS, "so the best is the last, which is the plain loop's"
    read = state.reader(Path(store.root, made[0].folder))
    assert float((read("weight slow.weight") - expected["slow.weight"]).abs().max()) < 1e-5
    with pytest.raises(Diverged, match=r"student: step \d+: .*take a smaller align\.lr"):
        steps.run(
            [Step("student", {"lr": 1e30}, lambda work: train(work, lr=1e30, weight_decay=0.0))], store, Display()
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch": 6, "micro": 4}, "align.batch: 6 is no multiple of 4: align.micro for each"),
        ({"beta1": 1.0}, "align.beta1, align.beta2: AdamW's are below 1"),
        ({"numbers": "bf16"}, "align.zero.stage: 0 needs align.numbers=fp32"),
        ({"attention": "flash_attention_2"}, "align.attention: flash_attention_2 needs align.numbers=bf16"),
        ({"pool": PoolConfig(gpus=2)}, "align.pool.gpus: of one worker"),
    ],
)
def test_a_mistake_is_told_by_its_section(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        check(config(**settings), "align")
    assert str(caught.value).startswith(message)
    with pytest.raises(
        UserError, match=r"align\.batch: 6 cannot be shared among 4 workers, .* align\.pool\.actors=1"
    ):
        check_shares(config(), 4, "align")
