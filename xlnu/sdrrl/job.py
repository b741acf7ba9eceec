"""What `python jobs/sdrrl.py` does, and `demo.py` and `study.py` with more arms and seeds: transfer sets of the
LLM's own answers, the LLM trained on them, and what it says before and after.
"""

import contextlib
import copy
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow.compute as pc

from xlnu import manifest
from xlnu.config import section, setting, settings
from xlnu.engines.checkpoint import Checkpoint
from xlnu.errors import UserError
from xlnu.evaluate import answers, comet, judge, measured, probes, questions, scored
from xlnu.evaluate.judge import Judge
from xlnu.evaluate.measured import Known, Measured, System
from xlnu.evaluate.probe_plots import plots
from xlnu.evaluate.probes import ProbeConfig
from xlnu.evaluate.questions import EvaluateConfig
from xlnu.evaluate.resources import levels
from xlnu.evaluate.said import Elsewhere
from xlnu.evaluate.samples import samples
from xlnu.languages import Language, resolve, resolve_all
from xlnu.manifest import CARD
from xlnu.report.document import Plot, Sample, Score
from xlnu.run import Found, Run, RunConfig, print_out
from xlnu.sdrrl.arms import MEANING, OBJECTIVES, Arm, variant
from xlnu.sdrrl.claims import claims
from xlnu.sdrrl.tables import Cost, tables
from xlnu.steps import Result, Step, named
from xlnu.tiny.build import Built, TinyConfig
from xlnu.tiny.embed import embed
from xlnu.train import curves, plan
from xlnu.train.build import MERGED, MODEL, TRAINING, TrainConfig, progress, steps
from xlnu.train.card import card
from xlnu.train.loop import Progress
from xlnu.train.objective import Kind
from xlnu.train.passes import Unknown
from xlnu.transfer.build import TransferSet
from xlnu.transfer.job import ShownSetConfig, show_samples
from xlnu.transfer.plots import survival_by_tau

CONFIGS = ["*.json"]  # of a checkpoint: not its weights


@dataclass
class Settings(ShownSetConfig):
    """Of SDRRL, alone or beside other jobs."""

    train: TrainConfig = section(TrainConfig)
    evaluate: EvaluateConfig = section(EvaluateConfig)
    probes: ProbeConfig = section(ProbeConfig)
    arms: list[Arm] = setting(
        ["before", "sdrrl"],
        "what is evaluated, and trained if it must: before, sdrrl; sft and translate_sft: on the source's own "
        "answers, as they are or translated; no_switch, no_parallel, no_filter: SDRRL without a part of it",
    )
    objectives: list[Kind] = setting([], "of the arm sdrrl, one after another; empty: train.objective")


@dataclass
class SdrrlConfig(Settings):
    seeds: list[int] = setting(
        [], "all is done with each: as transfer.seed and train.seed, and tiny.seed; empty: with what those say"
    )
    tiny: TinyConfig = section(TinyConfig)
    run: RunConfig = section(RunConfig)


@dataclass(frozen=True)
class _World:
    """What a seed's trials have in common."""

    config: Settings
    built: Built | None
    declared: tuple[Language, ...]

    @cached_property
    def known(self) -> Known:
        config = self.config
        source, languages = resolve(config.source, self.declared), resolve_all(config.languages, self.declared)
        resources = levels(config.evaluate.resources, source, languages, self.declared)
        return Known(source, tuple(languages), resources)

    @cached_property
    def judge(self) -> tuple[Judge, dict[str, str]]:
        about, known = self.config.evaluate, self.known
        every = (known.source, *known.languages)
        made = judge.judge(known.source, known.languages, about.flores, about.split, about.identify)
        return made, judge.about(about.flores, about.split, every, about.identify)


