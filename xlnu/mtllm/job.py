"""What `python jobs/mtllm.py` does: a stack for each task, what it is held against, and what they score."""

import copy
import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xlnu.config import varied
from xlnu.errors import UserError
from xlnu.evaluate import measured, probe_plots, probes
from xlnu.evaluate.measured import Known, Measured, System
from xlnu.evaluate.resources import levels
from xlnu.evaluate.samples import samples
from xlnu.languages import Language, resolve, resolve_all
from xlnu.manifest import CARD
from xlnu.mtllm import bitext, tasks, texts
from xlnu.mtllm.arms import Arms, Asked
from xlnu.mtllm.build import Built, progress
from xlnu.mtllm.card import card
from xlnu.mtllm.claims import claims
from xlnu.mtllm.parts import Parents, StackSettings, beside, check, parents, suits
from xlnu.mtllm.recipes import Goal, Weights
from xlnu.mtllm.settings import MAIN, ROUTED, TOGETHER, Mode, MtllmConfig, Settings
from xlnu.mtllm.tables import Cost, tables
from xlnu.mtllm.tasks import Task
from xlnu.report.document import Plot, Sample, Score
from xlnu.run import Found, Run
from xlnu.steps import Result, Step
from xlnu.tiny.build import Built as TinyBuilt
from xlnu.tiny.build import TinyConfig
from xlnu.tiny.embed import embed
from xlnu.train import curves, plan
from xlnu.train.loop import Progress
from xlnu.transfer.models import Mt


