"""Texts as token ids for the encoder or for the LLM, with what each token is pooled into.

The segments of an example are put together as the configuration says (a pair with its separator, a question with
its numbered choices), tokenised once, and a token belongs to the segment whose characters it holds.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from xlnu.engines.framing import framing
from xlnu.errors import UserError
from xlnu.languages import Language, declare, is_private, resolve
from xlnu.stack.config import StackConfig

Segments = Sequence[str]
Span = tuple[int, int]


@dataclass(frozen=True)
class Tokens:
    """`groups`: of each token the number of what it is pooled into, from 1; 0: nothing. `count`: how many groups
    were asked for, of which the last may have no token.
    """

    ids: list[int]
    groups: list[int]
    count: int = 1


def put_together(segments: Segments, config: StackConfig) -> tuple[str, list[Span]]:
    """The text that is read, and where in it lies what is pooled: all of it, or each choice, or each word."""
    if config.task == "choice":
        text, spans = config.separator.join(one for one in segments[:2] if one), list[Span]()
        for number, choice in enumerate(segments[2:], 1):
            before, after = config.option.replace("{number}", str(number)).split("{text}")
            text += before
            spans.append((len(text), len(text) + len(choice)))
            text += choice + after
        return text, spans
    if config.task == "tokens":
        text, spans = "", list[Span]()
        for word in segments:
            text += " " if text else ""
            spans.append((len(text), len(text) + len(word)))
            text += word
        return text, spans
    text = config.separator.join(segments)
    return text, [(0, len(text))]


class Reader:
    """One tokenizer: what it makes of texts, and what stands around them."""

    def __init__(self, tokenizer: Any, config: StackConfig, part: Literal["encoder", "llm"], name: str) -> None:
        self.tokenizer, self.config, self.part = tokenizer, config, part
        self.pad: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        self.framing: Any = None
        self._begins: dict[str, list[int]] = {}
        if part == "llm":
            self._begin, self._end = _around(tokenizer)
            return
        self._begin, self._end = [], [tokenizer.eos_token_id]
        try:
            self.framing = framing(tokenizer, name)
        except UserError:  # mT5 and its like read any language without being told
            if config.code != "keep":
                raise UserError(
                    f"stack.code: {config.code}: {name} has no language codes; take keep, and there is none to keep"
                ) from None

    def language(self, named: Language | str) -> Language:
        """What a code means, if only to the encoder, as a made world's does."""
        if isinstance(named, Language):
            return named
        own = [declare(named, named)] if is_private(named) and named in getattr(self.framing, "known", ()) else []
        return resolve(named, own)

    def begin(self, language: Language | str) -> list[int]:
        """What stands before a text in a language; UserError where the encoder does not know the language."""
        if self.framing is None:
            return self._begin
        name = language.code if isinstance(language, Language) else language
        if name not in self._begins:
            self._begins[name] = [self.tokenizer.convert_tokens_to_ids(self._code(language))]
        return self._begins[name]

    def _code(self, language: Language | str) -> str:
        wanted = self.config.source if self.framing.family == "madlad" else language  # it is told the target
        if isinstance(wanted, str) and wanted in self.framing.known:
            return wanted  # as the encoder has it, though nobody else may know it
        found = wanted if isinstance(wanted, Language) else resolve(wanted)
        code: str | None = self.framing.code(found)
        if code is None:
            raise UserError(
                f"{found.label}: the encoder does not know this language; say which one that it knows it is to be "
                f"read as: '{found.code}->CODE'"
            )
        return code

    def read(self, examples: Sequence[Segments], languages: Sequence[Language | str]) -> list[Tokens]:
        """An entry each. The ids are all there are: who has a limit looks at their number."""
        made = [put_together(segments, self.config) for segments in examples]
        return [
            _framed(Tokens(ids, groups, len(spans)), self.begin(language), self._end, int(self.config.edges))
            for (ids, groups), (_, spans), language in zip(self._tokens(made), made, languages, strict=True)
        ]

    def _tokens(self, made: Sequence[tuple[str, list[Span]]]) -> Iterator[tuple[list[int], list[int]]]:
        if not made:
            return
        if not self.tokenizer.is_fast:  # it does not say where its tokens lie: what belongs apart is read apart
            yield from (self._pieces(text, spans) for text, spans in made)
            return
        found = self.tokenizer([text for text, _ in made], add_special_tokens=False, return_offsets_mapping=True)
        for ids, offsets, (_, spans) in zip(found["input_ids"], found["offset_mapping"], made, strict=True):
            yield ids, _belonging(offsets, spans)

    def _pieces(self, text: str, spans: Sequence[Span]) -> tuple[list[int], list[int]]:
        ids, groups, at = list[int](), list[int](), 0
        for number, (start, end) in enumerate(spans, 1):
            for part, group in ((text[at:start], 0), (text[start:end], number)):
                some = self.tokenizer.convert_tokens_to_ids(self.tokenizer.tokenize(part))
                ids, groups = ids + some, groups + [group] * len(some)
            at = end
        some = self.tokenizer.convert_tokens_to_ids(self.tokenizer.tokenize(text[at:]))
        return ids + some, groups + [0] * len(some)


