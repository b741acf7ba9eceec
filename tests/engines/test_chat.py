from transformers import PreTrainedTokenizerFast

from xlnu.engines.chat import question, render
from xlnu.tiny.build import Built


def opened(tiny: Built) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast.from_pretrained(tiny.llm)  # type: ignore[no-any-return]


def test_a_chat_template_is_used_where_there_is_one(tiny: Built) -> None:
    tokenizer = opened(tiny)
    (ids,) = render(tokenizer, [question(None, "who is it?", "the old man", 0)])
    text = tokenizer.decode(ids)
    assert text.count("<s>") == 1
    assert "<|user|>" in text
    assert "who is it?" in text
    assert "the old man" in text
    assert text.endswith("<|assistant|>")


def test_without_one_the_prompt_is_alpacas(tiny: Built) -> None:
    tokenizer = opened(tiny)
    tokenizer.chat_template = None
    asked = [question(None, "Say {x}.", "", 0), question("Be kind.", "Say it.", "a cat", 0)]
    plain, full = (tokenizer.decode(ids) for ids in render(tokenizer, asked))
    squeezed = [" ".join(text.split()) for text in (plain, full)]
    assert "Below is an instruction that describes a task. Write a response" in squeezed[0]
    assert "{x}" in squeezed[0]
    assert "Input" not in squeezed[0]
    assert "### Instruction: Be kind. Say it. ### Input: a cat ### Response:" in squeezed[1]
