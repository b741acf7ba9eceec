"""A trained stack at work: texts in, pooled states and answers out, in any mixture of languages and lengths.

Texts of all languages are computed together, sorted by length, so that there is hardly any padding. One that is
longer than the stack was trained for is read in windows (windows.py), and their pooled states are averaged by the
tokens in them.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xlnu.languages import Language
from xlnu.stack.artefact import load, place
from xlnu.stack.inputs import Reader, Segments, batches, padded
from xlnu.stack.model import StackModel
from xlnu.stack.parents import folder_of as folder_of_parent
from xlnu.stack.windows import Window, Windows

BATCH_TOKENS = 8192
OUTSIDE = "O"  # the label of words in no span
PROCESSORS_TOKENS = 512  # as fast a token as 8192 are, and less of them is padding; see bench/stacking.py


@dataclass(frozen=True)
class Answer:
    """`pooled` [groups, width]; `logits` by the task: [labels], [choices], [1], or [words, labels]."""

    pooled: Tensor
    logits: Tensor
    tokens: int


class Predictor:
    """A stack, and the tokenizer it reads with."""

    def __init__(
        self, model: StackModel, reader: Reader, batch_tokens: int = BATCH_TOKENS, text: Reader | None = None
    ) -> None:
        """`text`: of the LLM's own tokens, where it reads these as well."""
        model.eval()  # type: ignore[no-untyped-call]
        self.model, self.reader, self.batch_tokens, self.text = model, reader, batch_tokens, text
        self.config: Any = reader.config
        self.windows = Windows(reader, text)

    @classmethod
    def open(
        cls, folder: str, *, device: str = "cpu", batch_tokens: int = BATCH_TOKENS, **parents: Any
    ) -> "Predictor":
        """`encoder`, `llm`: where the parents lie, if not where they were."""
        from transformers import AutoTokenizer

        model: Any = load(folder, **parents)
        model.to(device)
        own: Path = place(folder)
        tokenizer: Any = AutoTokenizer.from_pretrained(own)  # type: ignore[no-untyped-call]
        part: Any = "llm" if model.config.view == "llm" else "encoder"
        text = None
        if model.config.view == "dual":
            folder_of = folder_of_parent("llm", model.config, own, parents.get("llm"))
            theirs: Any = AutoTokenizer.from_pretrained(folder_of)  # type: ignore[no-untyped-call]
            text = Reader(theirs, model.config, "llm", folder_of)
        return cls(model, Reader(tokenizer, model.config, part, str(own)), batch_tokens, text)

    def as_text(self) -> "Predictor":
        """The same model, which pools all of a text into one state, whatever its head would answer."""
        config = copy.deepcopy(self.config)
        config.task = None
        reader, text = copy.copy(self.reader), copy.copy(self.text)
        reader.config = config
        if text:
            text.config = config
        return Predictor(self.model, reader, self.batch_tokens, text)

    @property
    def at_once(self) -> int:
        """The tokens of a batch where the model is now."""
        on_processors = next(self.model.parameters()).device.type == "cpu"
        return min(self.batch_tokens, PROCESSORS_TOKENS) if on_processors else self.batch_tokens

    def read(self, examples: Sequence[Segments], languages: Sequence[Language | str]) -> list[Answer]:
        """An entry each, in their order."""
        windows = self.windows.of(examples, languages)
        said = iter(self.pooled([one for some in windows for one in some]))
        return [self.answer([next(said) for _ in some], some) for some in windows]

    @torch.no_grad()
    def pooled(self, windows: Sequence[Window]) -> list[Tensor]:
        """Of each window what its groups are pooled into [groups, width]."""
        found = [torch.empty(0)] * len(windows)
        device = next(self.model.parameters()).device
        for some in batches([len(one.tokens.ids) for one in windows], self.at_once):
            made: tuple[Tensor, ...] = padded([windows[i].tokens for i in some], self.reader.pad, device)
            if self.text:
                texts = [text for i in some if (text := windows[i].text)]
                made = (*made, *padded(texts, self.text.pad, device))
            pooled = self.model(*made).pooled.cpu()
            for row, i in enumerate(some):
                count = windows[i].tokens.count
                some_of = pooled[row, :count]
                found[i] = torch.nn.functional.pad(some_of, (0, 0, 0, count - len(some_of)))
        return found

    @torch.no_grad()
    def answer(self, pooled: Sequence[Tensor], windows: Sequence[Window]) -> Answer:
        """Of the windows of one example."""
        counts = [len(one.tokens.ids) for one in windows]
        if self.config.task == "tokens":
            whole = torch.cat(list(pooled))
        else:
            most = max(len(one) for one in pooled)
            weights = torch.tensor(counts, dtype=torch.float32)
            wide = torch.stack([torch.nn.functional.pad(one, (0, 0, 0, most - len(one))) for one in pooled])
            whole = (wide * (weights / weights.sum())[:, None, None]).sum(0)
        return Answer(whole, self._logits(whole), sum(counts))

    def _logits(self, whole: Tensor) -> Tensor:
        if not self.config.task:
            return torch.empty(0)
        head = self.model.head.weight
        there = whole.abs().sum(-1) > 0
        said = self.model.answer(whole[None].to(head.device), there[None].to(head.device))
        assert said is not None
        logits = said[0].cpu()
        if self.config.task == "tokens" and OUTSIDE in (self.config.labels or ()):
            logits[~there, self.config.labels.index(OUTSIDE)] = (
                1.0  # a word of which nothing was read is in no span
            )
        return logits if self.config.task in ("choice", "tokens", "regression") else logits[0]