class _Trial:
    """One arm under one seed: its steps, and what they came to."""

    def __init__(self, config: Settings, world: _World, arm: Arm, name: str, run: Run) -> None:
        self.config, self.world, self.arm, self.name = config, world, arm, name
        self.made = TransferSet(config, world.declared, run.plan)
        model = self.made.llm.checkpoint
        if model is None:
            raise UserError(
                f"english.engine: {config.english.engine} has no checkpoint here to train; take ct2, hf or vllm"
            )
        self.checkpoint: Checkpoint = model
        self.training, self.asked, self.asking = list[Step](), list[Step](), list[Step]()
        self.scored = list[Step]()
        self.probed: Step | None = None
        if arm != "before":
            logs = Path(run.folder.root, name, "tensorboard") if run.folder.local else None
            self.training = steps(
                config.train, model, self.made.transfer, self._card, logs, self.tokens if run.plan else None
            )
        if config.probes.on and arm in ("before", "sdrrl"):
            self.probed = self._probe()
        if config.evaluate.on:
            about, ask = config.evaluate, config.transfer.ask
            self.asked = [questions.step(about, ask, self.made.source, self.made.languages)]
            self.asking = answers.steps(about, self.asked[0], *self._after())
            said = self.asking[-1]
            self.scored = [scored.step("scored", [said], *world.judge)]
            if about.comet and about.flores:
                judged = comet.step(about.comet, self.asked[0], said, about)
                self.scored.append(scored.step("scored_comet", [judged], *world.judge))
                self.asking.append(judged)
            self.said = said

    def _probe(self) -> Step:
        """Whole, or as an adapter of what it was."""
        config, made = self.config.probes, {step.name: step for step in self.training}
        languages, nowhere = self.made.languages, Elsewhere({})
        model = made.get(MODEL, self.checkpoint)
        adapter = bool(made) and self.config.train.method == "lora"
        base, kind = (self.checkpoint, "adapter") if adapter else (None, "llm")
        return probes.step("probed", model, base, kind, nowhere, config, self.made.source, languages)  # type: ignore[arg-type]

    def _after(self) -> tuple[Checkpoint | Step, Checkpoint | None]:
        """What is asked, and what it is an adapter of."""
        made = {step.name: step for step in self.training}
        if not made:
            return self.checkpoint, None
        if self.config.train.method == "full" or self.config.evaluate.engine == "hf":
            return made.get(MERGED, made[MODEL]), None
        return made[MODEL], self.checkpoint

    @property
    def tokens(self) -> int:
        """Of its set, all of whose translations are good enough: there will be fewer."""
        about, made = self.config.transfer, self.made
        pairs = about.parallel.pairs if about.parallel.source else 0
        return made.amount.training(about.families.weights(), len(made.languages), pairs)

    @property
    def steps(self) -> list[Step]:
        """What is asked first: a benchmark that cannot be read is not found after days of training."""
        made = [
            *self.asked,
            *(self.made.steps if self.training else ()),
            *self.training,
            *self.asking,
            *self.scored,
        ]
        return [*made, *([self.probed] if self.probed else [])]

    def _card(self, packs: Result, progress: Progress, scores: Sequence[Score] = ()) -> str:
        made, of = self.made, {"the model it was": self.checkpoint}
        of |= {"translator": made.mt.checkpoint} if made.mt and made.mt.checkpoint else {}
        of |= {"scorer": made.judge} if made.judge else {}
        licences = {name: one.licence for name, one in of.items()} | self.config.licences
        languages, chosen = [made.source, *made.languages], settings(self.config.train)
        return card(
            self.checkpoint, MEANING[self.arm], progress, languages, chosen, examples(packs), licences, scores
        )

    def found(self, results: dict[str, Result]) -> list[Measured]:
        objective = OBJECTIVES[self.config.train.objective] if self.training else None
        system = System(self.arm, objective, seed=self.config.transfer.seed)
        steps = (results[step.address] for step in self.scored)
        return [one for result in steps for one in measured.read(result, system, self.world.known)]

    def plots(self, results: dict[str, Result]) -> Iterator[Plot]:
        """How its training went; of SDRRL, what the filter let through; and how it aligns languages."""
        if self.probed:
            rows = results[self.probed.address].table().to_pylist()
            yield from plots(rows, self.name, self.world.known.resources)
        if not self.training:
            return
        model = named(results, self.training)[MODEL]
        yield curves.plot(f"{self.name}", progress(model).curve, model.manifest.address)
        if self.arm == "sdrrl" and self.made.chain.quality:
            given = self.made.ingredients(named(results, self.made.steps))
            address = self.made.transfer.address
            resources = self.world.known.resources
            shown = survival_by_tau(given, resources, f"Survival by tau, {self.name}", address)
            yield from [shown] if shown else []

    def samples(self, results: dict[str, Result]) -> Iterator[Sample]:
        yield from samples(results[self.said.address], self.found(results))

    def leave(self, results: dict[str, Result], scores: Sequence[Score], run: Run) -> Cost:
        """Its card, with the scores, beside its model, and how it was trained in the job's folder."""
        made = named(results, self.training)
        packs, model = made["packs"], made[MODEL]
        went = progress(model)
        if scores:  # a card that has some keeps them, where this run asked nothing
            for each in (one for name, one in made.items() if name in (MODEL, MERGED)):
                text = self._card(packs, went, scores).encode()
                each.store.write(f"{each.manifest.address}/{CARD}", text)
        run.put(f"{self.name}/{TRAINING}", model.store.read(f"{model.manifest.address}/{TRAINING}"))
        return Cost(self.name, packs.manifest.rows_out, went.step, went.tokens, model.manifest.seconds)


def examples(packs: Result) -> dict[str, int]:
    """Rows by language."""
    rows = packs.table(["language", "reject"])
    counts = pc.value_counts(rows.filter(pc.is_null(rows["reject"]))["language"]).to_pylist()
    return {each["values"]: each["counts"] for each in counts}


