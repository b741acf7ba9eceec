"""The steps of training: which there are, and what each depends on.

documents -> texts -> initial -> aligned            stage 1, for all tasks
examples -> task_tokens -> teacher -> embeddings -> distilled       stage 2, a task each
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlnu.config import setting
from xlnu.errors import UserError
from xlnu.languages import Language
from xlnu.mtllm import estimate, feed, initial, trained
from xlnu.mtllm.parts import Parents, StackSettings
from xlnu.mtllm.recipes import Goal, Training, View, Weights
from xlnu.mtllm.schemas import HELD_OUT, TRAIN
from xlnu.mtllm.tasks import Task
from xlnu.spread import call, connect
from xlnu.steps import Files, Result, Rows, Step, Work
from xlnu.train import config as loop
from xlnu.train import workers
from xlnu.train.config import LoopConfig
from xlnu.train.loop import Progress
from xlnu.train.order import Order
from xlnu.train.schedule import Decay

TRAINING = "training.json"
Card = Callable[[Goal, str, Parents, Progress], str]  # goal, view, parents, how it went


@dataclass
class StageConfig(LoopConfig):
    """How one stage is trained."""

    micro: int = setting(8, "texts that a worker computes at once", at_least=1)
    fusion_lr: float = setting(
        1.0, "the fusion's share of the learning rate; 0: it stays as it is", at_least=0, at_most=100
    )
    noise: float = setting(0.0, "on the encoder's states in training: a share of their spread", at_least=0)


@dataclass
class MapConfig(StageConfig):
    """Before stage 1, on bitext: from the mapped states of a foreign text the LLM writes the source's. The fusion
    alone learns.
    """

    on: bool = setting(False, "whether there is this stage")
    batch: int = setting(128, "pairs a step, over all workers", at_least=1)
    lr: float = setting(2e-5, "the learning rate at its highest", above=0)


@dataclass
class AlignConfig(StageConfig):
    """Stage 1."""

    on: bool = setting(True, "false: without it")
    evaluate_every: int = setting(
        500, "steps between looks at the held-out texts, each with a checkpoint", at_least=1
    )
    batch: int = setting(256, "texts a step, over all workers", at_least=1)
    epochs: int = setting(1, "how often every text is seen", at_least=1)
    lr: float = setting(2e-4, "the learning rate at its highest", above=0)
    warmup: float = setting(0.01, "share of all steps over which it rises", at_least=0, at_most=1)
    decay: Decay = setting("linear", "how it falls afterwards")
    weight_decay: float = setting(0.01, "AdamW's", at_least=0)
    patience: int = setting(0, "looks without a better loss before it stops; 0: it goes on to the end", at_least=0)
    span: float = setting(
        0.0, "weight of the squared error of words that are one token in both tokenizers", at_least=0
    )
    bitext: bool = setting(
        False, "whether bitext is read too: its foreign side by the stack, its other side by the LLM"
    )
    contrast: float = setting(0.0, "weight of InfoNCE beside the squared error", at_least=0)


@dataclass
class TeacherConfig(LoopConfig):
    """The LLM's tuning on a task in the source language, and that of the baselines that learn from labels."""

    micro: int = setting(8, "examples that a worker computes at once", at_least=1)
    warmup: float = setting(0.1, "share of all steps over which it rises", at_least=0, at_most=1)
    decay: Decay = setting("linear", "how it falls afterwards")
    evaluate_every: int = setting(
        200, "steps between looks at the validation examples, each with a checkpoint", at_least=1
    )
    patience: int = setting(0, "looks without a better loss before it stops; 0: it goes on to the end", at_least=0)


@dataclass
class DistilConfig(StageConfig):
    """Stage 2."""

    warmup: float = setting(0.1, "share of all steps over which it rises", at_least=0, at_most=1)
    decay: Decay = setting("linear", "how it falls afterwards")
    evaluate_every: int = setting(
        200, "steps between looks at the validation examples, each with a checkpoint", at_least=1
    )
    patience: int = setting(0, "looks without a better loss before it stops; 0: it goes on to the end", at_least=0)
    mse: float = setting(1.0, "weight of the squared error to the teacher's states", at_least=0)
    cross_entropy: float = setting(0.0, "weight of the task's own labels", at_least=0)
    logits: float = setting(0.0, "weight of the divergence from the teacher's answers", at_least=0)


