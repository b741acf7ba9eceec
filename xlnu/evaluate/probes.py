"""The steps `probed`: how well a model brings sentences and their translations together, layer by layer, on
FLORES-200's parallel sentences.

A row each language and layer. An LLM, or an adapter of one, is given raw sentences; a stack reads them as it reads
any text, the source language's sentences too, and has two parts whose layers count apart: its encoder and its LLM.
Tokens of a sentence are averaged as MEXA has it where attention is causal, and alike where it goes both ways.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from xlnu.cache import hash_file
from xlnu.cluster.pools import GeneratorPool, Placed
from xlnu.config import section, setting
from xlnu.engines.checkpoint import Checkpoint, find
from xlnu.errors import UserError
from xlnu.evaluate import flores
from xlnu.evaluate.layers import Llm, Model, Read, Stack, distinct
from xlnu.evaluate.said import Elsewhere
from xlnu.languages import Language
from xlnu.mtllm.parts import Parents
from xlnu.rows import ROW, row_id
from xlnu.spread import spread
from xlnu.steps import NOBODY_KNOWS, Files, Part, Step, Work

Kind = Literal["stack", "llm", "adapter"]
CONFIGS = ("*.json",)  # of a checkpoint: not its weights

ALIGNED = pa.schema(
    [
        *ROW,
        pa.field("language", pa.string(), nullable=False, metadata={"meaning": "label, a fallback visible in it"}),
        pa.field("part", pa.string(), nullable=False, metadata={"meaning": "encoder or llm"}),
        pa.field("layer", pa.int32(), nullable=False, metadata={"meaning": "of the part; 0: what its layers read"}),
        pa.field(
            "depth", pa.float64(), nullable=False, metadata={"meaning": "the layer's place in its part, 0 to 1"}
        ),
        pa.field("mexa", pa.float64(), metadata={"meaning": "null: rejected"}),
        pa.field(
            "retrieval", pa.float64(), metadata={"meaning": "from the language to the source; null: rejected"}
        ),
        pa.field(
            "fvu",
            pa.float64(),
            metadata={
                "meaning": "of a stack's pooled state against that which its LLM, adapter off, has of the source "
                "sentence; null: not the last layer, or there is no such LLM"
            },
        ),
        pa.field("n", pa.int32(), nullable=False, metadata={"meaning": "sentences"}),
    ]
)


@dataclass
class ProbeConfig:
    """How alignment is measured."""

    flores: str = setting("", "a folder with FLORES-200's dev/ and devtest/; empty: alignment is not measured")
    split: Literal["dev", "devtest"] = setting("dev", "of FLORES")
    sentences: int = setting(100, "the first n of the split", at_least=2)
    batch_tokens: int = setting(4096, "tokens computed at once, padding included", at_least=1)
    pool: GeneratorPool = section(GeneratorPool)

    @property
    def on(self) -> bool:
        return bool(self.flores)


def step(
    name: str,
    model: Step | Checkpoint,
    base: Checkpoint | None,
    kind: Kind,
    elsewhere: Parents | Elsewhere,
    config: ProbeConfig,
    source: Language,
    languages: Sequence[Language],
) -> Step:
    """`base`: what the model is an adapter of. `elsewhere`: of a stack's parents. `languages`: not the source."""
    assert (kind == "adapter") == (base is not None)
    folder = Path(config.flores).expanduser()
    own = (model,) if isinstance(model, Step) else ()
    about = {
        "files": {one.label: hash_file(path) for one, path in _files(config, source, languages).items()},
        "source": source.label,
        "languages": [one.label for one in languages],
        "sentences": config.sentences,
        "kind": kind,
        "model": None if isinstance(model, Step) else model.identity,
        "base": base.identity if base else None,
        "numbers": "the model's" if config.pool.gpus_each else "float32",
    }

    def run(work: Work) -> int:
        files = work.inputs[model.name].files() if isinstance(model, Step) else model
        given = _Given(files, base, kind, elsewhere, config.batch_tokens)
        pairs = {one: flores.pairs(folder, config.split, source, one)[: config.sentences] for one in languages}
        layers = [(part, layer, count) for part, count in _counts(given).items() for layer in range(count + 1)]
        stage = functools.partial(_Probe, given, source, pairs, layers)
        total = len(layers) * len(languages)
        spread({work.name: work}, {work.name: total}, len(layers), stage, config.pool)
        return total

    return Step(name, about, run, own, estimate=NOBODY_KNOWS)


