"""What an LLM is asked, as its tokens: by the model's own chat template, or Alpaca's if it has none."""

from collections.abc import Sequence
from typing import Any

from xlnu.engines.base import Message, Question

# Stanford Alpaca's prompts, to the letter: models tuned on them know no others.
_ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request."
    "\n\n### Instruction:\n{instruction}\n\n### Response:"
)
_ALPACA_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request."
    "\n\n### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:"
)


# Llama 3.2's template writes today's date unless it is told one, and answers would depend on it. Llama 3.1's own:
DAY = {"date_string": "26 Jul 2024"}


def user_turn(instruction: str, about: str) -> str:
    """An instruction and what it is about, as one message."""
    return f"{instruction}\n{about}" if about else instruction


def question(system: str | None, instruction: str, about: str, seed: int) -> Question:
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": user_turn(instruction, about)})
    return Question(tuple(messages), seed, (instruction, about))


def render(tokenizer: Any, questions: Sequence[Question]) -> list[list[int]]:
    if tokenizer.chat_template:
        chats = fitting(tokenizer, [one.messages for one in questions])
        texts = tokenizer.apply_chat_template(chats, tokenize=False, add_generation_prompt=True, **DAY)
        ids: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]  # the template has them
        return ids
    return list(tokenizer([_alpaca(one) for one in questions])["input_ids"])


def fitting(tokenizer: Any, chats: Sequence[Sequence[Message]]) -> list[list[Message]]:
    """The chats as the model's template takes them. Gemma's refuses system messages: there, what one says stands
    before the first question.
    """
    from jinja2 import TemplateError

    try:
        probe: list[Message] = [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]
        tokenizer.apply_chat_template(probe, tokenize=False)
    except TemplateError:
        return [_folded(chat) for chat in chats]
    return [list(chat) for chat in chats]


def _folded(chat: Sequence[Message]) -> list[Message]:
    if chat[0]["role"] != "system" or len(chat) < 2:
        return list(chat)
    system, first, *rest = chat
    return [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *rest]


def _alpaca(one: Question) -> str:
    """Alpaca knows one turn: what was said before stands before it, turn by turn."""
    system = f"{one.messages[0]['content']}\n" if one.messages[0]["role"] == "system" else ""
    *said, last = (message["content"] for message in one.messages if message["role"] != "system")
    turns = [(asked, "", f"{answered}\n\n") for asked, answered in zip(said[::2], said[1::2], strict=True)]
    turns.append((*(one.parts or (last, "")), ""))
    turns[0] = (system + turns[0][0], *turns[0][1:])
    return "".join(
        (_ALPACA_INPUT if about else _ALPACA).format_map({"instruction": instruction, "input": about}) + answer
        for instruction, about, answer in turns
    )


def ends(model: str, tokenizer: Any) -> list[int]:
    """The tokens that end an answer: chat models have more than the tokenizer names (<|eot_id|> beside </s>)."""
    from transformers import GenerationConfig

    try:
        found = GenerationConfig.from_pretrained(model).eos_token_id
    except OSError:  # a checkpoint without the file
        found = None
    named = [found] if isinstance(found, int) else list(found or [])
    return sorted({*named, tokenizer.eos_token_id} - {None})
