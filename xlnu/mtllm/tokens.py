"""Text as tokens of both tokenizers, once, for all that is trained on it; and the step `task_tokens`."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from xlnu.cluster.pools import ONE_CORE, Placed
from xlnu.evaluate.benchmarks.items import Kind as Task
from xlnu.languages import Language
from xlnu.mtllm.estimate import together
from xlnu.mtllm.parts import Parents, StackSettings, reading, stack_config
from xlnu.mtllm.schemas import HELD_OUT, REJECTED, TOKENS, TRAIN
from xlnu.rows import row_id
from xlnu.spread import spread
from xlnu.steps import Part, Rows, Step, Work

ROWS_PER_PART = 4096


@dataclass(frozen=True)
class Readers:
    """Of the encoder and of the LLM."""

    encoder: Any
    llm: Any

    def read(
        self, segments: Sequence[Sequence[str]], languages: Sequence[Any], for_llm: Sequence[Sequence[str]]
    ) -> dict[str, list[Any]]:
        return {
            "encoder": self.encoder.read(segments, languages),
            "llm": self.llm.read(for_llm, languages),
        }

    def sizes(self, segments: Sequence[Sequence[str]], languages: Sequence[Any]) -> list[int]:
        """By the tokenizer that makes more of it."""
        made = self.read(segments, languages, segments)
        return [max(len(a.ids), len(b.ids)) for a, b in zip(made["encoder"], made["llm"], strict=True)]


def readers(config: Any, folders: dict[str, str]) -> Readers:
    from transformers import AutoTokenizer

    from xlnu.stack.inputs import Reader

    opened: dict[str, Any] = {
        part: AutoTokenizer.from_pretrained(folder)  # type: ignore[no-untyped-call]
        for part, folder in folders.items()
    }
    return Readers(
        Reader(opened["encoder"], config, "encoder", folders["encoder"]),
        Reader(opened["llm"], config, "llm", folders["llm"]),
    )


def row(
    name: str, language: str, reject: str | None, content: str = "", gold: Sequence[float] = ()
) -> dict[str, Any]:
    """Of TOKENS, without tokens."""
    columns = (f"{part}_{what}" for part in ("encoder", "llm") for what in ("ids", "groups", "at"))
    empty: dict[str, Any] = {column: list[int]() for column in columns}
    return {"id": name, "reject": reject, "language": language, "content": content, "gold": list(gold)} | empty


def task_step(
    name: str,
    examples: Sequence[Step],
    kind: Task,
    settings: StackSettings,
    parents: Parents,
    languages: Sequence[Language],
) -> Step:
    """The training and validation examples of steps with EXAMPLES."""

    def run(work: Work) -> int:
        rows = Rows.joined([work.inputs[step.name].rows() for step in examples])
        stage = functools.partial(_Tokens, rows, kind, settings, parents, {one.label: one for one in languages})
        spread({work.name: work}, {work.name: len(rows)}, ROWS_PER_PART, stage, ONE_CORE, TRAIN)
        return len(rows)

    made = {**parents.identity, **reading(settings), "kind": kind}
    return Step(name, made, run, tuple(examples), estimate=together(examples))


class _Tokens:
    def __init__(
        self,
        rows: Rows,
        kind: Task,
        settings: StackSettings,
        parents: Parents,
        languages: dict[str, Language],
        _placed: Placed,
    ) -> None:
        self.rows, self.length, self.languages = rows, settings.length, languages
        config = stack_config(settings, parents, task=kind)
        self.readers = readers(config, parents.folders())

    def __call__(self, _step: str, part: Part) -> tuple[dict[str, pa.Table], int]:
        given = self.rows.read(part.start, part.stop).to_pylist()
        segments = [one["segments"] for one in given]
        read = self.readers.read(segments, [self.languages[one["language"]] for one in given], segments)
        found: dict[str, list[dict[str, Any]]] = {REJECTED: [], HELD_OUT: [], TRAIN: []}
        for one, ours, theirs in zip(given, read["encoder"], read["llm"], strict=True):
            content = row_id(*one["segments"])
            longest = max(len(ours.ids), len(theirs.ids))
            why = f"longer than {self.length} tokens" if longest > self.length else None
            folder = REJECTED if why else HELD_OUT if one["split"] == "validation" else TRAIN
            made = row(one["id"], one["language"], why, content, one["gold"])
            if not why:
                made |= {"encoder_ids": ours.ids, "encoder_groups": ours.groups}
                made |= {"llm_ids": theirs.ids, "llm_groups": theirs.groups}
            found[folder].append(made)
        tokens = sum(len(one["encoder_ids"]) for some in found.values() for one in some)
        return {name: pa.Table.from_pylist(some, schema=TOKENS) for name, some in found.items()}, tokens
