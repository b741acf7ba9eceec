"""What is made of one task and held against one another: the stack, its baselines, and itself without a part."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from xlnu.evaluate import guesses, said, scored
from xlnu.evaluate.judge import Judge
from xlnu.languages import Language
from xlnu.mtllm import embed, router, tokens, translated
from xlnu.mtllm.build import Built
from xlnu.mtllm.projected import words_of
from xlnu.mtllm.recipes import Weights
from xlnu.mtllm.settings import ROUTED, TOGETHER, Settings
from xlnu.mtllm.settings import Mode as Made
from xlnu.mtllm.tasks import Task
from xlnu.report.document import Mode
from xlnu.steps import Step
from xlnu.transfer.models import Mt
from xlnu.transfer.translate import Way


@dataclass(frozen=True)
class Asked:
    """One mode of a task: what it answers, what that is worth, and what was trained for it."""

    task: Task
    mode: Mode
    variant: str | None  # of a stack
    step: Step
    scored: Step
    model: Step | None


@dataclass
class Arms:
    """Of one task and one variant of the stack. `shared`: what is not for every variant is made as well, baselines
    and the stack without a part of its training.
    """

    variant: str
    config: Settings
    built: Built
    task: Task
    source: Language
    languages: Sequence[Language]
    examples: Step
    tests: Step
    initial: Step
    aligned: Step
    mt: Mt | None
    multilingual: Built | None  # with another model in the LLM's place
    add: Callable[[Step], Step]
    trained: Callable[[str, Step], Step]
    modes: Sequence[Made]
    shared: bool

    def all(self) -> list[Asked]:
        made: dict[Made, Callable[[], tuple[Step, list[Step]]]] = {
            "stacked": lambda: (self._stack(), [self.tests]),
        }
        if self.shared:
            made |= {
                "stage2_only": lambda: (self._distilled("distilled_alone", self.initial), [self.tests]),
                "stage1_labels": lambda: (
                    self._labels("labelled", self.aligned, self.data, key="distil"),
                    [self.tests],
                ),
                "zero_shot": lambda: (self.teacher, [self.tests]),
                "encoder": lambda: (self._labels("encoder", self._alone("encoder"), self.data), [self.tests]),
                "translate_test": lambda: (self.teacher, self._translated("tests", self.tests, into=False)),
                "translate_train": lambda: (
                    self._labels("translated", self._alone("llm"), self.everywhere),
                    [self.tests],
                ),
            }
        asked = dict[Mode, Asked]()
        for mode, make in made.items():
            if mode in self.modes:
                asked[mode] = self._ask(mode, *make())
        if self.shared and self.multilingual and "multilingual" in self.modes:
            there = replace(self, built=self.multilingual)
            model = there._labels("multilingual", there._alone("llm"), there.data)
            asked["multilingual"] = there._ask("multilingual", model, [self.tests])
        if self.shared and "ensemble" in self.modes:
            one, other = (asked[mode].step for mode in TOGETHER)
            both = self.add(said.ensemble(f"said_{self.task.name}_ensemble", one, other, self.task))
            asked["ensemble"] = self._scored("ensemble", None, both, None)
        if self.shared and "router" in self.modes and self.task.kind in router.KINDS:
            asked["router"] = self._routed(*(asked[mode] for mode in ROUTED))
        if self.shared:
            guess = guesses.step(f"said_{self.task.name}_majority", "majority", self.tests, self.task)
            asked["majority"] = self._scored("majority", None, self.add(guess), None)
        return list(asked.values())

    def _routed(self, stacked: Asked, translated_test: Asked) -> Asked:
        """What both say of validation examples, translated into each language, and back, teaches it."""
        there = self._translated("validation", self.examples, into=True, split="validation")
        by_label = dict(zip((one.label for one in self.languages), there, strict=True))
        back = self._translated("validation", by_label, into=False)
        assert stacked.model is not None
        assert translated_test.model is not None
        name = f"said_{self.task.name}_validation"
        seen = (
            self.add(self._said(f"{name}_stacked", stacked.model, there)),
            self.add(self._said(f"{name}_translate_test", translated_test.model, back)),
        )
        step = router.step(f"said_{self.task.name}_router", stacked.step, translated_test.step, seen)
        return self._scored("router", None, self.add(step), None)

    def _said(self, name: str, model: Step, tests: Sequence[Step]) -> Step:
        of = {one.label: one for one in (self.source, *self.languages)}
        return said.step(name, model, tests, self.task, self.config.read, self.built.parents, of)

    @property
    def data(self) -> Step:
        return self._tokens("tokens", [self.examples])

    @property
    def everywhere(self) -> Step:
        """The examples in the source language and, translated, in all others."""
        return self._tokens(
            "tokens_everywhere", [self.examples, *self._translated("examples", self.examples, into=True)]
        )

    @property
    def teacher(self) -> Step:
        return self._labels("teacher", self._alone("llm"), self.data)

    def _tokens(self, name: str, examples: Sequence[Step]) -> Step:
        made = tokens.task_step(
            f"{name}_{self.task.name}",
            examples,
            self.task.kind,
            self.built.settings,
            self.built.parents,
            [self.source, *self.languages],
        )
        return self.add(made)

    def _alone(self, view: str) -> Step:
        return self.add(self.built.initial(view, None))

    def _stack(self) -> Step:
        """Distilled; or, where it learns from translations too, by their labels: those have no teacher."""
        settings = self.config.stack
        if settings.examples == "source":
            return self._distilled("distilled", self.aligned)
        view = "dual" if settings.input == "dual" else "stack"
        return self._training("augmented", self.aligned, self.everywhere, key="distil", goal="task", view=view)

    def _distilled(self, name: str, start: Step) -> Step:
        about, data, teacher = self.config.distil, self.data, self.teacher
        parents, pool = self.built.parents, self.config.read.pool
        cached = self.add(embed.step(f"embeddings_{self.task.name}", teacher, data, parents, pool))
        weights = Weights(about.mse, about.cross_entropy, about.logits)
        return self._training(
            name, start, data, key="distil", goal="distil", head=teacher, embeddings=cached, weights=weights
        )

    def _labels(self, name: str, start: Step, data: Step, key: str = "teacher") -> Step:
        return self._training(name, start, data, key=key, goal="task")

    def _training(self, name: str, start: Step, data: Step, *, key: str, **more: Any) -> Step:
        step = self.built.training(
            f"{name}_{self.task.name}",
            getattr(self.config, key),
            key,
            start=start,
            data=[data],
            task=self.task,
            **more,
        )
        variant = f", {self.variant}" if key == "distil" else ""
        return self.trained(f"{name}, {self.task.name}{variant}", step)

    def _translated(
        self, name: str, rows: Step | Mapping[str, Step], *, into: bool, split: str = "train"
    ) -> list[Step]:
        assert self.mt is not None
        words = words_of(self.task, self.config.project, self.mt.checkpoint)
        ways = {one.label: Way(self.source, one) if into else Way(one, self.source) for one in self.languages}
        way = "into" if into else "from"
        made = translated.steps(
            f"{name}_{self.task.name}_{way}", rows, ways, self.mt, into=into, words=words, split=split
        )
        return [self.add(step) for step in made.values()]

    def _ask(self, mode: Mode, model: Step, tests: Sequence[Step]) -> Asked:
        step = self.add(self._said(f"said_{self.task.name}_{mode}", model, tests))
        of_a_stack = mode in ("stacked", "stage2_only", "stage1_labels")
        return self._scored(mode, self.variant if of_a_stack else None, step, model)

    def _scored(self, mode: Mode, variant: str | None, step: Step, model: Step | None) -> Asked:
        judge = Judge(self.source, tuple(self.languages), {})
        worth = scored.step(f"scored_{self.task.name}_{mode}", [step], judge, {})
        return Asked(self.task, mode, variant, step, self.add(worth), model)