def _check(config: Settings, seeds: Sequence[int]) -> None:
    if not config.transfer.held_out:
        raise UserError("transfer.held_out: 0 leaves nothing to look at while it trains; take 0.02")
    if not config.arms:
        raise UserError("arms: name at least one")
    for key, values in (("arms", config.arms), ("objectives", config.objectives), ("seeds", seeds)):
        twice = next((value for number, value in enumerate(values) if value in values[:number]), None)
        if twice is not None:
            raise UserError(f"{key}: {twice} stands there twice")
    if min(seeds, default=0) < 0:
        raise UserError(f"seeds: got {min(seeds)}; allowed: whole numbers, at least 0")
    if config.evaluate.engine == "hf" and config.train.method == "lora":
        config.train.merge = True  # what this engine opens is whole
    if config.arms == ["before"] and not config.evaluate.on:
        raise UserError("arms: before alone leaves nothing to do without evaluate.mkqa or evaluate.flores")


def work(config: SdrrlConfig, run: Run) -> None:
    made = Sdrrl(config, config.seeds, config.tiny, run)
    run.report_of([made])


class Sdrrl:
    """The trials of a job, and what they come to."""

    name = "SDRRL"

    def __init__(self, config: Settings, seeds: Sequence[int], tiny: TinyConfig, run: Run) -> None:
        _check(config, seeds)
        if config.evaluate.flores and config.evaluate.flores not in config.transfer.benchmarks:
            config.transfer.benchmarks = [*config.transfer.benchmarks, config.evaluate.flores]
        self.run = run
        self.worlds = [_world(config, seed, tiny, run) for seed in (seeds or (None,))]
        self.trials = [
            trial for world in self.worlds for trial in _trials(world, run, several=len(self.worlds) > 1)
        ]
        _fit(self.trials, run)

    @property
    def todo(self) -> list[Step]:
        return [step for trial in self.trials for step in trial.steps]

    def found(self, results: dict[str, Result]) -> Found:
        found, costs, run = list[Measured](), list[Cost](), self.run
        for trial in self.trials:
            own = trial.found(results) if trial.asking else []
            found += own
            if trial.training:
                costs.append(trial.leave(results, [one.score() for one in own], run))
        arms = sorted(self.trials, key=lambda one: one.arm != "sdrrl")
        first = next((trial for trial in arms if trial.training), None)
        if first:
            show_samples(first.config, run, first.made, results)
        held = claims(found)
        shown = [plot for trial in self.trials for plot in trial.plots(results)]
        read = [one for trial in self.trials if trial.asking for one in trial.samples(results)]
        models = [results[trial.training[-1].address] for trial in self.trials if trial.arm == "sdrrl"]
        built = self.worlds[0].built
        text = tables(found, held, costs) if found else ""
        tiny = built.report() if built else None
        return Found(found, held, text, models, tiny, plots=shown, samples=read)


def _fit(trials: Sequence[_Trial], run: Run) -> None:
    """What training takes, told with the plan; and held against this machine, if it is on this machine, before any
    work. Arms differ in nothing that matters for it but the objective.
    """
    for trial in {one.config.train.objective: one for one in reversed(trials) if one.training}.values():
        config, folder = trial.config.train, trial.checkpoint.local(CONFIGS)
        where = plan.here(config)
        if run.plan:
            assert run.store is not None
            found = manifest.read(run.store, trial.training[0].address)
            if found:
                amount = plan.amount(Result(run.store, found, skipped=True))
            else:
                amount = plan.estimated(trial.tokens, config.length)
            print_out(f"training, {config.objective}:\n{plan.told(config, folder, where, amount)}\n")
        elif not os.environ.get("RAY_ADDRESS"):
            plan.suits(config, where)
            with contextlib.suppress(Unknown):
                plan.check(config, folder, where)


def _world(config: Settings, seed: int | None, tiny: TinyConfig, run: Run) -> _World:
    own, world = copy.deepcopy(config), copy.deepcopy(tiny)
    if seed is not None:
        world.seed = own.transfer.seed = own.train.seed = seed
    return _World(own, *embed(own, world, run.display, run.plan))


def _trials(world: _World, run: Run, *, several: bool) -> Iterator[_Trial]:
    """Named by arm, and by what else there is more than one of."""
    for arm in world.config.arms:
        objectives: list[Kind] = world.config.objectives or [world.config.train.objective]
        if arm in ("sft", "translate_sft"):
            objectives = ["sft"]  # of the source's own answers the LLM is no teacher
        for objective in objectives if arm == "sdrrl" else objectives[:1]:
            config = variant(world.config, arm)
            config.train.objective = objective
            parts = [
                arm,
                objective if len(objectives) > 1 and arm == "sdrrl" else "",
                str(config.transfer.seed) if several else "",
            ]
            yield _Trial(config, world, arm, "-".join(filter(None, parts)), run)
