"""A small job of MT-LLM in the tiny world, for tests: settings, and its steps run here."""

from pathlib import Path
from typing import Any

from xlnu import steps
from xlnu.config import load
from xlnu.mtllm import parts
from xlnu.mtllm.parts import Parents
from xlnu.mtllm.settings import MtllmConfig
from xlnu.progress import Display
from xlnu.steps import Result, Step
from xlnu.store import Store
from xlnu.tiny.build import Built
from xlnu.tiny.embed import embed

TOP = Path(__file__).parents[2]
CONFIG = TOP / "configs" / "tiny" / "mtllm.yaml"
ONE_TASK = [
    "tasks.format={topic: sib200}", "tasks.train={topic: 'tiny:data/topic/{language}/train.tsv'}",
    "tasks.validation={topic: 'tiny:data/topic/{language}/dev.tsv'}",
    "tasks.test={topic: 'tiny:data/topic/{language}/test.tsv'}",
]  # fmt: skip


def settings(tiny: Built, *more: str) -> Any:
    """The configuration, with the tiny world's places in it, and the languages it declares."""
    config = load(MtllmConfig, str(CONFIG), ["tiny.size=xs", f"tiny.cache={tiny.data.parent}", *ONE_TASK, *more])
    return config, embed(config, config.tiny, Display(), False)[1]


def parents(config: MtllmConfig) -> Parents:
    return parts.parents(config.encoder, config.llm)


def run(folder: Path, todo: list[Step]) -> dict[str, Result]:
    return steps.named(steps.run(todo, Store(str(folder)), Display()), todo)