def _files(config: ProbeConfig, source: Language, languages: Sequence[Language]) -> dict[Language, Path]:
    """What is read; UserError without the source language, or without any other."""
    folder = Path(config.flores).expanduser()
    there = {one: flores.place(folder, config.split, one) for one in (source, *languages)}
    if not there[source].is_file():
        raise UserError(f"probes.flores: {there[source]}: no such file, and it is the source language's")
    found = {one: path for one, path in there.items() if path.is_file()}
    if len(found) == 1:
        asked = ", ".join(one.label for one in languages[:5]) or "any other language"
        raise UserError(f"probes.flores: {there[source].parent}: there is no file for {asked}")
    return found


@dataclass(frozen=True)
class _Given:
    """A model as it is sent to where it runs."""

    files: Files | Checkpoint
    base: Checkpoint | None
    kind: Kind
    elsewhere: Parents | Elsewhere
    batch_tokens: int

    def open(self, gpus: int) -> Model:
        folder = str(self.files.local())
        if self.kind == "stack":
            return Stack(folder, self.elsewhere.folders(), gpus, self.batch_tokens)
        if self.base:
            return Llm(self.base.local(), folder, gpus, self.batch_tokens)
        return Llm(folder, None, gpus, self.batch_tokens)


def _counts(given: _Given) -> dict[str, int]:
    """How many layers each part has, before anything is opened."""
    if given.kind != "stack":
        return {"llm": _count(given.base or given.files)}
    from xlnu.stack.config import StackConfig

    own = Path(_folder(given.files))
    config, found = StackConfig.from_pretrained(own), dict[str, int]()
    for part in config.parts():
        about = getattr(config, part)
        inside = str(own / about["folder"]) if "folder" in about else None
        if isinstance(given.elsewhere, Elsewhere) or inside:
            where = inside or given.elsewhere.folders().get(part) or about["name"]
            found[part] = _count(find(part, where, about.get("revision", "main")))
        else:
            found[part] = _count(given.elsewhere.encoder if part == "encoder" else given.elsewhere.llm)
    return found


def _folder(model: Files | Checkpoint) -> str:
    return model.local(CONFIGS) if isinstance(model, Checkpoint) else str(model.local())


def _count(model: Files | Checkpoint) -> int:
    from transformers import AutoConfig

    about: Any = AutoConfig.from_pretrained(_folder(model))
    layers: int = about.get_text_config().num_hidden_layers
    return layers


class _Probe:
    """One language a call. What the model makes of the source language's sentences is computed once."""

    def __init__(
        self,
        given: _Given,
        source: Language,
        pairs: Mapping[Language, Sequence[tuple[str, str]]],
        layers: Sequence[tuple[str, int, int]],
        placed: Placed,
    ) -> None:
        import torch

        torch.set_num_threads(placed.threads)
        self.layers, self.pairs, self.languages = layers, pairs, list(pairs)
        self.model = given.open(placed.gpus)
        texts = [text for text, _ in next(filter(None, pairs.values()))]
        self.source = distinct(self.model, texts, source)
        self.taught = self.model.taught(texts, source)

    def __call__(self, _step: str, part: Part) -> tuple[pa.Table, int]:
        from xlnu.evaluate import alignment

        language = self.languages[part.start // len(self.layers)]
        texts = [text for _, text in self.pairs[language]]
        why = "FLORES does not have the language" if not texts else self.model.lacks(language)
        read = Read() if why else distinct(self.model, texts, language)
        assert why or all(len(read.layers[name]) == count + 1 for name, _, count in self.layers)
        made = list[dict[str, Any]]()
        for name, layer, count in self.layers:
            row = {"language": language.label, "part": name, "layer": layer, "depth": layer / count}
            row |= {"id": row_id(language.label, name, layer), "reject": why, "n": len(texts)}
            if not why:
                both = self.source.layers[name][layer], read.layers[name][layer]
                row |= {"mexa": alignment.mexa(*both), "retrieval": alignment.retrieval(*both)}
            made.append(row)
        if read.pooled is not None and self.taught is not None:
            made[-1]["fvu"] = alignment.fvu(read.pooled, self.taught)
        return pa.Table.from_pylist(made, schema=ALIGNED), read.tokens
