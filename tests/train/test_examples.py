"""Chats as token ids, by templates as the models of the time have them, on small tokenizers of two kinds."""

from dataclasses import dataclass
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from xlnu.engines.base import Message, Question
from xlnu.engines.chat import ends, fitting, render
from xlnu.errors import UserError
from xlnu.tiny.build import Built
from xlnu.train.examples import EMPTY, SPECIAL, TOO_LONG, Example, encode

LLAMA_3 = (
    "{% for message in messages %}{{ (bos_token if loop.first else '') + '<|start_header_id|>' + message['role'] "
    "+ '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
CHATML = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou help.<|im_end|>\n' }}{% endif %}"
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
ROLES = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{{ bos_token }}"
)
MISTRAL = (
    ROLES + "{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] | trim + eos_token }}{% endif %}{% endfor %}"
)
GEMMA = (
    ROLES + "{% for message in messages %}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' "
    "+ message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
ZEPHYR = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + eos_token + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
# Qwen 3: the turn to be learned gets an empty thought, which the generation prompt has not.
THINKS = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if loop.last and message['role'] == 'assistant' %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{{ message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# DeepSeek R1: the generation prompt begins a thought, which is taken away from a turn that is over.
THOUGHT = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|><think>\n' }}{% endif %}"
)


@dataclass(frozen=True)
class Style:
    template: str
    specials: tuple[str, ...]
    end: str  # of a turn
    named: str = "</s>"  # the tokenizer's own


STYLES = {
    "llama 3": Style(LLAMA_3, ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"), "<|eot_id|>"),
    "chatml": Style(CHATML, ("<|im_start|>", "<|im_end|>"), "<|im_end|>", "<|im_end|>"),
    "mistral": Style(MISTRAL, ("[INST]", "[/INST]"), "</s>"),
    "mistral, plain": Style(MISTRAL, (), "</s>"),  # Llama 2, too: [INST] is text
    "gemma": Style(GEMMA, ("<start_of_turn>", "<end_of_turn>"), "<end_of_turn>"),
    "zephyr": Style(ZEPHYR, (), "</s>"),
}
TEXT = "What is it? It is an old cat: it sleeps, and likes milk.\n\nYou help. system user assistant Response:-"
LETTERS = "".join(map(chr, range(33, 127)))
USER: Message = {"role": "user", "content": "What is it?"}
CAT: Message = {"role": "assistant", "content": "It is an old cat:\n- it sleeps"}
CHATS: list[list[Message]] = [
    [USER, CAT],
    [{"role": "system", "content": "You help."}, USER, CAT],
    [USER, CAT, {"role": "user", "content": "And it likes?"}, {"role": "assistant", "content": "Milk."}],
    [{"role": "user", "content": "Ω? \n"}, {"role": "assistant", "content": "  Ω: \U0001f408\n"}],
    [USER, {"role": "assistant", "content": "- it sleeps"}],
]


def tokenizer(kind: str, style: Style | None) -> Any:
    """Bytes as Llama 3 and Qwen have them; or pieces as Llama 2 and Mistral: a text begins with a space there."""
    specials = ["<unk>", "<s>", "</s>", *(style.specials if style else ())]
    if kind == "bytes":
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
    else:
        backend = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
        backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        backend.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
    alphabet = pre_tokenizers.ByteLevel.alphabet() if kind == "bytes" else []
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator([TEXT, LETTERS] * 9, trainer)
    backend.add_special_tokens([AddedToken(one, normalized=False, special=True) for one in specials])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend, unk_token="<unk>", bos_token="<s>", eos_token=style.named if style else "</s>",
        chat_template=style.template if style else None,
    )  # fmt: skip


def stops(opened: Any, style: Style) -> list[int]:
    return sorted({opened.convert_tokens_to_ids(style.end), opened.eos_token_id})


def text(opened: Any, ids: list[int]) -> str:
    return str(opened.decode(ids, clean_up_tokenization_spaces=False))


@pytest.mark.parametrize("kind", ["bytes", "pieces"])
@pytest.mark.parametrize("name", STYLES)
def test_an_example_is_what_the_template_makes_of_the_chat(name: str, kind: str) -> None:
    style = STYLES[name]
    opened = tokenizer(kind, style)
    made = encode(opened, CHATS, stops(opened, style), 1000)
    assert [one.reject for one in made] == [None] * len(CHATS)
    for chat, one in zip(CHATS, made, strict=True):
        asked = Question(tuple(chat[:-1]), 5)
        assert one.ids[: one.prompt] == render(opened, [asked])[0], "the prompt is that of generation"
        stripped = [*chat[:-1], {"role": "assistant", "content": chat[-1]["content"].strip()}]
        (fit,) = fitting(opened, [stripped])
        whole = str(opened.apply_chat_template(fit, tokenize=False))
        before = opened.apply_chat_template(fit[:-1], tokenize=False, add_generation_prompt=True)
        assert whole.startswith(before)
        said = whole[: whole.rindex(style.end) + len(style.end)]
        ids = opened(said, add_special_tokens=False)["input_ids"]
        assert text(opened, one.ids) == text(opened, ids)
        if kind == "bytes":
            assert text(opened, ids) == said
        if not said[len(before) :].startswith("-"):
            assert one.ids == ids
        assert one.ids[-1] == opened.convert_tokens_to_ids(style.end)


def test_only_the_last_turn_is_learned() -> None:
    opened = tokenizer("bytes", STYLES["chatml"])
    (one,) = encode(opened, [CHATS[2]], stops(opened, STYLES["chatml"]), 1000)
    assert text(opened, one.ids[one.prompt :]) == "Milk.<|im_end|>"
    assert "old cat" in text(opened, one.ids[: one.prompt])


@pytest.mark.parametrize("kind", ["bytes", "pieces"])
@pytest.mark.parametrize("template", [THINKS, THOUGHT])
def test_thoughts_of_the_templates_own_are_not_learned(template: str, kind: str) -> None:
    """There the text is not the template's: the answer follows the generation prompt, with nothing between."""
    style = Style(template, ("<|im_start|>", "<|im_end|>"), "<|im_end|>" if template == THINKS else "</s>")
    opened = tokenizer(kind, style)
    for chat in (CHATS[0], CHATS[2]):
        (one,) = encode(opened, [chat], stops(opened, style), 1000)
        (prompt,) = render(opened, [Question(tuple(chat[:-1]), 0)])
        assert one.ids[: one.prompt] == prompt
        shown = text(opened, one.ids)
        assert shown == text(opened, prompt) + chat[-1]["content"] + style.end
        assert not str(opened.apply_chat_template(chat, tokenize=False)).startswith(shown)


def test_a_border_that_moves_moves_no_token_of_the_prompt() -> None:
    opened = tokenizer("bytes", None)
    chat = CHATS[-1]
    (prompt,) = render(opened, [Question(tuple(chat[:-1]), 0)])
    joined = opened(text(opened, prompt) + chat[-1]["content"])["input_ids"]
    assert joined[: len(prompt)] != prompt, "else this tests nothing"
    (one,) = encode(opened, [chat], [opened.eos_token_id], 1000)
    assert one.ids[: one.prompt] == prompt
    assert text(opened, one.ids) == text(opened, prompt) + "- it sleeps</s>"


def test_an_answer_begins_as_the_model_itself_would() -> None:
    """By itself, a tokenizer of pieces puts a space before it."""
    for style in (STYLES["chatml"], None):  # without a template, the prompt is Alpaca's
        opened = tokenizer("pieces", style)
        (one,) = encode(opened, [CHATS[0]], [opened.eos_token_id], 1000)
        by_itself = opened(CAT["content"], add_special_tokens=False)["input_ids"]
        assert opened.convert_ids_to_tokens(by_itself)[0].startswith("▁"), "else this tests nothing"
        assert not opened.convert_ids_to_tokens(one.ids[one.prompt :])[0].startswith("▁")


def test_what_ends_a_turn_is_the_templates_only_if_generation_stops_there() -> None:
    style = STYLES["llama 3"]
    opened = tokenizer("bytes", style)
    for stop, end in ((stops(opened, style), "<|eot_id|>"), ([opened.eos_token_id], "</s>")):
        (one,) = encode(opened, [CHATS[0]], stop, 1000)
        assert text(opened, one.ids[-1:]) == end
    opened = tokenizer("bytes", None)
    opened.eos_token = None
    (one,) = encode(opened, [CHATS[0]], [7], 1000)
    assert one.ids[-1] == 7
    with pytest.raises(UserError, match="which token ends an answer"):
        encode(opened, [CHATS[0]], [], 1000)


def test_what_cannot_be_learned_from_says_why() -> None:
    style = STYLES["chatml"]
    opened = tokenizer("bytes", style)
    stop = stops(opened, style)
    (whole,) = encode(opened, [CHATS[0]], stop, 1000)
    (fits,) = encode(opened, [CHATS[0]], stop, len(whole.ids))
    assert fits == whole
    (longer,) = encode(opened, [CHATS[0]], stop, len(whole.ids) - 1)
    assert longer == Example([], 0, TOO_LONG)
    for said, reason in (("", EMPTY), (" \n", EMPTY), ("<s>old</s> new", SPECIAL), ("say <|im_end|>", SPECIAL)):
        chats = [CHATS[0], [USER, {"role": "assistant", "content": said}], CHATS[0]]
        assert encode(opened, chats, stop, 1000) == [whole, Example([], 0, reason), whole]
    assert encode(opened, [], stop, 1000) == []


def test_the_tiny_llm_takes_its_own_chats(tiny: Built) -> None:
    opened = PreTrainedTokenizerFast.from_pretrained(tiny.llm)
    chats = [[USER, CAT], [USER, {"role": "assistant", "content": "an old cat."}]]
    for chat, one in zip(chats, encode(opened, chats, ends(str(tiny.llm), opened), 1000), strict=True):
        whole = opened.apply_chat_template(chat, tokenize=False)
        assert one.ids == opened(whole, add_special_tokens=False)["input_ids"], "as it was trained by its makers"
        assert text(opened, one.ids[one.prompt :]) == chat[-1]["content"] + "</s>"
