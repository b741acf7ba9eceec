import copy
import random
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from xlnu.tiny.vocabularies import llm_tokenizer, save_translation_tokenizer, token_ids, translation_tokenizer

CODES = ["eng_Latn", "qab_Cyrl", "qac_Geor", "qad_Armn"]
LETTERS = {
    "eng_Latn": "abdeilmnorstuvwh",
    "qab_Cyrl": "абдеилмнорстувш",
    "qac_Geor": "აბდეილმნორსტუვშ",
    "qad_Armn": "աբդեիլմնորստուվշ",
}


def sentences(code: str, count: int) -> list[str]:
    choose = random.Random(code)
    words = ["".join(choose.choices(LETTERS[code], k=choose.randint(2, 7))) for _ in range(40)]
    made = []
    for _ in range(count):
        one = choose.choices(words, k=choose.randint(2, 8))
        one[0] += choose.choice(["", "", ","])
        made.append(" ".join(one) + choose.choice(".?"))
    return made


TEXTS = ["where does dalo live?", "the cat, the dog.", *(s for code in CODES for s in sentences(code, 80))]
TEXTS += [
    "dalo? dalo, dalo. dalo"
] * 30  # so often that a tokenizer would make one piece of "dalo?", were it free to
CHAT = [
    {"role": "user", "content": "where does dalo live?\nanswer in a word."},
    {"role": "assistant", "content": "in the town."},
    {"role": "user", "content": "and what\ndoes it eat?"},
    {"role": "assistant", "content": "the cat\nეშ."},
]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained_nllb() -> Any:
    return translation_tokenizer(TEXTS, CODES, 500)


@pytest.fixture
def nllb(trained_nllb: Any) -> Any:
    return copy.deepcopy(trained_nllb)  # it remembers the language it read last


@pytest.fixture(scope="module")
def llm() -> Any:
    return llm_tokenizer([*TEXTS, *["dalo\ndalo\n\ndalo"] * 30], 700)


def opened(folder: Path, **more: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, **more)  # type: ignore[no-untyped-call]


# ---- the translator's


def test_the_layout_is_that_of_nllb(nllb: Any) -> None:
    assert type(nllb).__name__ == "NllbTokenizerFast"
    assert nllb.convert_ids_to_tokens(range(4)) == ["<s>", "<pad>", "</s>", "<unk>"]
    assert nllb.convert_ids_to_tokens(range(495, 500)) == [*CODES, "<mask>"]
    assert len(nllb) == 500
    assert sorted(nllb.get_vocab().values()) == list(range(500))
    assert nllb.additional_special_tokens == CODES
    assert "fra_Latn" not in nllb.get_vocab()
    assert nllb.convert_tokens_to_ids("qac_Geor") == 497
    assert translation_tokenizer(TEXTS, CODES[1:], 300).src_lang == "qab_Cyrl"


def test_the_language_stands_first_and_the_end_last(nllb: Any) -> None:
    nllb.src_lang, nllb.tgt_lang = "qab_Cyrl", "qad_Armn"
    both = nllb(sentences("qab_Cyrl", 1)[0], text_target=sentences("qad_Armn", 1)[0])
    assert [both["input_ids"][0], both["input_ids"][-1]] == [496, 2]
    assert [both["labels"][0], both["labels"][-1]] == [498, 2]
    assert nllb("the cat")["input_ids"][0] == 496, "reading a target leaves the source as it was"
    assert not set(both["input_ids"][1:-1]) & {0, 1, 2, 3, *range(495, 500)}


def test_no_letter_is_lost_in_translation(nllb: Any) -> None:
    for text in TEXTS:
        assert nllb.decode(nllb(text)["input_ids"], skip_special_tokens=True) == text


def test_a_word_is_the_same_pieces_wherever_it_stands(nllb: Any) -> None:
    dalo, the, cat = (nllb.tokenize(word) for word in ("dalo", "the", "cat"))
    assert ["".join(word) for word in (dalo, the, cat)] == ["▁dalo", "▁the", "▁cat"]
    befores = {"": [], "the ": the, "cat, ": [*cat, ","]}
    afters = {"": [], "?": ["?"], ",": [","], ".": ["."], " cat?": [*cat, "?"]}
    for before, after in product(befores, afters):
        assert nllb.tokenize(f"{before}dalo{after}") == befores[before] + dalo + afters[after]
    assert nllb.tokenize("the  cat") == the + cat, "as NLLB does"
    assert nllb.tokenize("ｔｈｅ cat") == the + cat, "wide letters too"


