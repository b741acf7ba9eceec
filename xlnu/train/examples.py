"""Chats as what a causal LLM learns from: token ids, and how many of them are the prompt's.

A prompt is tokenized by itself, by what tokenizes it at generation: these are the tokens an answer has to follow.
In one string with its answer the border may move: Alpaca's prompt ends in ":", and ":-" may be one token.

An answer is tokenized behind the end of a prompt. By itself it would begin with a space in tokenizers of Llama 2's
kind, and the model would learn to say it. Only where the border moves, it is tokenized by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xlnu.engines.base import Message, Question
from xlnu.engines.chat import render
from xlnu.errors import UserError

TOO_LONG, EMPTY, SPECIAL = "too long", "answer: empty", "answer: special token"
_WORD = "Xyzzy"  # stands in no template


@dataclass(frozen=True)
class Example:
    """The first `prompt` ids are not learned; the last one ends the answer. With `reject`, none is to be."""

    ids: list[int]
    prompt: int
    reject: str | None = None


@dataclass(frozen=True)
class _Turn:
    """How a model's template frames an answer."""

    prompt: str  # a short one; all end alike
    space: str  # between prompt and answer
    end: int


def encode(tokenizer: Any, chats: Sequence[Sequence[Message]], ends: Sequence[int], length: int) -> list[Example]:
    """An example of each chat: its last turn is learned, what was said before is the prompt. `ends`: see chat.ends.

    What is longer than `length` is rejected whole: an answer that is cut would teach not to end. So is one that
    spells a special token, as </s> in a text about HTML: it would teach to end there.
    """
    assert all(len(chat) > 1 and chat[-1]["role"] == "assistant" for chat in chats)
    turn = _turn(tokenizer, ends)
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special} - {tokenizer.unk_token_id}
    prompts = render(tokenizer, [Question(tuple(chat[:-1]), 0) for chat in chats]) if chats else []
    answers = _answers(tokenizer, turn, [chat[-1]["content"].strip() for chat in chats])
    return [_example(p, a, turn.end, special.union(ends), length) for p, a in zip(prompts, answers, strict=True)]


def _example(prompt: list[int], answer: list[int], end: int, special: set[int], length: int) -> Example:
    assert prompt
    reject = None
    if not answer:
        reject = EMPTY
    elif not special.isdisjoint(answer):
        reject = SPECIAL
    elif len(prompt) + len(answer) + 1 > length:
        reject = TOO_LONG
    return Example([], 0, reject) if reject else Example([*prompt, *answer, end], len(prompt))


def _turn(tokenizer: Any, ends: Sequence[int]) -> _Turn:
    """Seen from what the template makes of a short chat.

    The end is the one that the template itself writes, if generation stops there. Of what it writes before an
    answer, only space is learned: a template may put thoughts there, or take the generation prompt's away.
    """
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else next(iter(ends), None)
    if end is None:
        raise UserError(
            f"{tokenizer.name_or_path}: nothing says which token ends an answer; "
            "set eos_token in its tokenizer_config.json, or eos_token_id in its generation_config.json"
        )
    if not tokenizer.chat_template:
        return _Turn("### Response:", "", end)  # Alpaca's: see engines.chat
    asked = [{"role": "user", "content": "a"}]
    prompt = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template([*asked, {"role": "assistant", "content": _WORD}], tokenize=False)
    behind = tokenizer(whole.rpartition(_WORD)[2], add_special_tokens=False)["input_ids"]
    before = whole.removeprefix(prompt).partition(_WORD)[0]
    return _Turn(prompt, before if before.isspace() else "", next((i for i in behind if i in ends), end))


def _answers(tokenizer: Any, turn: _Turn, answers: Sequence[str]) -> list[list[int]]:
    def ids(texts: list[str]) -> list[list[int]]:
        return tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []

    (prompt,) = ids([turn.prompt])
    found: list[list[int]] = []
    for answer, whole in zip(answers, ids([turn.prompt + turn.space + answer for answer in answers]), strict=True):
        if not answer:
            found.append([])
        elif whole[: len(prompt)] == prompt:
            found.append(whole[len(prompt) :])
        else:
            found += ids([turn.space + answer])
    return found
