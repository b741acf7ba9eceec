"""What a text becomes for either tokenizer, and which token is pooled into what."""

import json
from typing import Any

import pytest
import sentencepiece
import torch
from transformers import AutoTokenizer, M2M100Tokenizer, PreTrainedTokenizerFast

from xlnu.errors import UserError
from xlnu.languages import resolve
from xlnu.stack.config import StackConfig
from xlnu.stack.inputs import Reader, Tokens, batches, padded, put_together
from xlnu.tiny.build import Built

AUTO: Any = AutoTokenizer
FAST: Any = PreTrainedTokenizerFast
QUESTION = ["the boy sees the old horse.", "who sees it?", "the boy", "a horse"]
LINES = ["The old man sees a cat.", "Who is it?", "A cat and a dog run to the house.", "She asks him for water."]


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """M2M-100's tokenizer, of Python alone: it does not say which characters a token holds."""
    folder = tmp_path_factory.mktemp("m2m100")
    (folder / "text").write_text("\n".join(LINES * 20))
    sentencepiece.SentencePieceTrainer.Train(
        input=str(folder / "text"), model_prefix=str(folder / "spm"), vocab_size=60, minloglevel=2,
        hard_vocab_limit=False,
    )  # fmt: skip
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spm.model"))
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    names += [name for i in range(len(model)) if (name := model.id_to_piece(i)) not in names]
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    files: Any = {"vocab_file": str(folder / "vocab.json"), "spm_file": str(folder / "spm.model")}
    return M2M100Tokenizer(**files)


def fast(built: Built, **about: Any) -> Reader:
    return Reader(AUTO.from_pretrained(built.mt), StackConfig(**about), "encoder", "tiny")


def shown(reader: Reader, tokens: Tokens) -> dict[int, str]:
    """The characters of each group, the blanks left out."""
    groups = {
        group: [i for i, g in zip(tokens.ids, tokens.groups, strict=True) if g == group] for group in tokens.groups
    }
    return {group: reader.tokenizer.decode(ids).replace(" ", "") for group, ids in sorted(groups.items())}


# ------------------------------------------------------------------------------------------------ groups


def test_segments_are_put_together_as_the_configuration_says() -> None:
    pair = StackConfig(task="pair", separator=" | ")
    assert put_together(["a b", "c"], pair) == ("a b | c", [(0, 7)])
    choice = StackConfig(task="choice", option="\n({number}) {text}.")
    text, spans = put_together(["It rains.", "What?", "rain", "snow"], choice)
    assert text == "It rains. What?\n(1) rain.\n(2) snow."
    assert [text[start:end] for start, end in spans] == ["rain", "snow"]
    assert put_together(["", "What?", "rain"], choice)[0] == "What?\n(1) rain."
    text, spans = put_together(["the", "old", "man"], StackConfig(task="tokens"))
    assert (text, [text[start:end] for start, end in spans]) == ("the old man", ["the", "old", "man"])


@pytest.mark.parametrize("special", [True, False])
def test_a_text_is_pooled_with_or_without_what_stands_around_it(special: bool, tiny: Built) -> None:
    reader = fast(tiny, special=special)
    (found,) = reader.read([["the boy"]], ["eng_Latn"])
    assert found.ids[0] == reader.tokenizer.convert_tokens_to_ids("eng_Latn")
    assert found.ids[-1] == reader.tokenizer.eos_token_id
    assert found.ids[1:-1] == reader.tokenizer("the boy", add_special_tokens=False)["input_ids"]
    assert found.groups == [int(special), *[1] * (len(found.ids) - 2), int(special)]


def test_a_choice_is_pooled_from_its_own_tokens(tiny: Built) -> None:
    reader = fast(tiny, task="choice")
    (found,) = reader.read([QUESTION], ["eng_Latn"])
    assert found.groups[0] == found.groups[-1] == 0, "code and end belong to no choice"
    said = shown(reader, found)
    assert (said[1], said[2]) == ("theboy", "ahorse")
    whole = reader.tokenizer(put_together(QUESTION, reader.config)[0], add_special_tokens=False)["input_ids"]
    assert found.ids[1:-1] == whole, "all of it is tokenised as one text"


def test_a_word_is_pooled_from_its_own_tokens(tiny: Built) -> None:
    reader = fast(tiny, task="tokens")
    words = ["the", "boy", "sees", "the", "old", "horse", "."]
    (found,) = reader.read([words], ["eng_Latn"])
    assert list(shown(reader, found).values())[1:] == words
    of_words = [group for group in found.groups if group]
    assert of_words == sorted(of_words), "in their order"
    assert set(of_words) == set(range(1, len(words) + 1))


