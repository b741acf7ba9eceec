"""What a Hugging Face classifier answers: any model with a head for texts or pairs, as those tuned on XNLI."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from xlnu.cluster.pools import Placed
from xlnu.engines.checkpoint import Checkpoint
from xlnu.engines.hf import batched
from xlnu.errors import UserError
from xlnu.evaluate.said import ReadConfig, answered
from xlnu.evaluate.schemas import ANSWERED
from xlnu.mtllm.tasks import Task
from xlnu.spread import spread
from xlnu.steps import NOBODY_KNOWS, Part, Rows, Step, Work


def labels(checkpoint: Checkpoint) -> list[str]:
    """What the model calls its answers, in their order."""
    from transformers import AutoConfig

    about = AutoConfig.from_pretrained(checkpoint.local(["*.json"]))
    return [about.id2label[number] for number in sorted(about.id2label)]


def matched(task: Task, theirs: Sequence[str], given: Mapping[str, str]) -> list[str] | None:
    """What the task calls each of the model's answers; None where a label of the task is none of them."""
    names = {(given.get(label) or label).casefold(): label for label in task.labels}
    if not set(names) <= {one.casefold() for one in theirs}:
        return None
    return [names.get(one.casefold(), one) for one in theirs]


def step(
    name: str, model: Checkpoint, tests: Sequence[Step], task: Task, config: ReadConfig, names: Sequence[str]
) -> Step:
    """`names`: of the model's answers, by what the task calls them."""

    def run(work: Work) -> int:
        rows = Rows.joined([work.inputs[one.name].rows() for one in tests])
        stage = functools.partial(_Classify, rows, model, task, config.batch_tokens, list(names))
        spread({work.name: work}, {work.name: len(rows)}, config.rows_per_part, stage, config.pool)
        return len(rows)

    return Step(name, {**model.identity, "names": list(names)}, run, tuple(tests), estimate=NOBODY_KNOWS)


class _Classify:
    def __init__(
        self, rows: Rows, model: Checkpoint, task: Task, batch_tokens: int, names: list[str], placed: Placed
    ) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        torch.set_num_threads(placed.threads)
        self.rows, self.task, self.batch_tokens, self.names = rows, task, batch_tokens, names
        folder = model.local()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)  # type: ignore[no-untyped-call]
        loaded, told = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
        if told["missing_keys"]:
            raise UserError(
                f"{Path(folder).name}: has no head that was trained: {told['missing_keys'][0]} is not in it"
            )
        self.model = loaded.eval().to("cuda" if placed.gpus else "cpu")
        longest = getattr(self.model.config, "max_position_embeddings", None)
        self.longest = min(self.tokenizer.model_max_length, (longest or 514) - 2)

    def __call__(self, _step: str, part: Part) -> tuple[pa.Table, int]:
        import torch

        given = self.rows.read(part.start, part.stop).to_pylist()
        tokens = [
            self.tokenizer(*row["segments"], truncation="longest_first", max_length=self.longest) for row in given
        ]
        said: dict[int, list[float]] = {}
        for some in batched([len(one["input_ids"]) for one in tokens], self.batch_tokens):
            batch = self.tokenizer.pad([tokens[i] for i in some], return_tensors="pt").to(self.model.device)
            with torch.inference_mode():
                said |= zip(some, self.model(**batch).logits.float().cpu().tolist(), strict=True)
        made = []
        for at, row in enumerate(given):
            logits, count = said[at], len(tokens[at]["input_ids"])
            best = self.names[max(range(len(logits)), key=logits.__getitem__)]
            made.append(answered(row, self.task, [best], logits, count))
        return pa.Table.from_pylist(made, schema=ANSWERED), sum(len(one["input_ids"]) for one in tokens)
