"""The models a transfer set is made with: identified on the driver, opened in actors."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from xlnu.cluster.pools import PoolConfig
from xlnu.engines.checkpoint import Checkpoint
from xlnu.engines.open import (
    GeneratorSpec,
    ModelConfig,
    TranslatorSpec,
    checkpoint_of,
    computed,
    conversion,
    identity,
)
from xlnu.languages import Language
from xlnu.steps import Step, Work
from xlnu.transfer import parallel, translate
from xlnu.transfer.generate import EnglishConfig

Add = Callable[[Step], Step]


class Llm:
    """What answers the instructions."""

    def __init__(self, config: EnglishConfig, add: Add) -> None:
        self.config = config
        self.checkpoint = checkpoint_of("english", config.engine, config)
        self.files = _conversion("llm", self.checkpoint, config.engine, config, config.pool.gpus_each, add)

    @property
    def identity(self) -> dict[str, Any]:
        return identity(self.checkpoint, self.config.engine, self.config, self.config.pool.gpus_each)

    @property
    def name(self) -> str:
        """What stands on the rows."""
        return self.checkpoint.short if self.checkpoint else self.config.model

    def spec(self, work: Work) -> GeneratorSpec:
        config = self.config
        return GeneratorSpec(
            config.engine,
            config,
            self.checkpoint,
            work.inputs[self.files.name].files() if self.files else None,
            computed(config.engine, config.compute, config.pool.gpus_each),
            config.batch_tokens,
        )


class Mt:
    """What translates. The engine `llm` is the LLM, as it answers and where it answers."""

    def __init__(
        self, config: translate.TranslatorConfig, llm: Llm | None, corpora: Mapping[str, parallel.Corpus], add: Add
    ) -> None:
        self.config, self.llm = config, llm if config.engine == "llm" else None
        if self.llm:
            self.checkpoint: Checkpoint | None = self.llm.checkpoint
            self.files = self.llm.files
            self.pool: PoolConfig = self.llm.config.pool
        else:
            self.checkpoint = checkpoint_of("translator", config.engine, config)
            self.pool = config.pool
            self.files = _conversion("mt", self.checkpoint, config.engine, config, config.pool.gpus_each, add)
        prompted = config.engine in ("llm", "openai") and config.shots
        self.shots = {label: parallel.examples(files, config.shots) for label, files in corpora.items() if prompted}

    @property
    def name(self) -> str:
        """What stands on the rows."""
        if self.llm:
            return self.llm.name
        return self.checkpoint.short if self.checkpoint else self.config.model

    def about(self, target: Language) -> dict[str, Any]:
        """What of the translator changes a translation into a language."""
        return self._identity | ({"examples": self.shots[target.label]} if target.label in self.shots else {})

    @functools.cached_property
    def _identity(self) -> dict[str, Any]:
        config = self.config
        made = identity(self.checkpoint, config.engine, config, self.pool.gpus_each)
        if self.llm:
            made = {"engine": "llm", "llm": self.llm.identity}
        return made | translate.about(config)

    def spec(self, work: Work) -> TranslatorSpec:
        config, llm = self.config, self.llm.spec(work) if self.llm else None
        if config.engine == "openai":
            llm = GeneratorSpec("openai", config, None, None, "", config.batch_tokens)
        return TranslatorSpec(
            config.engine,
            config,
            self.checkpoint,
            work.inputs[self.files.name].files() if self.files else None,
            computed(config.engine, config.compute, self.pool.gpus_each),
            config.batch_tokens,
            config.beam,
            config.max_tokens,
            llm,
            self.shots,
            self.pool,
        )


def _conversion(
    name: str, checkpoint: Checkpoint | None, engine: str, config: ModelConfig, gpus: int, add: Add
) -> Step | None:
    if engine != "ct2":
        return None
    assert checkpoint is not None
    return add(conversion(f"{name}_ct2", checkpoint, computed("ct2", config.compute, gpus)))