def test_opened_again_it_reads_the_source_language(nllb: Any, tmp_path: Path) -> None:
    nllb.src_lang, nllb.tgt_lang = "qad_Armn", "qac_Geor"
    save_translation_tokenizer(nllb, tmp_path, "eng_Latn")
    again = opened(tmp_path)
    assert type(again).__name__ == "NllbTokenizerFast"
    assert again.src_lang == "eng_Latn"
    assert again.tgt_lang is None
    assert again.get_vocab() == nllb.get_vocab()
    assert again(TEXTS)["input_ids"] == nllb(TEXTS)["input_ids"]
    assert again("the cat")["input_ids"][0] == 495
    cyrillic = opened(tmp_path, src_lang="qab_Cyrl", tgt_lang="qac_Geor")
    framed = cyrillic("the cat", text_target="the dog")
    assert [framed["input_ids"][0], framed["labels"][0]] == [496, 497]
    assert len(cyrillic) == 500


def test_the_same_texts_make_the_same_files(tmp_path: Path) -> None:
    for turn in ("one", "two"):
        save_translation_tokenizer(translation_tokenizer(iter(TEXTS), CODES, 300), tmp_path / turn, "eng_Latn")
        llm_tokenizer(iter(TEXTS), 500).save_pretrained(tmp_path / turn / "llm")
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert len(files) >= 6
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_a_vocabulary_too_small_for_the_letters_is_refused() -> None:
    with pytest.raises(ValueError, match="too small"):
        translation_tokenizer(TEXTS, CODES, 50)
    with pytest.raises(ValueError, match="too small"):
        llm_tokenizer(TEXTS, 300)


# ---- the LLM's


def test_the_llms_layout(llm: Any) -> None:
    assert llm.convert_ids_to_tokens(range(4)) == ["<unk>", "<s>", "</s>", "<0x00>"]
    assert llm.convert_ids_to_tokens(range(697, 700)) == ["<pad>", "<|user|>", "<|assistant|>"]
    assert sorted(llm.get_vocab().values()) == list(range(700))
    assert token_ids(llm) == {"vocab_size": 700, "bos_token_id": 1, "pad_token_id": 697, "eos_token_id": 2}
    assert (llm.bos_token_id, llm.eos_token_id, llm.pad_token_id) == (1, 2, 697)


def test_text_comes_back_and_nothing_is_unknown(llm: Any) -> None:
    odd = [
        "",
        "emoji 🙂 here",
        "我在这里。",
        "ABC-12 <0x41> naïve",
        "two\n\nlines\n",
        "\nfirst",
        "a\n b",
        "a  b ",
        " a",
        "a>b, a > b",
        "x\n",
    ]
    for text in [*TEXTS, *odd]:
        ids = llm(text)["input_ids"]
        assert ids[0] == 1
        assert not {0, 2} & set(ids)
        assert llm.decode(ids, skip_special_tokens=True) == text
        assert llm.decode(ids) == "<s>" + text
        assert llm.decode(llm.encode(text, add_special_tokens=False)) == text


def test_every_letter_is_a_token(llm: Any) -> None:
    for letter in {*"".join(TEXTS), "\n"} - {" "}:
        assert letter in llm.get_vocab()
    assert set("".join(llm.tokenize("წ ა"))) - set("▁ა") <= set("<>0x123456789ABCDEF")


def test_a_word_is_the_same_tokens_wherever_it_stands(llm: Any) -> None:
    dalo, the, cat = (llm.tokenize(word) for word in ("dalo", "the", "cat"))
    assert ["".join(word) for word in (dalo, the, cat)] == ["▁dalo", "▁the", "▁cat"]
    befores = {
        "": [],
        "the ": the,
        "the\n": [*the, "\n"],
        "the\n\n": [*the, "\n", "\n"],
        "\n": ["\n"],
        "cat, ": [*cat, ","],
        "<|user|>": ["<|user|>"],
        "the.</s>": [*the, ".", "</s>"],
    }
    afters = {"": [], "?": ["?"], " cat": cat, "\n": ["\n"], "\ncat": ["\n", *cat], "</s>": ["</s>"]}
    for before, after in product(befores, afters):
        assert llm.tokenize(f"{before}dalo{after}") == befores[before] + dalo + afters[after]


