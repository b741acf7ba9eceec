"""The step `said`: what a stack, an LLM or an encoder answers to a task's tests, a row each, in all languages."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from xlnu.config import section, setting
from xlnu.languages import Language
from xlnu.mtllm.chained import Chained, chained
from xlnu.mtllm.parts import Parents
from xlnu.mtllm.schemas import SAID
from xlnu.spread import Placed, PoolConfig, spread
from xlnu.steps import NOBODY_KNOWS, Files, Part, Step, Work


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
        rows = chained(work, tests)
        files = work.inputs[model.name].files()
        stage = functools.partial(_Read, rows, files, parents.folders(), config.batch_tokens, languages)
        spread({work.name: work}, {work.name: len(rows)}, config.rows_per_part, stage, config.pool)
        return len(rows)

    return Step(name, {}, run, (model, *tests), estimate=NOBODY_KNOWS)


class _Read:
    def __init__(
        self,
        rows: Chained,
        files: Files,
        folders: dict[str, str],
        batch_tokens: int,
        languages: dict[str, Language],
        placed: Placed,
    ) -> None:
        import torch

        from xlnu.stack.predict import Predictor

        torch.set_num_threads(placed.cpus)
        self.rows, self.languages = rows, languages
        device = "cuda" if placed.gpus else "cpu"
        self.model = Predictor.open(str(files.local()), device=device, batch_tokens=batch_tokens, **folders)

    def __call__(self, _step: str, part: Part) -> tuple[pa.Table, int]:
        given = self.rows.read(part.start, part.stop).to_pylist()
        languages = [self.languages[row["language"]] for row in given]
        found = self.model.read([row["segments"] for row in given], languages)
        task = self.model.config.task or ""
        made = [_row(row, answer, task) for row, answer in zip(given, found, strict=True)]
        return pa.Table.from_pylist(made, schema=SAID), sum(one.tokens for one in found)


def _row(row: dict[str, Any], answer: Any, task: str) -> dict[str, Any]:
    logits = answer.logits.numpy().astype(np.float32)
    said = logits if task == "regression" else np.atleast_1d(logits.argmax(-1))
    kept = {name: row[name] for name in ("id", "reject", "task", "language", "key", "gold")}
    return kept | {
        "said": said.astype(np.float32).tolist(),
        "logits": logits.flatten().tolist(),
        "tokens": answer.tokens,
    }