@dataclass(frozen=True)
class Built:
    """What the steps of a job's stacks have in common."""

    parents: Parents
    settings: StackSettings
    source: Language
    logs: Path | None
    card: Card

    def initial(self, view: str, texts: Step | None) -> Step:
        return initial.step(view, self.settings, self.parents, self.source, texts)

    def training(
        self,
        name: str,
        config: LoopConfig,
        key: str,
        *,
        start: Step,
        data: Sequence[Step],
        goal: Goal,
        task: Task | None = None,
        head: Step | None = None,
        embeddings: Step | None = None,
        weights: Weights | None = None,
        view: View | None = None,
    ) -> Step:
        """A step that trains the result of another. `key`: of the settings, in what is said of them."""
        loop.check(config, key)
        made = Made(self, config, key, goal, task, weights or Weights(), start, data, head, embeddings, view)
        inputs = tuple(step for step in (start, *data, head, embeddings) if step)
        about = loop.about(config) | {
            **self.parents.identity,
            "goal": goal,
            "weights": dataclasses.asdict(made.weights),
            "task": [task.kind, *task.labels] if task else None,
        }
        if view == "dual":
            about["view"] = view
        for no_part_of_it in ("on", *(("lora",) if goal == "map" else ())):
            about.pop(no_part_of_it, None)
        if made.weights.contrast:  # each text is told from those that are computed beside it
            about |= {"micro": config.micro, "workers": config.pool.actors}
        starts = {name: view for view, name in initial.NAMES.items()}.get(start.name, "stack")
        takes = estimate.of_training(config, goal, starts, data, self.parents)
        return Step(name, about, made.run, inputs, estimate=takes, tidy=_clear)


@dataclass(frozen=True)
class Made:
    """One training, and how it is run."""

    built: Built
    config: LoopConfig
    key: str
    goal: Goal
    task: Task | None
    weights: Weights
    start: Step
    data: Sequence[Step]  # what is held out is the first one's
    head: Step | None
    embeddings: Step | None
    view: View | None  # in which it is trained, if not in that of where it starts

    def run(self, work: Work) -> int:
        config = self.config
        connect(work.task.display)
        placed = loop.placed(config, self.key)
        recipe = self.recipe(work)
        logs = self.built.logs / work.write_part.address if self.built.logs else None
        made = workers.train(work, workers.job(recipe, config, placed, self.key), placed, config.keep, logs)
        view = self.view or self._view(recipe.start)
        text = self.built.card(self.goal, view, self.built.parents, made.progress)
        wanted = trained.Wanted(recipe, "llm" if view == "llm" else "encoder", text)
        call(trained.write, work.write_part, made.folder, wanted, task=work.task)
        told = json.dumps(dataclasses.asdict(made.progress)).encode()
        work.write_part.store.write(f"{work.write_part.address}/{TRAINING}", told)
        return 0

    def _changed(self) -> dict[str, Any]:
        """What of the configuration is another than where it starts."""
        made: dict[str, Any] = {"view": self.view} if self.view else {}
        return made | ({"task": self.task.kind, "labels": list(self.task.labels)} if self.task else {})

    def _view(self, start: Files) -> str:
        found: str = json.loads((start.local() / "config.json").read_text())["view"]
        return found

    def recipe(self, work: Work) -> Training:
        config, start = self.config, work.inputs[self.start.name].files()
        part = "llm" if self._view(start) == "llm" else "encoder"
        tables = {}
        for folder in (TRAIN, HELD_OUT):
            steps = self.data if folder == TRAIN else self.data[:1]
            rows = Rows.joined([work.inputs[step.name].rows(folder, rejected=True) for step in steps])
            if not len(rows):
                raise UserError(f"{work.name}: {self.data[0].name} has no row in {folder}/")
            taught = work.inputs[self.embeddings.name].rows(folder, rejected=True) if self.embeddings else None
            tables[folder] = feed.table(rows, part, taught)
        train = tables[TRAIN]
        epochs = loop.epochs(config, len(train))
        fusion, noise = (config.fusion_lr, config.noise) if isinstance(config, StageConfig) else (1.0, 0.0)
        return Training(
            start=start,
            parents=self.built.parents,
            key=self.key,
            goal=self.goal,
            numbers=config.numbers,
            lora=config.lora if self.goal != "map" else None,
            fusion_scale=fusion,
            noise=noise,
            weights=self.weights,
            head=work.inputs[self.head.name].files() if self.head else None,
            changed=self._changed(),
            recompute=config.recompute,
            attention=config.attention,
            order=Order(len(train), train.per_file, feed.WINDOW, config.batch, epochs, config.seed),
            train=train,
            held_out=tables[HELD_OUT],
        )


def progress(model: Result) -> Progress:
    """How the training of a finished model went."""
    return Progress(**json.loads(model.store.read(f"{model.manifest.address}/{TRAINING}")))


def _clear(model: Result) -> None:
    """Its checkpoints, once the step is finished."""
    model.store.delete_folder(f"{workers.FOLDER}/{model.manifest.address}")