def test_a_chat_is_framed(llm: Any) -> None:
    text = llm.apply_chat_template(CHAT, tokenize=False)
    assert text == (
        "<s><|user|>where does dalo live?\nanswer in a word.<|assistant|>in the town.</s>"
        "<|user|>and what\ndoes it eat?<|assistant|>the cat\nეშ.</s>"
    )
    ids = llm.apply_chat_template(CHAT)
    assert llm.decode(ids) == text
    assert llm.decode(llm("the cat</s>the dog")["input_ids"]) == "<s>the cat</s>the dog"
    assert ids[:2] == [1, 698]
    assert (ids.count(1), ids.count(2), ids.count(698), ids.count(699)) == (1, 2, 2, 2)
    asked = llm.apply_chat_template(CHAT[:3], tokenize=False, add_generation_prompt=True)
    assert asked == text[: len(asked)]
    assert asked.endswith("eat?<|assistant|>")
    prompt = llm.apply_chat_template(CHAT[:3], add_generation_prompt=True)
    assert prompt == ids[: len(prompt)], "what is asked is what was trained on"
    empty = [{"role": "user", "content": "live?\n"}]  # an instruction with no input
    assert llm.apply_chat_template(empty, tokenize=False) == "<s><|user|>live?"


def test_a_system_message_goes_before_the_first_question(llm: Any) -> None:
    told = [{"role": "system", "content": "be kind."}, *CHAT]
    text = llm.apply_chat_template(told, tokenize=False)
    assert text.startswith("<s><|user|>be kind.\nwhere does dalo live?")
    assert text.count("be kind.") == 1
    silent = [{"role": "system", "content": ""}, *CHAT]
    assert llm.apply_chat_template(silent) == llm.apply_chat_template(CHAT)


@pytest.mark.parametrize(
    "roles", [["assistant"], ["user", "user"], ["system", "assistant"], ["user", "system"], ["user", "tool"]]
)
def test_turns_out_of_order_are_refused(llm: Any, roles: list[str]) -> None:
    from jinja2 import TemplateError

    with pytest.raises(TemplateError, match="take turns"):
        llm.apply_chat_template([{"role": role, "content": "x"} for role in roles], tokenize=False)


def test_the_mask_covers_the_answers_and_their_ends(llm: Any) -> None:
    out = llm.apply_chat_template(CHAT, return_dict=True, return_assistant_tokens_mask=True)
    masked = [token for token, on in zip(out["input_ids"], out["assistant_masks"], strict=True) if on]
    answers = [[*llm.encode(CHAT[n]["content"], add_special_tokens=False), 2] for n in (1, 3)]
    assert masked == answers[0] + answers[1]


def test_the_llms_tokenizer_opens_again(llm: Any, tmp_path: Path) -> None:
    from transformers import LlamaConfig

    ids: dict[str, Any] = token_ids(llm)
    # AutoTokenizer looks at the model that stands beside it
    LlamaConfig(**ids).save_pretrained(tmp_path)  # type: ignore[no-untyped-call]
    llm.save_pretrained(tmp_path)
    again = opened(tmp_path)
    assert again.get_vocab() == llm.get_vocab()
    assert again(TEXTS)["input_ids"] == llm(TEXTS)["input_ids"]
    assert again.chat_template == llm.chat_template
    assert again.special_tokens_map == llm.special_tokens_map
    assert again.padding_side == "left"
    assert set(again("the cat")) == {"input_ids", "attention_mask"}, "what Llama takes"
    masks = {"return_dict": True, "return_assistant_tokens_mask": True}
    assert again.apply_chat_template(CHAT, **masks) == llm.apply_chat_template(CHAT, **masks)
    assert again.decode(again("中 x")["input_ids"], skip_special_tokens=True) == "中 x"


# ---- with models


def until_end(ids: Any) -> list[int]:
    """A row that generate() made, up to </s>, which CTranslate2 leaves out."""
    row: list[int] = ids.tolist()
    return row[: row.index(2)] if 2 in row else row


