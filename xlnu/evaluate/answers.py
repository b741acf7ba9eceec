"""The step `answers`: what one model says to the questions, a row each."""

import functools
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from xlnu.cluster.pools import Placed
from xlnu.engines.base import Decoding, Generator
from xlnu.engines.chat import question
from xlnu.engines.checkpoint import Checkpoint
from xlnu.engines.ct2 import Ct2Generator
from xlnu.engines.hf import HfGenerator
from xlnu.engines.open import computed, conversion, conversion_of
from xlnu.errors import UserError
from xlnu.evaluate.questions import AnswerConfig
from xlnu.evaluate.schemas import ANSWERED
from xlnu.spread import spread
from xlnu.steps import NOBODY_KNOWS, Files, Part, Rows, Step, Work


def steps(
    config: AnswerConfig, questions: Step, model: Checkpoint | Step, base: Checkpoint | None = None
) -> list[Step]:
    """The answers of a model, the last of the steps; a model is a checkpoint that is there, or a step's result: an
    adapter of `base`, or whole.
    """
    if config.engine == "hf" and config.compute.startswith("int8"):
        raise UserError(
            f"evaluate.compute: the engine hf has no {config.compute}; take float32, bfloat16 or float16"
        )
    if config.engine == "hf" and base and isinstance(model, Checkpoint):
        raise UserError(f"answer.engine: hf does not open an adapter, as {model.name} is one; take ct2")
    compute = computed(config.engine, config.compute, config.pool.gpus_each)
    made = list[Step]()
    if config.engine == "ct2" and isinstance(model, Step):
        made = [conversion_of("model_ct2", model, base, compute)]
    elif config.engine == "ct2":
        assert isinstance(model, Checkpoint)
        made = [conversion("llm_ct2", model, compute, base)]
    files = made[0] if made else model if isinstance(model, Step) else None
    checkpoint = model if isinstance(model, Checkpoint) else None

    def run(work: Work) -> int:
        asked = work.inputs[questions.name].rows()
        folder = work.inputs[files.name].files() if files else checkpoint
        assert folder is not None
        opened = _Model(config.engine, folder, compute, config.batch_tokens)
        stage = functools.partial(_Answer, asked, config.max_new_tokens, opened)
        spread({work.name: work}, {work.name: len(asked)}, config.rows_per_part, stage, config.pool)
        return len(asked)

    about: dict[str, Any] = {
        "engine": config.engine,
        "compute": compute,
        "max_new_tokens": config.max_new_tokens,
        **(checkpoint.identity if checkpoint else {}),
    }
    inputs = (questions, files) if files else (questions,)
    return [*made, Step("answers", about, run, inputs, version=2, estimate=NOBODY_KNOWS)]


@dataclass(frozen=True)
class _Model:
    """A model as it is sent to where it runs."""

    engine: Literal["ct2", "hf"]
    folder: Checkpoint | Files
    compute: str
    batch_tokens: int

    def open(self, placed: Placed) -> Generator:
        held: Any = {"batch_tokens": self.batch_tokens, "threads": placed.threads, "gpus": placed.gpus}
        if self.engine == "ct2":
            assert isinstance(self.folder, Files)
            return Ct2Generator(self.folder.local(), self.compute, **held)
        return HfGenerator(str(self.folder.local()), self.compute, **held)


class _Answer:
    def __init__(self, rows: Rows, max_new_tokens: int, model: _Model, placed: Placed) -> None:
        self.rows, self.decoding, self.engine = rows, Decoding(max_new_tokens), model.open(placed)

    def __call__(self, _step: str, part: Part) -> tuple[pa.Table, int]:
        given = self.rows.read(part.start, part.stop).to_pylist()
        answers = self.engine.answer([question(None, row["prompt"], "", 0) for row in given], self.decoding)
        made = [
            row
            | {"reject": one.refused, "asked": row["prompt"], "said": [one.text], "logits": []}
            | {"tokens": one.tokens, "cut_off": one.cut_off, "judged": None, "prompt": None}
            for row, one in zip(given, answers, strict=True)
        ]
        return pa.Table.from_pylist(made, schema=ANSWERED), sum(one.tokens for one in answers)