def test_a_tokenizer_that_knows_no_offsets_reads_apart_what_belongs_apart(slow: Any) -> None:
    assert not slow.is_fast
    reader = Reader(slow, StackConfig(task="choice"), "encoder", "m2m100")
    given = ["A cat and a dog run.", "Who is it?", "the cat", "a dog"]
    (found,) = reader.read([given], ["eng_Latn"])
    assert (shown(reader, found)[1], shown(reader, found)[2]) == ("thecat", "adog")
    assert found.ids[0] == slow.get_lang_id("en")
    assert found.groups[0] == found.groups[-1] == 0
    words = ["A", "cat", "and", "a", "dog", "run"]
    reader = Reader(slow, StackConfig(task="tokens"), "encoder", "m2m100")
    (found,) = reader.read([words], ["eng_Latn"])
    assert list(shown(reader, found).values())[1:] == words
    reader = Reader(slow, StackConfig(task="text"), "encoder", "m2m100")
    (found,) = reader.read([["A cat and a dog run."]], ["eng_Latn"])
    assert found.ids[1:-1] == slow("A cat and a dog run.", add_special_tokens=False)["input_ids"]


def test_an_llm_reads_as_its_own_tokenizer_frames_it(tiny: Built) -> None:
    tokenizer = AUTO.from_pretrained(tiny.llm)
    reader = Reader(tokenizer, StackConfig(view="llm", special=False), "llm", "tiny")
    for text in ("the boy", "x"):
        (found,) = reader.read([[text]], ["qaa_Latn"])
        assert found.ids == tokenizer(text)["input_ids"]
        plain = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert sum(found.groups) == len(plain)


def test_nothing_read_is_nothing(tiny: Built) -> None:
    assert fast(tiny).read([], []) == []
    (found,) = fast(tiny).read([[""]], ["eng_Latn"])
    assert len(found.ids) == 2


# ------------------------------------------------------------------------------------------------ languages


def test_each_row_of_a_mixture_has_its_own_code(tiny: Built) -> None:
    reader = fast(tiny)
    codes = ["eng_Latn", "qaa_Latn", "qab_Cyrl", "eng_Latn"]
    found = reader.read([["x"]] * 4, codes)
    assert [reader.tokenizer.convert_ids_to_tokens(one.ids[0]) for one in found] == codes
    assert len({tuple(one.ids[1:]) for one in found}) == 1


@pytest.mark.parametrize("name", ["eng_Latn", "en", "eng", "English", "en-GB"])
def test_a_language_may_be_named_as_people_do(name: str, tiny: Built) -> None:
    reader = fast(tiny)
    assert reader.begin(name) == reader.begin(resolve("eng_Latn")) == reader.begin("eng_Latn")


def test_an_encoder_has_its_own_names(slow: Any) -> None:
    reader = Reader(slow, StackConfig(), "encoder", "m2m100")
    assert reader.begin("swh_Latn") == reader.begin("__sw__") == [slow.get_lang_id("sw")]


def test_an_unknown_language_is_refused_with_what_to_write(tiny: Built) -> None:
    reader = fast(tiny)
    with pytest.raises(UserError, match=r"^swh_Latn: the encoder does not know this .*'swh_Latn->CODE'$") as e:
        reader.read([["x"]], ["Swahili"])
    assert "\n" not in str(e.value)
    with pytest.raises(UserError, match="Klingon"):
        reader.read([["x"]], ["Klingon"])
    assert reader.begin("mad->eng_Latn") == reader.begin("eng_Latn"), "one that stands in"


def test_an_encoder_without_codes_reads_any_language(tiny: Built) -> None:
    """As mT5 does."""
    whole = AUTO.from_pretrained(tiny.mt)
    special: Any = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    plain = FAST(tokenizer_object=whole.backend_tokenizer, **special)
    reader = Reader(plain, StackConfig(code="keep"), "encoder", "mt5")
    one, other = reader.read([["x"], ["x"]], ["swh_Latn", "Klingon"])
    assert one == other
    assert one.ids == [*plain("x", add_special_tokens=False)["input_ids"], plain.eos_token_id]
    for code in ("drop", "begin"):
        with pytest.raises(UserError, match=f"stack.code: {code}: mt5 has no language codes; take keep"):
            Reader(plain, StackConfig(code=code), "encoder", "mt5")


# ------------------------------------------------------------------------------------------------ batches


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_where_it_is_asked_for(side: Any) -> None:
    ids, mask, groups = padded([Tokens([5, 6, 7], [0, 1, 2]), Tokens([8], [1])], 9, side=side)
    assert ids.tolist() == [[5, 6, 7], [8, 9, 9] if side == "right" else [9, 9, 8]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0] if side == "right" else [0, 0, 1]]
    assert groups.tolist() == [[0, 1, 2], [1, 0, 0] if side == "right" else [0, 0, 1]]
    assert ids.dtype == mask.dtype == groups.dtype == torch.int64


def test_batches_hold_every_row_once_and_no_more_tokens_than_they_may() -> None:
    lengths = [3, 50, 1, 7, 7, 20, 2, 120]
    made = list(batches(lengths, 40))
    assert sorted(i for some in made for i in some) == list(range(len(lengths)))
    assert made[:2] == [[7], [1]], "the longest first, and one that alone is too long is alone"
    assert all(len(some) == 1 or len(some) * max(lengths[i] for i in some) <= 40 for some in made)
    assert len(made) == 4, "7, 1, 5 + 3 (20 each), and the rest"
    assert list(batches([], 40)) == []
