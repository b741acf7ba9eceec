"""The steps `said`: what a stack, an LLM or an encoder answers to a task's tests, a row each, in all languages; and
what two of them answer together.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from xlnu.config import section, setting
from xlnu.languages import Language
from xlnu.mtllm.parts import Parents
from xlnu.mtllm.projected import back
from xlnu.mtllm.schemas import SAID
from xlnu.mtllm.tasks import Task
from xlnu.spread import Placed, PoolConfig, spread
from xlnu.steps import NOBODY_KNOWS, Files, Part, Rows, Step, Work

ROWS_PER_PART = 8192
Numbers = np.ndarray[Any, Any]


@dataclass
class ReadConfig:
    """How trained models are run over tests, and teachers over training examples."""

    batch_tokens: int = setting(8192, "tokens computed at once, padding included", at_least=1)
    rows_per_part: int = setting(2048, "answers written at once, and so lost at most to a kill", at_least=1)
    pool: PoolConfig = section(PoolConfig)


def step(
    name: str,
    model: Step,
    tests: Sequence[Step],
    config: ReadConfig,
    parents: Parents,
    languages: dict[str, Language],
) -> Step:
    """`tests`: rows of EXAMPLES."""

    def run(work: Work) -> int:
        rows = Rows.joined([work.inputs[step.name].rows() for step in tests])
        files = work.inputs[model.name].files()
        stage = functools.partial(_Read, rows, files, parents, config.batch_tokens, languages)
        spread({work.name: work}, {work.name: len(rows)}, config.rows_per_part, stage, config.pool)
        return len(rows)

    return Step(name, {}, run, (model, *tests), estimate=NOBODY_KNOWS)


class _Read:
    def __init__(
        self,
        rows: Rows,
        files: Files,
        parents: Parents,
        batch_tokens: int,
        languages: dict[str, Language],
        placed: Placed,
    ) -> None:
        import torch

        from xlnu.stack.predict import Predictor

        torch.set_num_threads(placed.cpus)
        self.rows, self.languages = rows, languages
        device = "cuda" if placed.gpus else "cpu"
        self.model = Predictor.open(
            str(files.local()), device=device, batch_tokens=batch_tokens, **parents.folders()
        )

    def __call__(self, _step: str, part: Part) -> tuple[pa.Table, int]:
        given = self.rows.read(part.start, part.stop).to_pylist()
        languages = [self.languages[row["language"]] for row in given]
        found = self.model.read([row["segments"] for row in given], languages)
        config = self.model.config
        made = []
        for row, answer in zip(given, found, strict=True):
            logits = answer.logits.numpy().astype(np.float32)
            said: Sequence[float] | Numbers = _best(logits, config.task)
            if "links" in row:  # a translation's words were read, and the tests ask for those that were translated
                said, logits = back(logits, config.labels, row["links"], len(row["segments"]))
            made.append(_row(row, said, logits, answer.tokens))
        return pa.Table.from_pylist(made, schema=SAID), sum(one.tokens for one in found)


def _best(logits: Numbers, kind: str) -> Numbers:
    return logits if kind == "regression" else np.atleast_1d(logits.argmax(-1)).astype(np.float32)


def _row(row: dict[str, Any], said: Sequence[float] | Numbers, logits: Numbers, tokens: int) -> dict[str, Any]:
    kept = {name: row[name] for name in ("id", "reject", "task", "language", "key", "gold")}
    answered = np.asarray(said, dtype=np.float32)
    return kept | {"said": answered.tolist(), "logits": logits.flatten().tolist(), "tokens": tokens}


def ensemble(name: str, one: Step, other: Step, task: Task) -> Step:
    """Of two steps `said` of one task: the mean of their probabilities, of a regression that of their values, for
    all examples that both were asked.

    Of a word of which one side knows nothing (its logits are all alike) the other decides.
    """

    def run(work: Work) -> int:
        known = {(row["language"], row["key"]): row for row in work.inputs[other.name].table().to_pylist()}
        both = [
            (row, known[row["language"], row["key"]])
            for row in work.inputs[one.name].table().to_pylist()
            if (row["language"], row["key"]) in known
        ]
        for part in work.todo(len(both), ROWS_PER_PART):
            made = [_together(a, b, task) for a, b in both[part.start : part.stop]]
            work.write(part, pa.Table.from_pylist(made, schema=SAID))
        return len(both)

    return Step(name, {"kind": task.kind}, run, (one, other), estimate=NOBODY_KNOWS)


def _together(one: dict[str, Any], other: dict[str, Any], task: Task) -> dict[str, Any]:
    tokens = one["tokens"] + other["tokens"]
    first, second = (np.asarray(row["logits"], dtype=np.float32) for row in (one, other))
    if task.kind == "regression":
        mean = (first + second) / 2
        return _row(one, mean, mean, tokens)
    if task.kind == "tokens":
        first, second = (each.reshape(-1, len(task.labels)) for each in (first, second))
        both = min(len(first), len(second))  # of a word too long to be read there is nothing
        first, second = first[:both], second[:both]
    logits = np.log(np.maximum((_probable(first) + _probable(second)) / 2, np.finfo(np.float32).tiny))
    return _row(one, _best(logits, task.kind), logits, tokens)


def _probable(logits: Numbers) -> Numbers:
    found: Numbers = np.exp(logits - logits.max(-1, keepdims=True))
    found /= found.sum(-1, keepdims=True)
    return found
