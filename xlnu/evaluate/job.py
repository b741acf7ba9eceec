"""What `python jobs/evaluate.py` does: benchmarks, answered by models and by guesses, measured and compared."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from xlnu.engines.checkpoint import own_name
from xlnu.errors import UserError
from xlnu.evaluate import (
    answers,
    asked,
    classified,
    comet,
    contaminated,
    guesses,
    harness,
    integrity,
    judge,
    measured,
    models,
    probes,
    said,
    scored,
)
from xlnu.evaluate.asked import Benchmark
from xlnu.evaluate.judge import Judge
from xlnu.evaluate.measured import Known, Measured, System
from xlnu.evaluate.models import Model, parents
from xlnu.evaluate.probe_plots import plots
from xlnu.evaluate.questions import FLORES
from xlnu.evaluate.resources import levels
from xlnu.evaluate.samples import samples
from xlnu.evaluate.settings import Asking, EvaluationConfig
from xlnu.languages import Language, resolve, resolve_all
from xlnu.mtllm import translated
from xlnu.mtllm.projected import ProjectConfig, words_of
from xlnu.report.document import Finding, Mode
from xlnu.run import Found, Run
from xlnu.steps import Result, Step
from xlnu.tiny.build import Built
from xlnu.tiny.embed import embed
from xlnu.transfer.ask import AskConfig
from xlnu.transfer.models import Mt
from xlnu.transfer.translate import Way


@dataclass(frozen=True)
class Answered:
    """One system on one benchmark."""

    system: System
    benchmark: Benchmark
    answers: Step
    scored: tuple[Step, ...]


@dataclass
class Evaluation:
    """The steps of a job, and what is read off them."""

    config: EvaluationConfig
    built: Built | None
    source: Language
    languages: list[Language]  # that the user named; none: all
    declared: tuple[Language, ...]
    name: str = "evaluation"
    todo: list[Step] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    contaminated: Step | None = None
    probed: dict[str, Step] = field(default_factory=dict)  # by model

    def plan(self) -> None:
        config = self.config
        self.benchmarks = [asked.found(one, self.source, self.languages) for one in _distinct(config.benchmarks)]
        every = [one for benchmark in self.benchmarks for one in benchmark.languages]
        known = {one.label: one for one in [*self.languages, *every] if one.label != self.source.label}
        self.known = Known(
            self.source,
            tuple(known.values()),
            levels(config.resources, self.source, list(known.values()), self.declared),
        )
        self.judge = self._judge()
        self.findings += integrity.of_files(self.benchmarks, self.languages)
        self.models = self._models()
        for model in self.models:
            if config.probes.on and model.kind != "classifier":
                self.probed[model.name] = self._add(self._probe(model))
        if config.training:
            self.contaminated = self._add(contaminated.step(config.training, self.benchmarks))
        for benchmark in self.benchmarks:
            ask = AskConfig(translate=config.translate, lowercase=config.lowercase)
            step = asked.step(benchmark, self.source, config.at_most, ask, config.summarise)
            self._of(benchmark, self._add(step))
        for model in self.models:
            if not any(one.system.model == model.name for one in self.answered):
                first = self.benchmarks[0]
                why = model.lacks(first, config.labels)
                raise UserError(f"model: {model.name}: can answer none of the benchmarks; {first.name}: {why}")

    def _models(self) -> list[Model]:
        config = self.config
        given = [(own_name(config.model), "model", config.model)] if config.model else []
        for one in config.models:
            name, equals, where = one.partition("=")
            if not equals or not name:
                raise UserError(f"models: {one!r}: each is NAME=FOLDER or NAME=HUB/NAME")
            given.append((name, "models", where))
        names = [name for name, _, _ in given]
        if len(set(names)) < len(names):
            raise UserError(f"models: two are called {next(one for one in names if names.count(one) > 1)}")
        if not given and not config.guesses:
            raise UserError("model: name at least one, or guesses=true")
        return [models.opened(key, where, name, config.base) for name, key, where in given]

    def _judge(self) -> tuple[Judge, dict[str, str]]:
        """By FLORES's other half, if FLORES is among the benchmarks."""
        files = next((one.task.files for one in self.benchmarks if one.name == FLORES), {})
        path, model = next(iter(files.values()), None), self.config.identify
        folder, split = (str(path.parent.parent), path.parent.name) if path else ("", "devtest")
        made = judge.judge(self.source, self.known.languages, folder, split, model)  # type: ignore[arg-type]
        every = [self.source, *self.known.languages]
        return made, judge.about(folder, split, every, model)  # type: ignore[arg-type]

    def _of(self, benchmark: Benchmark, tests: Step) -> None:
        config = self.config
        for way in config.ways:
            translating = way == "translate_test"
            if translating and benchmark.generated:
                self._not(benchmark, "translate_test", "what is answered in words is not translated first")
                continue
            given = self._translated(benchmark, tests) if translating else [tests]
            for model in self.models:
                why = model.lacks(benchmark, config.labels)
                if why:
                    self._not(benchmark, model.name, why)
                    continue
                mode: Mode = "translate_test" if translating else model.mode
                step = self._answers(model, benchmark, given, way)
                self._scored(benchmark, System(mode, model=model.name), step, tests)
        if config.guesses and not benchmark.generated:
            guessed: tuple[Mode, ...] = ("majority", "random")
            for how in guessed:
                step = guesses.step(f"{how}_{benchmark.name}", how, tests, benchmark.task)  # type: ignore[arg-type]
                self._scored(benchmark, System(how), self._add(step))

    def _not(self, benchmark: Benchmark, who: str, why: str) -> None:
        self.findings.append(Finding("not asked", f"{benchmark.name}, {who}", why, serious=False))

    def _answers(self, model: Model, benchmark: Benchmark, tests: Sequence[Step], way: Asking) -> Step:
        config, task = self.config, benchmark.task
        of = {one.label: one for one in (self.source, *self.known.languages)}
        read_as = dict.fromkeys(of, self.source) if way == "translate_test" else of
        name = f"answers_{benchmark.name}" + ("_translated" if way == "translate_test" else "")
        if model.kind in ("llm", "adapter"):
            if benchmark.name not in harness.PROMPTS:
                made = answers.steps(config.answer, tests[0], model.checkpoint, model.base)
                return [self._add(step) for step in made][-1]
            return self._add(
                harness.step(
                    name, benchmark.name, model.checkpoint, model.base, tests, task, config.harness, read_as
                )
            )
        if model.kind == "classifier":
            names = classified.matched(task, classified.labels(model.checkpoint), config.labels)
            assert names is not None
            return self._add(classified.step(name, model.checkpoint, tests, task, config.read, names))
        where = said.Elsewhere(parents(model, config.parents))
        return self._add(said.step(name, model.checkpoint, tests, task, config.read, where, read_as))

    def _translated(self, benchmark: Benchmark, tests: Step) -> list[Step]:
        mt = Mt(self.config.translator, None, {}, self._add)
        words = words_of(benchmark.task, ProjectConfig(), mt.checkpoint)
        targets = [one for one in benchmark.languages if one.label != self.source.label]
        ways = {one.label: Way(one, self.source) for one in targets}
        made = translated.steps(f"translated_{benchmark.name}", tests, ways, mt, into=False, words=words)
        return [self._add(step) for step in made.values()]

    def _probe(self, model: Model) -> Step:
        config = self.config
        assert model.kind != "classifier"
        where = said.Elsewhere(parents(model, config.parents))
        targets = self.known.languages
        return probes.step(
            "probed", model.checkpoint, model.base, model.kind, where, config.probes, self.source, targets
        )

    def _scored(self, benchmark: Benchmark, system: System, step: Step, tests: Step | None = None) -> None:
        """`tests`: of what is written."""
        worth = [self._add(scored.step(f"scored_{benchmark.name}", [step], *self.judge))]
        if tests and benchmark.name == FLORES and self.config.comet:
            judged = self._add(comet.step(self.config.comet, tests, step, self.config.answer))
            worth.append(self._add(scored.step("scored_comet", [judged], *self.judge)))
        self.answered.append(Answered(system, benchmark, step, tuple(worth)))

    def _add(self, step: Step) -> Step:
        if step.address not in {one.address for one in self.todo}:
            self.todo.append(step)
        return step

    def found(self, results: dict[str, Result]) -> Found:
        every, read = list[Measured](), list[tuple[Answered, list[Measured]]]()
        for one in self.answered:
            worth = (results[step.address] for step in one.scored)
            own = [each for result in worth for each in measured.read(result, one.system, self.known)]
            every += own
            read.append((one, own))
        looked = [*contaminated.findings(results[self.contaminated.address])] if self.contaminated else []
        first = next((one.system.name for one in self.answered if one.system.model), None)
        return Found(
            measured=every,
            claims=[],
            tables="",
            models=[],
            tiny=self.built.report() if self.built else None,
            plots=[
                plot
                for name, step in self.probed.items()
                for plot in plots(results[step.address].table().to_pylist(), name, self.known.resources)
            ],
            comparisons=list(measured.comparisons(every, first)) if first else [],
            samples=[
                sample
                for one, own in read
                if one.system.model
                for sample in samples(results[one.answers.address], own)
            ],
            findings=[*looked, *self.findings, *integrity.of_answers(every)],
        )


def _distinct(given: Sequence[str]) -> list[str]:
    if not given:
        raise UserError("benchmarks: name at least one, as benchmarks=[sib200=FOLDER]")
    names = [one.partition("=")[0] for one in given]
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice:
        raise UserError(f"benchmarks: {twice} stands there twice")
    return list(given)


def work(config: EvaluationConfig, run: Run) -> None:
    built, declared = embed(config, config.tiny, run.display, run.plan)
    source, languages = resolve(config.source, declared), resolve_all(config.languages, declared)
    evaluation = Evaluation(config, built, source, languages, declared)
    evaluation.plan()
    run.report_of([evaluation])
