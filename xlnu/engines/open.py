"""Which model by which engine: the settings, what of them identifies a result, and opening it where it runs."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from xlnu.cluster.pools import Placed, PoolConfig
from xlnu.config import setting
from xlnu.engines.adapters import merge
from xlnu.engines.base import Generator, Translator
from xlnu.engines.checkpoint import Checkpoint, find
from xlnu.engines.ct2 import Compute, Ct2Generator, Ct2Translator, compute_type, convert
from xlnu.engines.echo import Echo
from xlnu.engines.hf import HfGenerator, HfTranslator
from xlnu.engines.openai import OpenAIGenerator
from xlnu.engines.prompted import PromptedTranslator
from xlnu.errors import UserError
from xlnu.spread import call
from xlnu.steps import NOBODY_KNOWS, Files, Step, Work


@dataclass
class ModelConfig:
    """A model, and what runs it."""

    model: str = setting(
        "", "a folder with a Hugging Face checkpoint, a name on the hub, or a server's name; needed but by echo"
    )
    revision: str = setting("main", "branch, tag or commit, of a model on the hub")
    compute: Compute = setting(
        "auto", "numbers it computes with, a part of the result; auto: int8 on processors, float16 on GPUs, and "
        "float32 on processors for the engine hf"
    )  # fmt: skip
    url: str = setting("", "engine openai: the server, as http://host:8000/v1; its key is in OPENAI_API_KEY")
    concurrency: int = setting(16, "engine openai: requests under way at once", at_least=1)
    patience: float = setting(600.0, "engine openai: seconds without any answer before the job stops", above=0)


def identity(checkpoint: Checkpoint | None, engine: str, config: ModelConfig, gpus: int) -> dict[str, Any]:
    """What of a model's settings changes what it says. A server is believed to be what it is called."""
    if engine == "echo":
        return {"engine": engine}
    if checkpoint is None:
        return {"engine": engine, "server_model": config.model}
    return {"engine": engine, **checkpoint.identity, "compute": computed(engine, config.compute, gpus)}


def computed(engine: str, compute: Compute, gpus: int) -> str:
    if engine == "vllm":
        return compute  # auto: as the checkpoint has it
    if engine == "hf":
        return compute if compute != "auto" else "float16" if gpus else "float32"
    return compute_type(compute, gpus)


def checkpoint_of(key: str, engine: str, config: ModelConfig) -> Checkpoint | None:
    """The checkpoint that the settings under `key` name; None for a model behind a server, and for an echo."""
    if engine == "echo":
        return None
    if engine == "openai":
        if not config.url:
            raise UserError(f"{key}.url: the engine openai needs the server's address, as http://host:8000/v1")
        if not config.model:
            raise UserError(f"{key}.model: the engine openai needs the name by which its server knows the model")
        return None
    if engine in ("hf", "vllm") and config.compute.startswith("int8"):
        raise UserError(
            f"{key}.compute: the engine {engine} has no {config.compute}; take float32, bfloat16 or float16"
        )
    return find(f"{key}.model", config.model, config.revision)


def conversion(name: str, checkpoint: Checkpoint, compute: str, base: Checkpoint | None = None) -> Step:
    """The step that converts a checkpoint, or an adapter of `base`, for CTranslate2, once for all who use it."""

    def run(work: Work) -> int:
        call(_convert, checkpoint, compute, work.write_part, base, task=work.task)
        return 0

    import ctranslate2

    about = {**checkpoint.identity, "compute": compute, "ctranslate2": ctranslate2.__version__}
    about |= {"base": base.identity} if base else {}
    return Step(name, about, run)


def conversion_of(name: str, model: Step, base: Checkpoint | None, compute: str) -> Step:
    """The same of a model that a step makes: an adapter of `base`, or whole."""

    def run(work: Work) -> int:
        files = work.inputs[model.name].files()
        call(_convert, files, compute, work.write_part, base, task=work.task)
        return 0

    import ctranslate2

    return Step(
        name, {"compute": compute, "ctranslate2": ctranslate2.__version__}, run, (model,), estimate=NOBODY_KNOWS
    )


def _convert(model: Checkpoint | Files, compute: str, writer: Any, base: Checkpoint | None = None) -> None:
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryDirectory() as beside:
        folder = Path(place)
        source = str(model.local())
        if base:
            merge(base.local(), source, Path(beside))
            source = beside
        convert(source, compute, folder)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            writer.store.put(f"{writer.address}/{path.relative_to(folder)}", path)


@dataclass(frozen=True)
class GeneratorSpec:
    """An LLM as it is sent to where it runs."""

    engine: Literal["ct2", "hf", "vllm", "openai", "echo"]
    config: ModelConfig
    checkpoint: Checkpoint | None
    converted: Files | None
    compute: str
    batch_tokens: int

    @property
    def model(self) -> str:
        """What stands on a row."""
        return self.checkpoint.short if self.checkpoint else self.config.model

    def open(self, placed: Placed) -> Generator:
        if self.engine == "echo":
            return Echo()
        if self.engine == "openai":
            config = self.config
            return OpenAIGenerator(
                config.url, config.model, concurrency=config.concurrency, timeout=300, patience=config.patience
            )
        assert self.checkpoint is not None
        held: Any = {"batch_tokens": self.batch_tokens, "threads": placed.threads, "gpus": placed.gpus}
        if self.engine == "ct2":
            assert self.converted is not None
            return Ct2Generator(self.converted.local(), self.compute, **held)
        return HfGenerator(self.checkpoint.local(), self.compute, **held)


@dataclass(frozen=True)
class TranslatorSpec:
    """A translator as it is sent to where it runs."""

    engine: Literal["ct2", "hf", "llm", "openai", "echo"]
    config: ModelConfig
    checkpoint: Checkpoint | None
    converted: Files | None
    compute: str
    batch_tokens: int
    beam: int
    max_tokens: int
    llm: GeneratorSpec | None  # engines llm and openai: what is prompted
    shots: dict[str, list[tuple[str, str]]]  # and with what, by language
    pool: PoolConfig

    def open(self, placed: Placed) -> Translator:
        if self.engine == "echo":
            return Echo()
        if self.llm is not None:
            return PromptedTranslator(self.llm.open(placed), self.shots, self.max_tokens)
        assert self.checkpoint is not None
        held: Any = {"batch_tokens": self.batch_tokens, "threads": placed.threads, "gpus": placed.gpus}
        limits: Any = {"beam": self.beam, "max_tokens": self.max_tokens}
        if self.engine == "ct2":
            assert self.converted is not None
            return Ct2Translator(self.converted.local(), self.compute, **limits, **held)
        return HfTranslator(self.checkpoint.local(), self.compute, **limits, **held)