@dataclass
class _Trial:
    """One seed: its steps, and what is read off them."""

    config: Settings
    built: TinyBuilt | None
    source: Language
    languages: list[Language]
    declared: tuple[Language, ...]
    run: Run
    several: bool  # whether it is one of several seeds
    todo: list[Step] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    probed: dict[str, Step] = field(default_factory=dict)  # by what it is called in the report
    embedders: dict[str, Step] = field(default_factory=dict)  # by address: the stacks after stage 1
    trained: dict[str, tuple[str, Step]] = field(default_factory=dict)  # by address: what it is called in tables

    def plan(self) -> None:
        config = self.config
        if "ensemble" in config.modes:
            config.modes = [*dict.fromkeys([*config.modes, *TOGETHER])]
        if "router" in config.modes:
            config.modes = [*dict.fromkeys([*config.modes, *ROUTED])]
        self.parents = parents(config.encoder, config.llm)
        if self.source.label in {one.label for one in self.languages}:
            raise UserError(f"languages: {self.source.label} is the source, which is tested anyway; leave it out")
        variants = _variants(config)
        for variant in variants.values():
            self._suits(variant)
        found = tasks.found(config.tasks, self.source, self.languages)
        for key in ("ablate", "by_task"):
            odd = [name for name in getattr(config, key) if name not in config.tasks.format]
            if odd:
                raise UserError(f"{key}: {odd[0]!r} is no task of tasks.format: {', '.join(config.tasks.format)}")
        for variant in variants.values():
            _check(variant, found)
        asking = {task.name: tasks.steps(config.tasks, task, self.source, self.languages) for task in found}
        self.todo += [step for some in asking.values() for step in some]  # what cannot be read is found first
        mt = self._mt()
        multilingual = self._multilingual()
        for number, (name, variant) in enumerate(variants.items()):
            built = Built(self.parents, variant.stack, self.source, self._logs, self._card)
            initial, aligned = self._aligned(name, variant, built)
            if config.probes.on:
                step = probes.step(
                    "probed", aligned, None, "stack", self.parents, config.probes, self.source, self.languages
                )
                self.probed[f"{name}, before any task"] = self._add(step)
            for task in found:
                if number and not self._ablated(task):
                    continue
                own = _varied(variant, variant.by_task.get(task.name, {}), f"by_task.{task.name}", OF_TASK)
                _check(own, [task])
                arms = Arms(
                    name, own, built, task, self.source, self.languages, *asking[task.name], initial, aligned,
                    mt, multilingual, self._add, self._trained, self._modes(task), shared=number == 0,
                )  # fmt: skip
                self.asked += arms.all()

    @property
    def _logs(self) -> Path | None:
        return Path(self.run.folder.root, "tensorboard") if self.run.folder.local else None

    def _multilingual(self) -> Built | None:
        if "multilingual" not in self.config.modes:
            return None
        other, settings = beside(self.parents, self.config.multilingual, self.config.stack)
        return Built(other, settings, self.source, self._logs, self._card)

    def _suits(self, config: Settings) -> None:
        """A variant's models to each other, and its trainings to this machine."""
        check(config.stack)
        span = config.align.on and config.align.span > 0
        suits(self.parents, config.stack, [self.source, *self.languages], span=span)
        if not (self.run.plan or os.environ.get("RAY_ADDRESS")):
            for key in ("map", "align", "teacher", "distil"):
                plan.suits(getattr(config, key), plan.here(getattr(config, key)), key)

    def _ablated(self, task: Task) -> bool:
        return not self.config.ablate or task.name in self.config.ablate

    def _modes(self, task: Task) -> list[Mode]:
        return [mode for mode in self.config.modes if mode in MAIN or self._ablated(task)]

    def _mt(self) -> Mt | None:
        config = self.config
        if not set(TOGETHER) & set(config.modes) and config.stack.examples == "source":
            return None
        translator = config.translator
        if translator.engine not in ("ct2", "hf"):
            raise UserError(f"translator.engine: {translator.engine}: here it is the MT model itself: ct2 or hf")
        if not translator.model:  # the same MT
            translator.model, translator.revision = config.encoder.model, config.encoder.revision
        return Mt(translator, None, {}, self._add)

    def _add(self, step: Step) -> Step:
        if step.address not in {one.address for one in self.todo}:
            self.todo.append(step)
        return step

    def _trained(self, name: str, step: Step) -> Step:
        self.trained[step.address] = (name, step)
        return self._add(step)

    def _aligned(self, name: str, config: Settings, built: Built) -> tuple[Step, Step]:
        """A variant's stack before any training, and after all that comes before its tasks."""
        settings = built.settings
        documents, unlabeled = texts.steps(config.texts, settings, self.parents, self.source)
        self._add(documents)
        initial = made = self._add(built.initial("stack", documents))
        pairs = self._pairs(settings) if config.map.on or config.align.bitext else None
        if pairs and config.map.on:
            step = built.training("mapped", config.map, "map", start=made, data=[pairs], goal="map")
            made = self._trained(f"mapped, {name}", step)
        if config.align.on and {"stacked", "stage1_labels"} & set(config.modes):
            weights = Weights(contrast=config.align.contrast, span=config.align.span)
            data = [self._add(unlabeled), *([pairs] if pairs and config.align.bitext else [])]
            step = built.training(
                "aligned", config.align, "align", start=made, data=data, goal="align", weights=weights
            )
            made = self._trained(f"aligned, {name}", step)
            self.embedders[made.address] = made
        return initial, made

    def _pairs(self, settings: StackSettings) -> Step:
        made = bitext.steps(self.config.bitext, settings, self.parents, self.source, self.languages)
        return [self._add(step) for step in made][-1]

    def _card(self, goal: Goal, view: str, of: Parents, went: Progress, scores: Sequence[Score] = ()) -> str:
        languages = [self.source, *self.languages]
        licences = dict(self.config.licences)
        other = licences.pop("multilingual", None)
        if of != self.parents:  # in the LLM's place stands a model with a licence of its own
            licences.pop("llm", None)
            licences |= {"llm": other} if other else {}
        return card(goal, view, of, languages, went, licences, scores)

    def found(self, results: dict[str, Result]) -> list[Measured]:
        """What was measured; and the stacks' cards with their scores."""
        made = list[Measured]()
        for one in self.asked:
            own = measured.read(
                results[one.scored.address],
                System(one.mode, one.variant, seed=self.config.align.seed),
                self.known,
            )
            made += own
            if one.mode == "stacked" and one.model:
                model = results[one.model.address]
                scores = [each.score() for each in own if each.is_main]
                text = self._card("distil", "stack", self.parents, progress(model), scores).encode()
                model.store.write(f"{model.manifest.address}/{CARD}", text)
        return made

    def plots(self, results: dict[str, Result]) -> Iterator[Plot]:
        for name, step in self.trained.values():
            result = results[step.address]
            yield curves.plot(f"{name}{self.suffix}", progress(result).curve, result.manifest.address)
        for name, step in self.probed.items():
            rows = results[step.address].table().to_pylist()
            yield from probe_plots.plots(rows, f"{name}{self.suffix}", self.known.resources)

    def samples(self, results: dict[str, Result]) -> Iterator[Sample]:
        """Of the main modes; more would be too many to read."""
        for one in self.asked:
            if one.mode in MAIN:
                own = measured.read(results[one.scored.address], System(one.mode, one.variant), self.known)
                yield from samples(results[one.step.address], own)

    @property
    def suffix(self) -> str:
        return f", seed {self.config.align.seed}" if self.several else ""

    @functools.cached_property
    def known(self) -> Known:
        resources = levels(self.config.resources, self.source, self.languages, self.declared)
        return Known(self.source, tuple(self.languages), resources)

    @property
    def stacks(self) -> list[Step]:
        """What is left for others: the aligned ones, which embed, and those that know a task."""
        return list(self.embedders.values()) + [
            one.model for one in self.asked if one.mode == "stacked" and one.model
        ]

    def costs(self, results: dict[str, Result]) -> Iterator[Cost]:
        for name, step in self.trained.values():
            result = results[step.address]
            went = progress(result)
            best = next((row for row in went.curve if row["step"] == went.best_step), {})
            measured = {
                key.removeprefix("held_out_"): value for key, value in best.items() if key.startswith("held_out_")
            }
            yield Cost(name, went.step, went.tokens, result.manifest.seconds, measured)


