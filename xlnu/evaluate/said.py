"""The steps `said`: what a stack, an LLM or an encoder answers to a task's tests, a row each, in all languages; and
what two of them answer together.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from xlnu.cluster.pools import GeneratorPool, Placed
from xlnu.config import section, setting
from xlnu.engines.checkpoint import Checkpoint
from xlnu.evaluate.schemas import ANSWERED
from xlnu.languages import Language
from xlnu.mtllm.parts import Parents
from xlnu.mtllm.projected import back
from xlnu.mtllm.tasks import Task
from xlnu.spread import spread
from xlnu.steps import NOBODY_KNOWS, Files, Part, Rows, Step, Work

ROWS_PER_PART = 8192
Numbers = np.ndarray[Any, Any]


@dataclass
class ReadConfig:
    """How trained models are run over tests, and teachers over training examples."""

    batch_tokens: int = setting(8192, "tokens computed at once, padding included", at_least=1)
    rows_per_part: int = setting(2048, "answers written at once, and so lost at most to a kill", at_least=1)
    pool: GeneratorPool = section(GeneratorPool)


@dataclass(frozen=True)
class Elsewhere:
    """Where a stack's parents lie, if not where they were; folders of the driver's as what others get."""

    places: Mapping[str, str | Checkpoint]

    def folders(self) -> dict[str, str]:
        return {part: one.local() if isinstance(one, Checkpoint) else one for part, one in self.places.items()}


def step(
    name: str,
    model: Step | Checkpoint,
    tests: Sequence[Step],
    task: Task,
    config: ReadConfig,
    parents: Parents | Elsewhere,
    languages: dict[str, Language],
) -> Step:
    """`tests`: rows of EXAMPLES. `model`: a step's, or a stack's directory."""

    def run(work: Work) -> int:
        rows = Rows.joined([work.inputs[step.name].rows() for step in tests])
        files = work.inputs[model.name].files() if isinstance(model, Step) else model
        stage = functools.partial(_Read, rows, files, task, parents, config.batch_tokens, languages)
        spread({work.name: work}, {work.name: len(rows)}, config.rows_per_part, stage, config.pool)
        return len(rows)

    own = (model,) if isinstance(model, Step) else ()
    about = {} if isinstance(model, Step) else model.identity
    return Step(name, about, run, (*own, *tests), version=2, estimate=NOBODY_KNOWS)


class _Read:
    def __init__(
        self,
        rows: Rows,
        files: Files | Checkpoint,
        task: Task,
        parents: Parents | Elsewhere,
        batch_tokens: int,
        languages: dict[str, Language],
        placed: Placed,
    ) -> None:
        import torch

        from xlnu.stack.predict import Predictor

        torch.set_num_threads(placed.threads)
        self.rows, self.task, self.languages = rows, task, languages
        device = "cuda" if placed.gpus else "cpu"
        places: Any = parents.folders()  # here: where the driver has them, this machine may have nothing
        self.model = Predictor.open(str(files.local()), device=device, batch_tokens=batch_tokens, **places)

    def __call__(self, _step: str, part: Part) -> tuple[pa.Table, int]:
        given = self.rows.read(part.start, part.stop).to_pylist()
        languages = [self.languages[row["language"]] for row in given]
        found = self.model.read([row["segments"] for row in given], languages)
        labels, made = self.model.config.labels or (), list[dict[str, Any]]()
        for row, answer in zip(given, found, strict=True):
            logits = answer.logits.numpy().astype(np.float32)
            said: Sequence[float] | Numbers = _best(logits, self.task.kind)
            if "links" in row:  # a translation's words were read, and the tests ask for those that were translated
                said, logits = back(logits, labels, row["links"], len(row["segments"]))
            names = written(said, self.task.kind, labels)
            made.append(answered(row, self.task, names, logits.flatten().tolist(), answer.tokens))
        return pa.Table.from_pylist(made, schema=ANSWERED), sum(one.tokens for one in found)


def _best(logits: Numbers, kind: str) -> Numbers:
    return logits if kind == "regression" else np.atleast_1d(logits.argmax(-1)).astype(np.float32)


def written(numbers: Sequence[float] | Numbers, kind: str, labels: Sequence[str]) -> list[str]:
    """An answer as people write it: numbers of labels by their names."""
    if kind == "regression":
        return [f"{float(one):.7g}" for one in numbers]
    return [str(int(one)) if kind == "choice" else labels[int(one)] for one in numbers]


def answered(
    row: dict[str, Any], task: Task, said: Sequence[str], logits: Sequence[float], tokens: int
) -> dict[str, Any]:
    """A row of EXAMPLES as one of ANSWERED."""
    return {name: row[name] for name in ("id", "reject", "language", "key")} | {
        "benchmark": task.format,
        "task": task.name,
        "kind": task.kind,
        "asked": asked_of(row["segments"], task.kind),
        "right": written(row["gold"], task.kind, task.labels),
        "said": list(said),
        "logits": list(logits),
        "tokens": tokens,
        "cut_off": False,
        "judged": None,
        "prompt": None,
    }


def asked_of(segments: Sequence[str], kind: str) -> str:
    if kind == "choice":
        passage, question, *choices = segments
        segments = [passage, question, *(f"{number}: {text}" for number, text in enumerate(choices))]
    return (" " if kind == "tokens" else "\n").join(filter(None, segments))


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
            work.write(part, pa.Table.from_pylist(made, schema=ANSWERED))
        return len(both)

    return Step(name, {"kind": task.kind}, run, (one, other), version=2, estimate=NOBODY_KNOWS)


def _together(one: dict[str, Any], other: dict[str, Any], task: Task) -> dict[str, Any]:
    first, second = (np.asarray(row["logits"], dtype=np.float32) for row in (one, other))
    if task.kind == "regression":
        return _both(one, other, (first + second) / 2, task)
    if task.kind == "tokens":
        first, second = (each.reshape(-1, len(task.labels)) for each in (first, second))
        both = min(len(first), len(second))  # of a word too long to be read there is nothing
        first, second = first[:both], second[:both]
    logits = np.log(np.maximum((probable(first) + probable(second)) / 2, np.finfo(np.float32).tiny))
    return _both(one, other, logits, task)


def _both(one: dict[str, Any], other: dict[str, Any], logits: Numbers, task: Task) -> dict[str, Any]:
    said = written(_best(logits, task.kind), task.kind, task.labels)
    return one | {
        "said": said,
        "logits": logits.flatten().tolist(),
        "tokens": one["tokens"] + other["tokens"],
    }


def probable(logits: Numbers) -> Numbers:
    found: Numbers = np.exp(logits - logits.max(-1, keepdims=True))
    found /= found.sum(-1, keepdims=True)
    return found
