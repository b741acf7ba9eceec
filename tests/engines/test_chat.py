import json
import shutil
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from xlnu.engines.base import Question
from xlnu.engines.chat import ends, question, render
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


def test_alpacas_prompt_keeps_what_was_said_before(tiny: Built) -> None:
    tokenizer = opened(tiny)
    tokenizer.chat_template = None
    said = (("user", "first question"), ("assistant", "first answer"), ("user", "second question"))
    chat = Question(tuple({"role": role, "content": text} for role, text in (("system", "be kind"), *said)), 0)
    (ids,) = render(tokenizer, [chat])
    text = " ".join(tokenizer.decode(ids).split())
    parts = ["be kind first question", "### Response:first answer", "second question ### Response:"]
    places = [text.find(part) for part in parts]
    assert -1 < places[0] < places[1] < places[2]
    assert text.endswith("### Response:")
    assert text.count("be kind") == 1


REFUSES = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"


def test_a_template_that_takes_no_system_message_gets_it_before_the_question(tiny: Built) -> None:
    tokenizer = opened(tiny)
    plain, with_system = question(None, "who is it?", "", 0), question("be kind", "who is it?", "", 0)
    before = render(tokenizer, [plain])
    tokenizer.chat_template = REFUSES + str(tokenizer.chat_template)
    (one, other) = render(tokenizer, [plain, with_system])
    assert [one] == before, "other rows are asked as ever"
    text = tokenizer.decode(other)
    assert "be kind" in text
    assert text.index("be kind") < text.index("who is it?")
    assert text.count("<|user|>") == 1


def test_a_prompt_does_not_depend_on_the_day(tiny: Built) -> None:
    tokenizer = opened(tiny)
    tokenizer.chat_template = "{{ date_string if date_string is defined else strftime_now('%d %b %Y') }} who ?"
    (ids,) = render(tokenizer, [question(None, "who is it?", "", 0)])
    assert ids == tokenizer("26 Jul 2024 who ?", add_special_tokens=False)["input_ids"]


def test_an_answer_ends_where_the_model_says_as_well_as_its_tokenizer(tiny: Built, tmp_path: Path) -> None:
    """Chat models have more than one: <|eot_id|> beside </s>."""
    tokenizer, folder = opened(tiny), Path(shutil.copytree(tiny.llm, tmp_path / "llm"))
    turn = tokenizer.convert_tokens_to_ids("<|user|>")
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": [turn]}))
    assert ends(str(folder), tokenizer) == sorted([turn, tokenizer.eos_token_id])
    path.unlink()
    assert ends(str(folder), tokenizer) == [tokenizer.eos_token_id]
