"""The settings of MT-LLM's job."""

from dataclasses import dataclass
from typing import Any, Literal

from xlnu.config import section, setting
from xlnu.evaluate.probes import ProbeConfig
from xlnu.evaluate.questions import Resource
from xlnu.evaluate.said import ReadConfig
from xlnu.mtllm.build import AlignConfig, DistilConfig, MapConfig, TeacherConfig
from xlnu.mtllm.parts import ParentConfig, StackSettings
from xlnu.mtllm.projected import ProjectConfig
from xlnu.mtllm.tasks import TasksConfig
from xlnu.mtllm.texts import TextsConfig
from xlnu.run import RunConfig
from xlnu.tiny.build import TinyConfig
from xlnu.transfer.parallel import ParallelConfig
from xlnu.transfer.translate import TranslatorConfig

Mode = Literal[
    "stacked", "zero_shot", "encoder", "translate_test", "translate_train", "ensemble", "stage1_labels",
    "stage2_only", "multilingual", "router",
]  # fmt: skip

MAIN: tuple[Mode, ...] = ("stacked", "zero_shot", "encoder", "multilingual", "translate_test")
ROUTED: tuple[Mode, Mode] = ("stacked", "translate_test")  # what a router chooses from
TOGETHER: tuple[Mode, Mode] = ("translate_train", "translate_test")  # what an ensemble is of


@dataclass
class Settings:
    """Of MT-LLM, alone or beside other jobs."""

    source: str = setting("eng_Latn", "the LLM's best language, in which tasks are learned")
    languages: list[str] = setting([], "that the stack is tested in; all that the encoder reads are understood")
    encoder: ParentConfig = section(ParentConfig)
    llm: ParentConfig = section(ParentConfig)
    multilingual: ParentConfig = section(ParentConfig)
    stack: StackSettings = section(StackSettings)
    texts: TextsConfig = section(TextsConfig)
    bitext: ParallelConfig = section(ParallelConfig)
    map: MapConfig = section(MapConfig)
    align: AlignConfig = section(AlignConfig)
    tasks: TasksConfig = section(TasksConfig)
    teacher: TeacherConfig = section(TeacherConfig)
    distil: DistilConfig = section(DistilConfig)
    translator: TranslatorConfig = section(TranslatorConfig)
    project: ProjectConfig = section(ProjectConfig)
    read: ReadConfig = section(ReadConfig)
    probes: ProbeConfig = section(ProbeConfig)
    modes: list[Mode] = setting(
        ["stacked", "zero_shot", "translate_test"],
        "what is made and scored: stacked; zero_shot, encoder: the LLM or the encoder alone; translate_test, "
        "translate_train; ensemble: these two together, each of them made too; stage1_labels, stage2_only: the "
        "stack without a part of its training; multilingual: the encoder of multilingual.model alone; router: for "
        "each example the answer of stacked or of translate_test, whichever is the surer",
    )
    variants: dict[str, Any] = setting(
        {}, "of the mode stacked, one after another, each by its name and what of stack, map, align and distil is "
        "otherwise: {plain: {}, linear: {stack.fusion: linear}, long: {align.epochs: 4}}; empty: one, as it stands"
    )  # fmt: skip
    ablate: list[str] = setting(
        [], "tasks that all modes and variants are for; of the others stacked, in the first variant, zero_shot, "
        "encoder, multilingual and translate_test, if they are among the modes, are made. Empty: all tasks"
    )  # fmt: skip
    by_task: dict[str, Any] = setting(
        {}, "what of teacher and distil is otherwise for a task: {choice: {teacher.least_steps: 1500}}"
    )
    licences: dict[str, str] = setting(
        {}, "for the cards, of what states none itself: {encoder: CC-BY-NC-4.0, texts: ODC-By}"
    )
    resources: dict[str, Resource] = setting(
        {}, "how much text there is of a language, for the report: {sw: low, uk: high}; else high if XLM-R has it"
    )


@dataclass
class MtllmConfig(Settings):
    seeds: list[int] = setting(
        [], "all is done with each: as the seed of every stage and as tiny.seed; empty: with what those say"
    )
    tiny: TinyConfig = section(TinyConfig)
    run: RunConfig = section(RunConfig)