def _around(tokenizer: Any) -> tuple[list[int], list[int]]:
    """What a tokenizer puts before and behind a text by itself."""
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    at = next(i for i in range(len(whole)) if whole[i : i + len(plain)] == plain)
    return whole[:at], whole[at + len(plain) :]


def _belonging(offsets: Sequence[Span], spans: Sequence[Span]) -> list[int]:
    if len(spans) == 1:
        return [1] * len(offsets)
    groups, at = list[int](), 0
    for start, end in offsets:
        while at < len(spans) and spans[at][1] <= start:
            at += 1
        groups.append(at + 1 if at < len(spans) and spans[at][0] < end and start < end else 0)
    return groups


def _framed(inner: Tokens, begin: list[int], end: list[int], around: int) -> Tokens:
    groups = [around] * len(begin) + inner.groups + [around] * len(end)
    return Tokens([*begin, *inner.ids, *end], groups, inner.count)


def same_tokens(ours: Any, theirs: Any, text: str) -> list[tuple[int, int]]:
    """Places of one tokenizer's tokens and of the other's that hold the same characters of a text; none where one
    does not say what its tokens hold.
    """
    if not (ours.is_fast and theirs.is_fast):
        return []
    one, other = (
        tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        for tokenizer in (ours, theirs)
    )
    ours_at, theirs_at = (_places(text, spans) for spans in (one, other))
    return [(at, theirs_at[span]) for span, at in ours_at.items() if span in theirs_at]


def _places(text: str, spans: Sequence[Span]) -> dict[Span, int]:
    """Of each stretch of text the one token that holds it; none of a character that is several tokens, as bytes."""
    shown = [_shown(text, span) for span in spans]
    counts = Counter(shown)
    return {span: at for at, span in enumerate(shown) if counts[span] == 1 and span[0] < span[1]}


def _shown(text: str, span: Span) -> Span:
    """Without the blank before a word, which some tokenizers count to it."""
    start, end = span
    while start < end and text[start].isspace():
        start += 1
    return start, end


def padded(
    rows: Sequence[Tokens], pad: int, device: torch.device | str = "cpu", side: Literal["left", "right"] = "right"
) -> tuple[Tensor, Tensor, Tensor]:
    """input_ids, attention_mask and groups of a batch."""
    width = max(len(one.ids) for one in rows)
    made = np.zeros((3, len(rows), width), dtype=np.int64)
    made[0] = pad
    for i, one in enumerate(rows):
        n = len(one.ids)
        place = slice(0, n) if side == "right" else slice(width - n, width)
        made[0, i, place], made[1, i, place], made[2, i, place] = one.ids, 1, one.groups
    ids, mask, groups = torch.from_numpy(made).to(device)
    return ids, mask, groups


def batches(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Numbers of the rows that make a batch of at most so many tokens, padding included: the longest first, so that
    there is hardly any, and what does not fit in memory fails at once.
    """
    some = list[int]()
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if some and (len(some) + 1) * lengths[some[0]] > tokens:
            yield some
            some = []
        some.append(i)
    if some:
        yield some
