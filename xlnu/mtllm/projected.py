"""Labels of words across a translation, as TransAlign does it: onto training sentences that were translated into a
language, and back from tests that were translated into the source language and answered there.

A sentence is put together of its words, translated, and cut into words again. The encoder of what translates reads
both, and words whose states pick each other out stand for each other (see xlnu.stack.project). A span none of whose
words has a counterpart is lost, the sentence stays; `dropped` counts such spans.

A translation's words: where spaces set words apart, runs of letters and digits, with hyphens and apostrophes
inside; in scripts without spaces between words, characters; and any other character by itself.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import regex

from xlnu.cluster.pools import Placed
from xlnu.config import setting
from xlnu.engines.checkpoint import Checkpoint
from xlnu.engines.framing import framing
from xlnu.errors import UserError
from xlnu.evaluate.spans import are_of_spans, spans
from xlnu.mtllm.schemas import EXAMPLES
from xlnu.mtllm.tasks import Task
from xlnu.transfer.protect import UNSPACED
from xlnu.transfer.translate import Way

if TYPE_CHECKING:
    from torch import Tensor

PROJECTED = pa.schema(
    [
        *EXAMPLES,
        pa.field(
            "links",
            pa.list_(pa.list_(pa.int32())),
            metadata={"meaning": "of each word that was translated, which words of the translation stand for it"},
        ),
        pa.field("dropped", pa.int32(), metadata={"meaning": "spans of gold that no word of the translation has"}),
    ]
)

_LETTER = rf"[\p{{L}}\p{{M}}\p{{N}}--[{UNSPACED}]]"
_WORD = regex.compile(
    rf"""(?V1)
      [{UNSPACED}]\p{{M}}*
    | {_LETTER}+(?:[-‐‑'’ʼ·\u200c\u200d]{_LETTER}+|(?<=\p{{N}})[.,:/](?=\p{{N}}){_LETTER}+)*
    | \S
    """,
    regex.VERBOSE,
)
_TIGHT = re.compile(rf" (?=[.,;:!?%…)\]}}»”،؛؟۔।॥])|(?<=[(\[{{«“¿¡]) |(?<=[{UNSPACED}]) (?=[{UNSPACED}])")


@dataclass
class ProjectConfig:
    """How labels of words get from a sentence to its translation."""

    threshold: float = setting(
        1e-3, "words stand for each other where softmax makes each that likely as the other's; the published 1e-3 "
        "is for states as wide as NLLB's", above=0, at_most=1,
    )  # fmt: skip


@dataclass(frozen=True)
class Words:
    """What is needed to translate a task's sentences with their labels. It pickles."""

    labels: tuple[str, ...]
    threshold: float
    checkpoint: Checkpoint  # of what translates

    def open(self, placed: Placed) -> "Aligner":
        return Aligner(self, placed)


def words_of(task: Task, config: ProjectConfig, checkpoint: Checkpoint | None) -> Words | None:
    """None for a task whose labels are of whole texts."""
    if task.kind != "tokens":
        return None
    if not are_of_spans(task.labels):
        raise UserError(
            f"modes: {task.name}: labels of words are carried over a translation as spans, so each must be O, "
            f"B-... or I-..., and there are {', '.join(task.labels)}: leave out translate_test, translate_train "
            "and ensemble"
        )
    assert checkpoint is not None
    return Words(task.labels, config.threshold, checkpoint)


def together(words: Sequence[str]) -> str:
    """A text as people write it: no space before a comma, and none in Chinese."""
    return _TIGHT.sub("", " ".join(words))


def apart(text: str) -> list[str]:
    found: list[str] = _WORD.findall(text)
    return found


class Aligner:
    def __init__(self, words: Words, placed: Placed) -> None:
        import torch
        from transformers import AutoTokenizer

        from xlnu.stack import parents

        folder = words.checkpoint.local()
        self.labels, self.threshold = words.labels, words.threshold
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)  # type: ignore[no-untyped-call]
        if not self.tokenizer.is_fast:
            raise UserError(
                f"translator.model: {words.checkpoint.name}: its tokenizer does not say of which word a token is, "
                "so labels of words cannot be carried over: take another model, as NLLB"
            )
        self.framing = framing(self.tokenizer, words.checkpoint.name)
        self.encoder: Any = parents.encoder(folder, torch.float32).to("cuda" if placed.gpus else "cpu")

    def carried(
        self, rows: Sequence[dict[str, Any]], translations: Sequence[str], way: Way, *, into: bool
    ) -> list[dict[str, Any]]:
        """What becomes of each row: its words, and `into` a language its labels. Where nothing was translated the
        words stay.
        """
        from xlnu.stack.project import align_words, project

        given = [row["segments"] for row in rows]
        said = [apart(text) or words for text, words in zip(translations, given, strict=True)]
        made = list[dict[str, Any]]()
        sides = self._read(given, way, way.source), self._read(said, way, way.target)
        for row, words, one, other in zip(rows, said, *sides, strict=True):
            alignment = align_words(one, other, self.threshold).cpu()
            links = [each.nonzero().flatten().tolist() for each in alignment]
            gold, dropped = row["gold"], 0
            if into:
                tags, dropped = project([self.labels[int(label)] for label in gold], alignment)
                gold = [float(_number(tag, self.labels)) for tag in tags]
            made.append({"segments": words, "gold": gold, "links": links, "dropped": dropped})
        return made

    def _read(self, sentences: Sequence[Sequence[str]], way: Way, language: Any) -> Any:
        from xlnu.stack.project import piece_states

        told = way.target if self.framing.family == "madlad" else language  # it is told the target, in any text
        code = self.tokenizer.convert_tokens_to_ids(self.framing.code(told))
        return piece_states(self.encoder, self.tokenizer, code, sentences)


def back(
    logits: "np.ndarray[Any, Any]", labels: Sequence[str], links: Sequence[Sequence[int]], words: int
) -> tuple[list[float], "np.ndarray[Any, Any]"]:
    """The label of each word that was translated, and its logits, by what was said of its translation's `words`.

    Logits go with spans, as published: a span's first word has those of the span's first word there, the others
    have those of its last, B- and I- exchanged where that is needed. A word in no span has zeros: nothing is known
    of it here, so that in an ensemble the other side decides.
    """
    from xlnu.stack.project import project

    tags = [labels[best] for best in logits.argmax(-1)]
    found = [*spans(tags)]
    numbered = ["O"] * len(tags)
    for number, (_, start, stop) in enumerate(found):  # a span's number for its kind, to know it again
        numbered[start:stop] = [f"B-{number}", *[f"I-{number}"] * (stop - start - 1)]
    projected, _ = project(numbered, _alignment(links, words))
    said, told = list[float](), np.zeros((len(links), len(labels)), dtype=np.float32)
    for at, tag in enumerate(projected):
        label = "O"
        if tag != "O":
            kind, start, stop = found[int(tag[2:])]
            label = f"{tag[:2]}{kind}"
            if label in labels:
                told[at] = _as(labels.index(label), logits[start if tag[0] == "B" else stop - 1])
        said.append(float(_number(label, labels)))
    return said, told


def _alignment(links: Sequence[Sequence[int]], words: int) -> "Tensor":
    import torch

    found = torch.zeros(words, len(links), dtype=torch.bool)
    for at, some in enumerate(links):
        found[list(some), at] = True
    return found


def _number(tag: str, labels: Sequence[str]) -> int:
    """A kind all of whose spans are of one word has no I-: a translation's further words are then not in it."""
    return labels.index(tag if tag in labels else "O")


def _as(label: int, logits: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """With the label and what is likeliest exchanged."""
    found, best = logits.copy(), int(logits.argmax())
    found[[label, best]] = found[[best, label]]
    return found
