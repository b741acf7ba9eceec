"""The stages of MT-LLM under DeepSpeed on two workers, each of ZeRO's stages, held against a plain loop of one."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch

from tests.mtllm.worlds import parents, run, settings
from tests.train.spawned import spawn
from xlnu.cluster.pools import Placed
from xlnu.errors import Halt
from xlnu.languages import resolve, resolve_all
from xlnu.mtllm import bitext, embed, feed, tasks, texts, tokens, trained
from xlnu.mtllm.build import Built, Made
from xlnu.mtllm.recipes import Goal, Training, Weights
from xlnu.mtllm.schemas import TOKENS
from xlnu.steps import Part, Rows, Step, Work, Writer
from xlnu.store import Store
from xlnu.tiny.build import Built as TinyBuilt
from xlnu.train import state, workers
from xlnu.train.loop import Progress, fit
from xlnu.train.order import Order
from xlnu.train.schedule import share
from xlnu.train.zero import Stage, ZeroConfig

pytestmark = pytest.mark.timeout(600)

BATCH, STEPS = 8, 3
GOALS: dict[Goal, str] = {"map": "map", "align": "align", "distil": "distil"}
STAGES: dict[Goal, tuple[Stage, ...]] = {"map": ("2",), "align": ("0", "1", "2", "3"), "distil": ("0", "3")}
WEIGHTS: dict[Goal, Weights] = {
    "map": Weights(),
    "align": Weights(span=0.5),
    "distil": Weights(cross_entropy=0.5, logits=0.5),
}


@dataclasses.dataclass(frozen=True)
class One:
    """A recipe, and the settings that it is trained by."""

    recipe: Training
    config: Any


@pytest.fixture(scope="module")
def stages(tiny: TinyBuilt, ray_here: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[Goal, One]:
    assert ray_here.is_initialized()
    config, declared = settings(tiny, "languages=[qaa_Latn,qab_Cyrl]")
    source, languages = resolve("eng_Latn", declared), resolve_all(config.languages, declared)
    both = parents(config)
    built = Built(both, config.stack, source, None, lambda *_: "")
    (task,) = tasks.found(config.tasks, source, languages)
    documents, unlabeled = texts.steps(config.texts, config.stack, both, source)
    initial, alone = built.initial("stack", documents), built.initial("llm", None)
    pairs = bitext.steps(config.bitext, config.stack, both, source, languages)
    examples, _ = tasks.steps(config.tasks, task, source, languages)
    data = tokens.task_step("tokens_topic", [examples], task.kind, config.stack, both, [source])

    def made(goal: Goal, start: Step, data: Step, *more: Any) -> Made:
        """Nothing is drawn that hangs on who computes what: no noise, and no dropout."""
        about = getattr(config, GOALS.get(goal, "teacher"))
        about.numbers, about.batch, about.micro, about.evaluate_every, about.seed = "fp32", BATCH, 2, STEPS, 3
        about.lora.dropout, about.noise = 0.0, 0.0
        head, cached = more or (None, None)
        of = None if goal in ("map", "align") else task
        return Made(built, about, goal, goal, of, WEIGHTS.get(goal, Weights()), start, [data], head, cached, None)

    def teach(work: Work) -> int:
        """A teacher that learned nothing: its head is drawn."""
        recipe = made("task", alone, data).recipe(work)
        torch.manual_seed(5)
        folder = tmp_path_factory.mktemp("teacher")
        trained.save(trained.opened(recipe), folder, both.folders()["llm"], "")
        trained.put(work.write_part, folder)
        return 0

    teacher = Step("teacher", {}, teach, (alone, data))
    cached = embed.step("embeddings", teacher, data, both, config.read.pool)
    found = dict[Goal, One]()

    def keep(one: Made, goal: Goal) -> Any:
        def take(work: Work) -> int:
            recipe = one.recipe(work)
            order = Order(STEPS * BATCH, STEPS * BATCH, feed.WINDOW, BATCH, 1, 3)
            found[goal] = One(dataclasses.replace(recipe, order=order), one.config)
            return 0

        return take

    wanted: dict[Goal, Made] = {
        "map": made("map", initial, pairs[-1]),
        "align": made("align", initial, unlabeled),
        "distil": made("distil", initial, data, teacher, cached),
    }

    def inputs(one: Made) -> tuple[Step, ...]:
        return tuple(step for step in (one.start, *one.data, one.head, one.embeddings) if step)

    taken = [Step(f"recipe_{goal}", {}, keep(one, goal), inputs(one)) for goal, one in wanted.items()]
    before = [documents, unlabeled, initial, alone, *pairs, examples, data, teacher, cached]
    run(tmp_path_factory.mktemp("workers"), [*before, *taken])
    return found


class Plain:
    """What an objective asks of DeepSpeed's engine, and nothing of DeepSpeed."""

    def __init__(self, model: Any) -> None:
        self.module, self.device = model, torch.device("cpu")

    def __call__(self, **given: Any) -> Any:
        return self.module(**given)

    def eval(self) -> None:
        self.module.eval()


