"""The step `embeddings`: a teacher's pooled states of a task's examples, computed once for all students.

Rows stand where those of the tokens stand, keyed by id and by the hash of the text, in float16.
"""

import functools
from typing import Any

import numpy as np
import pyarrow as pa

from xlnu.cluster.pools import Placed, PoolConfig
from xlnu.mtllm.parts import Parents
from xlnu.mtllm.schemas import EMBEDDINGS, HELD_OUT, REJECTED, TRAIN
from xlnu.spread import spread
from xlnu.steps import NOBODY_KNOWS, Files, Part, Rows, Step, Work, read_part

BATCH_TOKENS = 8192  # computed at once, padding included


def step(name: str, teacher: Step, data: Step, parents: Parents, pool: PoolConfig) -> Step:
    """A part is a file of the tokens: what is read in order is written in order."""

    def run(work: Work) -> int:
        given = work.inputs[data.name]
        parts = {folder: given.rows(folder, rejected=True) for folder in (TRAIN, HELD_OUT, REJECTED)}
        total = given.manifest.rows_in
        size = _size(parts)
        stage = functools.partial(_Embed, parts, size, work.inputs[teacher.name].files(), parents)
        spread({work.name: work}, {work.name: total}, size, stage, pool, TRAIN)
        return total

    return Step(name, {}, run, (teacher, data), estimate=NOBODY_KNOWS)


def _size(parts: dict[str, Rows]) -> int:
    """How many rows a part of the tokens was given: of all its folders together."""
    return sum(_counts(rows)[0] for rows in parts.values())


def _counts(rows: Rows) -> list[int]:
    return [end - (rows.ends[i - 1] if i else 0) for i, end in enumerate(rows.ends)]


class _Embed:
    def __init__(
        self, parts: dict[str, Rows], _size: int, teacher: Files, parents: Parents, placed: Placed
    ) -> None:
        import torch

        from xlnu.stack.artefact import load

        torch.set_num_threads(placed.threads)
        self.parts = parts
        self.device = "cuda" if placed.gpus else "cpu"
        opened: Any = load(str(teacher.local()), **parents.folders())
        self.model: Any = opened.to(self.device)

    def __call__(self, _step: str, part: Part) -> tuple[dict[str, pa.Table], int]:
        made, tokens = dict[str, pa.Table](), 0
        for folder in (REJECTED, HELD_OUT, TRAIN):
            rows = self.parts[folder]
            given = read_part(
                rows.store, rows.paths[part.index], ["id", "reject", "content", "llm_ids", "llm_groups"]
            )
            made[folder] = self._embedded(given.to_pylist())
            tokens += sum(map(len, given["llm_ids"].to_pylist()))
        return made, tokens

    def _embedded(self, given: list[dict[str, Any]]) -> pa.Table:
        import torch

        from xlnu.stack.inputs import Tokens, batches, padded

        found = [np.empty(0, np.float16)] * len(given)
        live = [i for i, row in enumerate(given) if row["reject"] is None]
        for some in batches([len(given[i]["llm_ids"]) for i in live], BATCH_TOKENS):
            rows = [live[i] for i in some]
            tokens = [Tokens(given[i]["llm_ids"], given[i]["llm_groups"]) for i in rows]
            with torch.no_grad():
                said = self.model(*padded(tokens, 0, self.device))
            for at, i in enumerate(rows):
                groups = max(tokens[at].groups) or 1
                found[i] = said.pooled[at, :groups].flatten().cpu().numpy().astype(np.float16)
        made = [
            {"id": row["id"], "reject": row["reject"], "content": row["content"], "embedding": found[i]}
            for i, row in enumerate(given)
        ]
        return pa.Table.from_pylist(made, schema=EMBEDDINGS)