def test_ctranslate2_translates_as_transformers_does(nllb: Any, tmp_path: Path) -> None:
    import ctranslate2
    import torch
    from transformers import AutoModelForSeq2SeqLM, M2M100Config, M2M100ForConditionalGeneration

    torch.manual_seed(0)
    ids: dict[str, Any] = token_ids(nllb)
    config = M2M100Config(  # type: ignore[no-untyped-call]
        **ids,
        d_model=96,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=192,
        decoder_ffn_dim=192,
        max_position_embeddings=64,
        init_std=0.1,
    )
    assert config.decoder_start_token_id == nllb.eos_token_id
    model: Any = M2M100ForConditionalGeneration(config)
    nllb.src_lang, nllb.tgt_lang = "qac_Geor", "qab_Cyrl"
    texts = sentences("qac_Geor", 24)
    pairs = nllb(texts, text_target=sentences("qab_Cyrl", 24), padding=True, return_tensors="pt")
    pairs["labels"][pairs["labels"] == nllb.pad_token_id] = -100
    step = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(40):  # untrained, tied embeddings repeat one token: there would be nothing to compare
        model(**pairs).loss.backward()
        step.step()
        step.zero_grad()
    model.save_pretrained(tmp_path / "model")
    save_translation_tokenizer(nllb, tmp_path / "model", "eng_Latn")

    model = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "model")
    tokenizer = opened(tmp_path / "model", src_lang="qac_Geor")
    with torch.inference_mode():
        made = model.generate(
            **tokenizer(texts, padding=True, return_tensors="pt"),
            forced_bos_token_id=tokenizer.convert_tokens_to_ids("qab_Cyrl"),
            num_beams=1,
            do_sample=False,
            max_new_tokens=24,
        )
    expected = [tokenizer.convert_ids_to_tokens(until_end(row[1:])) for row in made]
    assert all(row[0] == "qab_Cyrl" for row in expected)
    assert len({*map(tuple, expected)}) > 12, "they vary, or equality would say little"
    assert any(2 in row[1:] for row in made), "some of them end"

    ctranslate2.converters.TransformersConverter(str(tmp_path / "model")).convert(str(tmp_path / "converted"))
    translator = ctranslate2.Translator(
        str(tmp_path / "converted"), compute_type="float32", inter_threads=1, intra_threads=1
    )
    results = translator.translate_batch(
        [tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"]) for text in texts],
        target_prefix=[["qab_Cyrl"]] * len(texts),
        beam_size=1,
        max_decoding_length=24,
    )
    assert [result.hypotheses[0] for result in results] == expected


@pytest.mark.parametrize("tied", [True, False])
def test_ctranslate2_answers_as_transformers_does(llm: Any, tmp_path: Path, tied: bool) -> None:
    import ctranslate2
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    ids: dict[str, Any] = token_ids(llm)
    config = LlamaConfig(  # type: ignore[no-untyped-call]
        **ids,
        hidden_size=96,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=64,
        initializer_range=0.1,
        tie_word_embeddings=tied,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path / "model")  # type: ignore[no-untyped-call]
    llm.save_pretrained(tmp_path / "model")

    model: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    tokenizer = opened(tmp_path / "model")
    chats = [[{"role": "user", "content": text.replace(" ", "\n", 1)}] for text in sentences("eng_Latn", 24)]
    prompts = tokenizer.apply_chat_template(chats, add_generation_prompt=True)
    together = tokenizer.pad({"input_ids": prompts}, return_tensors="pt")
    with torch.inference_mode():
        made = model.generate(**together, do_sample=False, max_new_tokens=20)[:, together["input_ids"].shape[1] :]
    expected = [until_end(row) for row in made]
    assert len({*map(tuple, expected)}) > 12, "they vary, or equality would say little"

    ctranslate2.converters.TransformersConverter(str(tmp_path / "model")).convert(str(tmp_path / "converted"))
    generator = ctranslate2.Generator(
        str(tmp_path / "converted"), compute_type="float32", inter_threads=1, intra_threads=1
    )
    results = generator.generate_batch(
        [tokenizer.convert_ids_to_tokens(prompt) for prompt in prompts],
        max_length=20,
        include_prompt_in_result=False,
    )
    assert [result.sequences_ids[0] for result in results] == expected