def plain(one: One) -> tuple[list[float], dict[str, torch.Tensor], dict[str, float]]:
    """One worker, all rows of a step at once: losses, weights, and what is measured at the end."""
    recipe, config = one.recipe, one.config
    torch.manual_seed(config.seed)
    model: Any = recipe.model()
    running = recipe.running(Plain(model), 0, 1, BATCH)
    optimizer = torch.optim.AdamW(recipe.groups(model), lr=config.lr, weight_decay=config.weight_decay)
    losses = []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = config.lr * share(step, STEPS, config.warmup, config.decay) * group.get("scale", 1.0)
        model.train()
        (micro,) = running.data.micros(step)
        loss = running.objective.losses(micro).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], config.clip)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    model.eval()
    sums, count = dict[str, float](), 0
    with torch.no_grad():
        for step in range(running.held_out.steps):
            for held in running.held_out.micros(step):
                count += held.count  # type: ignore[attr-defined]
                for name, values in running.judge.measures(held).items():
                    sums[name] = sums.get(name, 0.0) + float(values.sum())
    weights = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    return losses, weights, {name: value / count for name, value in sums.items()}


def learn(rank: int, world: int, out: Path, stages: dict[Goal, One]) -> None:
    for goal, one in stages.items():
        for stage in STAGES[goal]:
            config = dataclasses.replace(one.config, zero=ZeroConfig(stage))
            job = workers.job(one.recipe, config, Placed(world, 1, 0), goal)
            engine = workers.start(job, world)
            running = one.recipe.running(engine, rank, world, config.micro)

            def checkpoint(now: Progress, _: Any, engine: Any = engine, place: Path = out / goal / stage) -> None:
                place.mkdir(parents=True, exist_ok=True)
                state.save(engine, place, rank, world, dataclasses.asdict(now))

            fit(engine, running, job.pace, Progress(), checkpoint, lambda _: None)


def test_no_word_that_both_tokenizers_have_whole_is_told_as_such(stages: dict[Goal, One], tmp_path: Path) -> None:
    recipe, rows = stages["align"].recipe, stages["align"].recipe.held_out.rows
    none = [row | {"encoder_at": [], "llm_at": []} for row in rows.read(0, len(rows)).to_pylist()]
    store = Store(str(tmp_path))
    Writer(store, "none")(Part(0, 0, len(none)), pa.Table.from_pylist(none, schema=TOKENS))
    blank = Rows(store, (f"{store.root}/none/000000.parquet",), (len(none),), rejected=True)
    held_out = dataclasses.replace(recipe.held_out, rows=blank)
    with pytest.raises(Halt, match=r"align\.span: no word of the held-out texts is one token in both"):
        dataclasses.replace(recipe, held_out=held_out).running(Plain(recipe.model()), 0, 1, BATCH)


@pytest.fixture(scope="module")
def results(stages: dict[Goal, One], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shared")
    spawn(2, learn, out, stages)
    return out


@pytest.mark.parametrize("goal", GOALS)
def test_two_workers_learn_what_one_learns(results: Path, stages: dict[Goal, One], goal: Goal) -> None:
    losses, weights, measured = plain(stages[goal])
    torch.manual_seed(3)
    opened = trained.opened(stages[goal].recipe)
    first = {name: one.detach() for name, one in opened.named_parameters() if one.requires_grad}
    moved = [name for name, one in first.items() if not torch.equal(one, weights[name])]
    assert len(moved) > len(weights) / 3, "a test of nothing"
    for stage in STAGES[goal]:
        folder = results / goal / stage
        curve = json.loads((folder / state.ABOUT).read_text())["curve"]
        assert [row["loss"] for row in curve] == pytest.approx(losses, rel=1e-5, abs=1e-5), stage
        held_out = {name.removeprefix("held_out_"): v for name, v in curve[-1].items() if "held_out_" in name}
        assert held_out == pytest.approx(measured, rel=1e-4, abs=1e-5), stage
        read = state.reader(folder)
        for name, weight in weights.items():
            # Adam makes a whole step of a gradient that is nothing but rounding: here and there 1e-5
            way, off = (weight - first[name]).norm(), (read(f"weight {name}") - weight).norm()
            assert float(off) <= 1e-3 * float(way), (stage, name)