def work(config: MtllmConfig, run: Run) -> None:
    run.report_of([Mtllm(config, config.seeds, config.tiny, run)])


class Mtllm:
    """The trials of a job, and what they come to."""

    name = "MT-LLM"

    def __init__(self, config: Settings, seeds: Sequence[int], tiny: TinyConfig, run: Run) -> None:
        if not config.languages:
            raise UserError("languages: name at least one that the stack is to be tested in")
        self.trials = [_trial(config, seed, tiny, run, several=len(seeds) > 1) for seed in (seeds or (None,))]
        for trial in self.trials:
            trial.plan()

    @property
    def todo(self) -> list[Step]:
        return [step for trial in self.trials for step in trial.todo]

    def found(self, results: dict[str, Result]) -> Found:
        found = [one for trial in self.trials for one in trial.found(results)]
        held = claims(found)
        costs = [cost for trial in self.trials for cost in trial.costs(results)]
        models = [results[step.address] for trial in self.trials for step in trial.stacks]
        built = self.trials[0].built
        tiny = built.report() if built else None
        plots = [plot for trial in self.trials for plot in trial.plots(results)]
        read = [one for trial in self.trials for one in trial.samples(results)]
        return Found(found, held, tables(found, held, costs), models, tiny, plots=plots, samples=read)


def _check(config: Settings, found: Sequence[Task]) -> None:
    """What of a variant does not go together."""
    several = [task.name for task in found if task.kind in ("choice", "tokens")]
    if several and config.stack.pooling == "last":
        raise UserError(f"stack.pooling: last gives one state a text, and {several[0]} needs more; take mean")
    if config.align.on and config.distil.lora != config.align.lora:
        raise UserError("distil.lora: stage 2 trains the adapter of stage 1 further: say the same as align.lora")
    if config.align.contrast and config.align.micro < 2:
        raise UserError("align.contrast: a text is told from those computed beside it: raise align.micro")
    if config.align.contrast and (config.align.pool.least or not config.align.pool.actors):
        raise UserError(
            "align.contrast: what is learned depends on how many workers there are: say so many, as "
            "align.pool.actors=1, and no align.pool.least"
        )
    for key in ("map", "align", "distil"):
        if getattr(config, key).recompute and config.stack.fusion == "layer_kv":
            raise UserError(f"{key}.recompute: layer_kv reads inside the LLM's layers, and cannot be recomputed")
    if config.map.on and not config.map.fusion_lr:
        raise UserError("map.fusion_lr: 0 leaves this stage nothing to learn")


VARIED = ("stack", "map", "align", "distil")
OF_TASK = ("teacher", "distil")


def _variants(config: Settings) -> dict[str, Settings]:
    """By name. Without any: the one stack, by its fusion's."""
    given = config.variants.items()
    made = {name: _varied(config, some, f"variants.{name}", VARIED) for name, some in given}
    return made or {config.stack.fusion: config}


def _varied(config: Settings, given: Any, where: str, sections: Sequence[str]) -> Settings:
    if not isinstance(given, dict):
        raise UserError(f"{where}: is a map of settings, as {{distil.epochs: 4}}; {{}}: all as it stands")
    odd = [key for key in given if key.partition(".")[0] not in sections]
    if odd:
        raise UserError(f"{where}: {odd[0]}: what differs here is {', '.join(sections)} alone")
    return varied(config, given, where)


def _trial(config: Settings, seed: int | None, tiny: TinyConfig, run: Run, *, several: bool) -> _Trial:
    own, world = copy.deepcopy(config), copy.deepcopy(tiny)
    if seed is not None:
        world.seed = own.stack.seed = own.map.seed = own.align.seed = own.teacher.seed = own.distil.seed = seed
    built, declared = embed(own, world, run.display, run.plan)
    source = resolve(own.source, declared)
    return _Trial(own, built, source, resolve_all(own.languages, declared), declared, run, several)
