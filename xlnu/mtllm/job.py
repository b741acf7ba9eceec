"""What `python jobs/mtllm.py` does: a stack for each task, what it is held against, and what they score."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from xlnu.config import section, setting
from xlnu.errors import UserError
from xlnu.evaluate.questions import Resource
from xlnu.evaluate.resources import levels
from xlnu.languages import Language, resolve, resolve_all
from xlnu.mtllm import embed, said, tasks, texts, tokens, translated
from xlnu.mtllm.build import AlignConfig, Built, DistilConfig, TeacherConfig, progress
from xlnu.mtllm.claims import claims
from xlnu.mtllm.parts import ParentConfig, StackSettings, check, parents
from xlnu.mtllm.recipes import Weights
from xlnu.mtllm.said import ReadConfig
from xlnu.mtllm.scores import Said
from xlnu.mtllm.tables import Cost, tables
from xlnu.mtllm.tasks import Task, TasksConfig
from xlnu.mtllm.texts import TextsConfig
from xlnu.report.document import Score
from xlnu.run import Run, RunConfig, print_out
from xlnu.steps import Result, Step
from xlnu.tiny.build import Built as TinyBuilt
from xlnu.tiny.build import TinyConfig
from xlnu.tiny.embed import embed as embed_tiny
from xlnu.transfer.models import Mt
from xlnu.transfer.translate import TranslatorConfig, Way

Mode = Literal[
    "stacked", "zero_shot", "encoder", "translate_test", "translate_train", "stage1_labels", "stage2_only"
]


@dataclass
class MtllmConfig:
    source: str = setting("eng_Latn", "the LLM's best language, in which tasks are learned")
    languages: list[str] = setting([], "that the stack is tested in; all that the encoder reads are understood")
    encoder: ParentConfig = section(ParentConfig)
    llm: ParentConfig = section(ParentConfig)
    stack: StackSettings = section(StackSettings)
    texts: TextsConfig = section(TextsConfig)
    align: AlignConfig = section(AlignConfig)
    tasks: TasksConfig = section(TasksConfig)
    teacher: TeacherConfig = section(TeacherConfig)
    distil: DistilConfig = section(DistilConfig)
    translator: TranslatorConfig = section(TranslatorConfig)
    read: ReadConfig = section(ReadConfig)
    modes: list[Mode] = setting(
        ["stacked", "zero_shot", "translate_test"],
        "what is made and scored: stacked; zero_shot, encoder: the LLM or the encoder alone; translate_test, "
        "translate_train; stage1_labels, stage2_only: the stack without a part of its training",
    )
    fusions: list[str] = setting([], "of the mode stacked, one after another; empty: stack.fusion")
    resources: dict[str, Resource] = setting(
        {}, "how much text there is of a language, for the report: {sw: low, uk: high}; else high if XLM-R has it"
    )
    seeds: list[int] = setting(
        [], "all is done with each: as the seed of every stage and as tiny.seed; empty: with what those say"
    )
    tiny: TinyConfig = section(TinyConfig)
    run: RunConfig = section(RunConfig)


@dataclass
class _Trial:
    """One seed: its steps, and what is read off them."""

    config: MtllmConfig
    built: TinyBuilt | None
    source: Language
    languages: list[Language]
    declared: tuple[Language, ...]
    run: Run
    todo: list[Step] = field(default_factory=list)
    asked: list[tuple[Task, Mode, str | None, Step]] = field(default_factory=list)
    trained: list[tuple[str, Step]] = field(default_factory=list)
    stacks: list[Step] = field(default_factory=list)

    def plan(self) -> None:
        config = self.config
        check(config.stack)
        self.parents = parents(config.encoder, config.llm)
        self.of = {one.label: one for one in (self.source, *self.languages)}
        found = tasks.found(config.tasks, self.source, self.languages)
        self.asking = {task.name: tasks.steps(config.tasks, task, self.source, self.languages) for task in found}
        for some in self.asking.values():
            self.todo += some
        self.mt = self._mt()
        for fusion in config.fusions or [config.stack.fusion]:
            settings = copy.deepcopy(config.stack)
            settings.fusion = fusion  # type: ignore[assignment]
            self._stacks(found, settings, first=fusion == (config.fusions or [config.stack.fusion])[0])

    def _mt(self) -> Mt | None:
        if not {"translate_test", "translate_train"} & set(self.config.modes):
            return None
        translator = self.config.translator
        if not translator.model and translator.engine in ("ct2", "hf"):  # the same MT
            translator.model, translator.revision = self.config.encoder.model, self.config.encoder.revision
        if translator.engine not in ("ct2", "hf"):
            raise UserError(f"translator.engine: {translator.engine}: here it is the MT model itself: ct2 or hf")
        return Mt(translator, None, {}, self._add)  # type: ignore[arg-type]

    def _add(self, step: Step) -> Step:
        if step.address not in {one.address for one in self.todo}:
            self.todo.append(step)
        return step

    def _stacks(self, found: Sequence[Task], settings: StackSettings, *, first: bool) -> None:
        config = self.config
        logs = Path(self.run.folder.root, "tensorboard") if self.run.folder.local else None
        built = Built(self.parents, settings, self.source, logs)
        documents, unlabeled = texts.steps(config.texts, settings, self.parents, self.source)
        self._add(documents)
        initial = self._add(built.initial("stack", documents))
        aligned = initial
        if config.align.on and set(config.modes) & {"stacked", "stage1_labels"}:
            self._add(unlabeled)
            weights = Weights(1.0, 0.0, 0.0, config.align.contrast)
            aligned = self._trained(
                f"aligned, {settings.fusion}",
                built.training(
                    "aligned", config.align, "align", start=initial, data=unlabeled, goal="align",
                    weights=weights, card=_card,
                ),
            )  # fmt: skip
        for task in found:
            self._task(task, built, initial, aligned, first=first)

    def _trained(self, name: str, step: Step) -> Step:
        self.trained.append((name, step))
        return self._add(step)

    def _task(self, task: Task, built: Built, initial: Step, aligned: Step, *, first: bool) -> None:
        config, modes = self.config, set(self.config.modes)
        examples, tests = self.asking[task.name]
        data = self._add(
            tokens.task_step(
                f"tokens_{task.name}", [examples], task.kind, built.settings, self.parents, [self.source]
            )
        )
        fusion = built.settings.fusion
        teacher = None
        if modes & {"stacked", "stage2_only", "zero_shot", "translate_test"}:
            teacher = self._labels(f"teacher_{task.name}", built, built.initial("llm", None), data, task)
        distilled: list[tuple[Mode, Step]] = [
            (mode, start) for mode, start in (("stacked", aligned), ("stage2_only", initial)) if mode in modes
        ]
        if distilled:
            assert teacher is not None
            cached = self._add(
                embed.step(f"embeddings_{task.name}", teacher, data, self.parents.folders(), config.read.pool)
            )
        for mode, start in distilled:
            assert teacher is not None
            about = config.distil
            name = f"distilled_{task.name}" if mode == "stacked" else f"distilled_alone_{task.name}"
            step = self._trained(
                f"{mode}, {fusion}, {task.name}",
                built.training(
                    name, about, "distil", start=start, data=data, goal="distil", task=task, head=teacher,
                    embeddings=cached, weights=Weights(about.mse, about.cross_entropy, about.logits), card=_card,
                ),
            )  # fmt: skip
            self._ask(task, mode, fusion, step, [tests])
            if mode == "stacked":
                self.stacks.append(step)
        if "stage1_labels" in modes:
            self._ask(
                task,
                "stage1_labels",
                fusion,
                self._labels(f"labelled_{task.name}", built, aligned, data, task),
                [tests],
            )
        if not first:
            return
        if "zero_shot" in modes:
            assert teacher is not None
            self._ask(task, "zero_shot", None, teacher, [tests])
        if "encoder" in modes:
            start = built.initial("encoder", None)
            self._ask(
                task, "encoder", None, self._labels(f"encoder_{task.name}", built, start, data, task), [tests]
            )
        if "translate_test" in modes:
            assert teacher is not None
            assert self.mt is not None
            ways = {one.label: Way(one, self.source) for one in self.languages}
            made = translated.steps(f"tests_{task.name}_from", tests, ways, self.mt, into=False)
            self._ask(task, "translate_test", None, teacher, [self._add(step) for step in made.values()])
        if "translate_train" in modes:
            assert self.mt is not None
            ways = {one.label: Way(self.source, one) for one in self.languages}
            made = translated.steps(f"examples_{task.name}_into", examples, ways, self.mt, into=True)
            several = [examples, *(self._add(step) for step in made.values())]
            whole = self._add(
                tokens.task_step(
                    f"tokens_{task.name}_all", several, task.kind, built.settings, self.parents, [*self.of.values()]
                )
            )
            start = built.initial("llm", None)
            step = self._labels(f"translated_{task.name}", built, start, whole, task)
            self._ask(task, "translate_train", None, step, [tests])

    def _labels(self, name: str, built: Built, start: Step, data: Step, task: Task) -> Step:
        self._add(start)
        step = built.training(
            name, self.config.teacher, "teacher", start=start, data=data, goal="task", task=task, card=_card
        )
        return self._trained(name.replace("_", ", ", 1), step)

    def _ask(self, task: Task, mode: Mode, fusion: str | None, model: Step, tests: Sequence[Step]) -> None:
        name = f"said_{task.name}_{mode}"
        step = said.step(name, model, tests, self.config.read, self.parents, self.of)
        self.asked.append((task, mode, fusion, self._add(step)))

    def said(self, results: dict[str, Result]) -> Iterator[Said]:
        resources = levels(self.config.resources, self.source, self.languages, self.declared)
        for task, mode, fusion, step in self.asked:
            yield Said(
                task.name, task.kind, task.format, mode, fusion, self.config.align.seed,
                results[step.address].table(), self.source, resources,
            )  # fmt: skip

    def costs(self, results: dict[str, Result]) -> Iterator[Cost]:
        for name, step in self.trained:
            result = results[step.address]
            went = progress(result)
            best = next((row for row in went.curve if row["step"] == went.best_step), {})
            last = {
                key.removeprefix("held_out_"): value for key, value in best.items() if key.startswith("held_out_")
            }
            yield Cost(name, went.step, went.tokens, result.manifest.seconds, last)


def _card(_inputs: dict[str, Result], went: Any) -> str:
    return f"# A stack, trained by xlnu\n\nBest held-out loss {went.best:.4f} at step {went.best_step}.\n"


def work(config: MtllmConfig, run: Run) -> None:
    if not config.languages:
        raise UserError("languages: name at least one that the stack is to be tested in")
    trials = [_trial(config, seed, run) for seed in (config.seeds or (None,))]
    for trial in trials:
        trial.plan()
    results = run.steps([step for trial in trials for step in trial.todo])
    found = [one for trial in trials for one in trial.said(results)]
    scores: list[Score] = [score for one in found for score in one.scores()]
    held = claims(found)
    costs = [cost for trial in trials for cost in trial.costs(results)]
    run.put("tables.md", tables(found, held, costs).encode())
    print_out(run.folder.place("tables.md"))
    for trial in trials:
        for step in trial.stacks:
            model = results[step.address]
            print_out(model.store.place(model.manifest.address))
    built = trials[0].built
    run.report(results, built.report() if built else None, scores, held)


def _trial(config: MtllmConfig, seed: int | None, run: Run) -> _Trial:
    own = copy.deepcopy(config)
    if seed is not None:
        own.tiny.seed = own.stack.seed = own.align.seed = own.teacher.seed = own.distil.seed = seed
    built, declared = embed_tiny(own, own.tiny, run.display, run.plan)
    source = resolve(own.source, declared)
    return _Trial(own, built, source, resolve_all(own.languages, declared), declared, run)
