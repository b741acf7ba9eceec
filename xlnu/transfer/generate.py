"""The step `english`: the LLM's own answers, in the source language."""

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pyarrow as pa

from xlnu.cluster.pools import ONE_CORE, GeneratorPool, Placed, asks, place
from xlnu.config import section, setting
from xlnu.engines.base import Answer, Decoding, Question
from xlnu.engines.chat import question
from xlnu.engines.checkpoint import Checkpoint
from xlnu.engines.open import GeneratorSpec, ModelConfig
from xlnu.engines.vllm import answer, gathered, processor, request
from xlnu.rows import ENGLISH
from xlnu.spread import begins, connect, spread
from xlnu.steps import Part, Result, Rows, Work
from xlnu.transfer.gates import repeats

Flag = Literal["empty", "cut off", "repetition"]


@dataclass
class EnglishConfig(ModelConfig):
    """The LLM that answers, and is trained afterwards."""

    engine: Literal["ct2", "hf", "vllm", "openai", "echo"] = setting("ct2", "what runs the LLM; echo: nothing does")
    max_new_tokens: int = setting(512, "an answer that is longer is cut off", at_least=1)
    temperature: float = setting(0.0, "0: greedy; above: drawn, by a seed of each row", at_least=0)
    top_p: float = setting(1.0, "draw from the likeliest tokens that make up this much", above=0, at_most=1)
    seed: int = setting(0, "of what is drawn", at_least=0)
    reject: list[Flag] = setting(
        ["empty", "cut off", "repetition"],
        "flags that keep an answer from going further: an answer cut off would teach the model not to end",
    )
    batch_tokens: int = setting(16384, "tokens computed at once, padding included", at_least=1)
    rows_per_part: int = setting(256, "rows written at once, and so lost at most to a kill", at_least=1)
    pool: GeneratorPool = section(GeneratorPool)


def decoding(config: EnglishConfig) -> Decoding:
    return Decoding(config.max_new_tokens, config.temperature, config.top_p)


def about(config: EnglishConfig) -> dict[str, Any]:
    """What of the settings changes an answer, besides the model."""
    drawn = {"seed": config.seed, "temperature": config.temperature, "top_p": config.top_p}
    limits = {"max_new_tokens": config.max_new_tokens, "reject": sorted(config.reject)}
    return limits | (drawn if config.temperature else {})


def generate(work: Work, config: EnglishConfig, spec: GeneratorSpec, instructions: Result) -> int:
    rows = instructions.rows()
    if spec.engine == "vllm":
        return _by_vllm(work, config, spec, rows)
    stage = functools.partial(_Answer, rows, config, spec)
    spread({work.name: work}, {work.name: len(rows)}, config.rows_per_part, stage, config.pool)
    return len(rows)


class _Answer:
    def __init__(self, rows: Rows, config: EnglishConfig, spec: GeneratorSpec, placed: Placed) -> None:
        self.rows, self.config, self.spec = rows, config, spec
        self.engine = spec.open(placed)

    def __call__(self, _step: str, part: Part) -> tuple[pa.Table, int]:
        given = self.rows.read(part.start, part.stop).to_pylist()
        questions = [_question(row, self.config) for row in given]
        answers = self.engine.answer(questions, decoding(self.config))
        return _table(given, answers, self.config, self.spec), sum(one.tokens for one in answers)


def _question(row: dict[str, Any], config: EnglishConfig) -> Question:
    return question(row["system"], row["instruction"], row["input"], seed_of(config.seed, row["id"]))


def _table(
    given: Sequence[dict[str, Any]], answers: Sequence[Answer], config: EnglishConfig, spec: GeneratorSpec
) -> pa.Table:
    made = []
    for row, one in zip(given, answers, strict=True):
        flags = answer_flags(one.text, one.cut_off)
        refuse: Sequence[str] = [flag for flag in flags if flag in config.reject]
        made.append(
            {
                **row,
                "reject": one.refused or next((f"answer: {flag}" for flag in refuse), None),
                "answer": one.text,
                "tokens": one.tokens,
                "flags": flags,
                "engine": spec.engine,
                "model": spec.model,
            }
        )
    return pa.Table.from_pylist(made, schema=ENGLISH)


class Requests:
    """For vLLM: the rows of a part, as requests. A callable of Ray Data, one part in, its rows out."""

    def __init__(self, rows: Rows, config: EnglishConfig, model: Checkpoint) -> None:
        from transformers import AutoTokenizer

        self.rows, self.config = rows, config
        folder = model.local(["*.json", "*.model", "*.jinja", "*.txt", "*.tiktoken"])  # not the weights
        self.tokenizer = AutoTokenizer.from_pretrained(folder)  # type: ignore[no-untyped-call]

    def __call__(self, part: dict[str, Any]) -> list[dict[str, Any]]:
        given = self.rows.read(part["start"], part["stop"]).to_pylist()
        asked = (request(self.tokenizer, _question(row, self.config), decoding(self.config)) for row in given)
        return [{"part": part["part"], "place": place, **one} for place, one in enumerate(asked)]


def _by_vllm(work: Work, config: EnglishConfig, spec: GeneratorSpec, rows: Rows) -> int:
    todo = work.todo(len(rows), config.rows_per_part)
    if not todo:
        return len(rows)
    connect(work.task.display)
    import ray
    from ray.data import ActorPoolStrategy

    assert spec.checkpoint is not None
    # Ray itself would wait for a GPU for ever
    placed = place(replace(config.pool, gpus=max(1, config.pool.gpus_each)))
    begins(work.task, config.pool.role, placed.resources)
    items = [{"part": at, "start": part.start, "stop": part.stop} for at, part in enumerate(todo)]
    asked = ray.data.from_items(items, override_num_blocks=len(items)).flat_map(
        Requests,
        fn_constructor_args=(rows, config, spec.checkpoint),
        compute=ActorPoolStrategy(size=1),
        num_cpus=1,
        resources=asks(ONE_CORE.role),
    )
    run = processor(spec.checkpoint, placed, spec.compute, batch=64)
    for at, found in gathered(run(asked).iter_rows(), [part.stop - part.start for part in todo]):
        answers = [answer(row, decoding(config)) for row in found]
        given = rows.read(todo[at].start, todo[at].stop).to_pylist()
        work.write(todo[at], _table(given, answers, config, spec))
    return len(rows)


def answer_flags(text: str, cut_off: bool) -> list[Flag]:
    if not text.strip():
        return ["empty"]
    return [*(["cut off"] if cut_off else []), *(["repetition"] if repeats(text) else [])]  # type: ignore[list-item]


def seed_of(seed: int, row: str) -> int:
    """A seed of the row's own: from (seed, id), never from a position."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {row}".encode(), digest_size=7).digest())
