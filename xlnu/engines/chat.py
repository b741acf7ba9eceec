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


def user_turn(instruction: str, about: str) -> str:
    """An instruction and what it is about, as one message."""
    return f"{instruction}\n{about}" if about else instruction


def question(system: str | None, instruction: str, about: str, seed: int) -> Question:
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": user_turn(instruction, about)})
    return Question(tuple(messages), seed, (instruction, about))


def render(tokenizer: Any, questions: Sequence[Question]) -> list[list[int]]:
    if tokenizer.chat_template:
        chats = [list(one.messages) for one in questions]
        texts = tokenizer.apply_chat_template(chats, tokenize=False, add_generation_prompt=True)
        ids: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]  # the template has them
        return ids
    return list(tokenizer([_alpaca(one) for one in questions])["input_ids"])


def _alpaca(one: Question) -> str:
    instruction, about = one.parts or (one.messages[-1]["content"], "")
    if one.messages[0]["role"] == "system":
        instruction = f"{one.messages[0]['content']}\n{instruction}"
    return (_ALPACA_INPUT if about else _ALPACA).format_map({"instruction": instruction, "input": about})


def ends(model: str, tokenizer: Any) -> list[int]:
    """The tokens that end an answer: chat models have more than the tokenizer names (<|eot_id|> beside </s>)."""
    from transformers import GenerationConfig

    try:
        found = GenerationConfig.from_pretrained(model).eos_token_id
    except OSError:  # a checkpoint without the file
        found = None
    named = [found] if isinstance(found, int) else list(found or [])
    return sorted({*named, tokenizer.eos_token_id} - {None})
