"""A trained stack at work: texts in, pooled states and answers out, in any mixture of languages and lengths.

Texts of all languages are computed together, sorted by length, so that there is hardly any padding. One that is
longer than the stack was trained for is read in windows, each of whole sentences, and their pooled states are
averaged by the tokens in them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xlnu.languages import Language
from xlnu.stack.artefact import load, place
from xlnu.stack.inputs import Reader, Segments, Tokens, batches, padded
from xlnu.stack.model import StackModel
from xlnu.stack.parents import folder_of as folder_of_parent
from xlnu.transfer.segment import split

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

    @property
    def at_once(self) -> int:
        """The tokens of a batch where the model is now."""
        on_processors = next(self.model.parameters()).device.type == "cpu"
        return min(self.batch_tokens, PROCESSORS_TOKENS) if on_processors else self.batch_tokens

    @torch.no_grad()
    def read(self, examples: Sequence[Segments], languages: Sequence[Language | str]) -> list[Answer]:
        """An entry each, in their order."""
        windows, of = list[Tokens](), list[int]()
        for number, made in enumerate(self._windows(examples, languages)):
            windows += made
            of += [number] * len(made)
        texts = None
        if self.text:  # a text of several windows stands behind each of them, as far as it fits
            whole = self.text.read(examples, languages)
            texts = [_shortened(whole[number], self.config.length) for number in of]
        said = self._pooled(windows, texts)
        by_example: list[list[int]] = [[] for _ in examples]
        for at, number in enumerate(of):
            by_example[number].append(at)
        return [self._answer([said[i] for i in some], [windows[i] for i in some]) for some in by_example]

    def _pooled(self, windows: Sequence[Tokens], texts: Sequence[Tokens] | None) -> list[Tensor]:
        found = [torch.empty(0)] * len(windows)
        device = next(self.model.parameters()).device
        for some in batches([len(one.ids) for one in windows], self.at_once):
            made: tuple[Tensor, ...] = padded([windows[i] for i in some], self.reader.pad, device)
            if self.text and texts:
                made = (*made, *padded([texts[i] for i in some], self.text.pad, device))
            pooled = self.model(*made).pooled.cpu()
            for row, i in enumerate(some):
                count = windows[i].count
                some_of = pooled[row, :count]
                found[i] = torch.nn.functional.pad(some_of, (0, 0, 0, count - len(some_of)))
        return found

    def _answer(self, pooled: Sequence[Tensor], windows: Sequence[Tokens]) -> Answer:
        tokens = sum(len(one.ids) for one in windows)
        if self.config.task == "tokens":
            whole = torch.cat(list(pooled))
        else:
            most = max(len(one) for one in pooled)
            weights = torch.tensor([float(len(one.ids)) for one in windows])
            wide = torch.stack([torch.nn.functional.pad(one, (0, 0, 0, most - len(one))) for one in pooled])
            whole = (wide * (weights / weights.sum())[:, None, None]).sum(0)
        return Answer(whole, self._logits(whole), tokens)

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

    def _windows(self, examples: Sequence[Segments], languages: Sequence[Language | str]) -> list[list[Tokens]]:
        whole = self.reader.read(examples, languages)
        return [
            [one] if len(one.ids) <= self.config.length else self._cut(segments, language, one)
            for one, segments, language in zip(whole, examples, languages, strict=True)
        ]

    def _cut(self, segments: Segments, language: Language | str, whole: Tokens) -> list[Tokens]:
        """Windows of the first text (of a passage, or of words), each with all that follows it."""
        if self.config.task == "tokens":
            return self._grown([[word] for word in segments], [], language, whole)
        from xlnu.languages import resolve

        known = language if isinstance(language, Language) else resolve(language)
        pieces = split(segments[0], known)
        sentences = ["".join(pieces[i : i + 2]) for i in range(1, len(pieces), 2)]
        sentences[:1] = [pieces[0] + one for one in sentences[:1]]
        return self._grown([[one] for one in sentences], list(segments[1:]), language, whole)

    def _grown(
        self, units: list[list[str]], rest: list[str], language: Language | str, whole: Tokens
    ) -> list[Tokens]:
        """Runs of units that fit; one that alone does not is cut at its end, and what follows it stays."""
        words, found, at = self.config.task == "tokens", list[Tokens](), 0
        while at < len(units):
            low, high = 1, len(units) - at
            while low < high:
                middle = (low + high + 1) // 2
                fits = len(self._of(units[at : at + middle], rest, language, words).ids) <= self.config.length
                low, high = (middle, high) if fits else (low, middle - 1)
            made = self._of(units[at : at + low], rest, language, words)
            if rest and len(made.ids) > self.config.length:
                made = self._of([[self._head(units[at][0], rest, language)]], rest, language, words)
            found.append(_shortened(made, self.config.length))
            at += low
        return found or [_shortened(whole, self.config.length)]

    def _head(self, text: str, rest: list[str], language: Language | str) -> str:
        """As much of a text as fits with what follows."""
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            fits = len(self._of([[text[:middle]]], rest, language, False).ids) <= self.config.length
            low, high = (middle, high) if fits else (low, middle - 1)
        return text[:low]

    def _of(self, units: list[list[str]], rest: list[str], language: Language | str, words: bool) -> Tokens:
        flat = [one for unit in units for one in unit]
        return self.reader.read([flat if words else ["".join(flat), *rest]], [language])[0]


def _shortened(tokens: Tokens, length: int) -> Tokens:
    """The last one stays: it is </s>."""
    if len(tokens.ids) <= length:
        return tokens
    keep = length - 1
    groups = [*tokens.groups[:keep], tokens.groups[-1]]
    return Tokens([*tokens.ids[:keep], tokens.ids[-1]], groups, tokens.count)
