"""M2M-100 and MADLAD: their tokenizers' own classes, small models with random weights, and both engines on them."""

from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import tokenizers
import torch
from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    M2M100Tokenizer,
    T5Config,
    T5ForConditionalGeneration,
    T5TokenizerFast,
)

from xlnu.engines.ct2 import Ct2Translator, convert
from xlnu.engines.framing import Framing, framing
from xlnu.engines.hf import HfTranslator
from xlnu.languages import resolve
from xlnu.tiny.build import Built

LINES = ["The old man sees a cat.", "Who is it?", "A cat and a dog run to the house.", "She asks him for water."]
MADLAD = ["en", "sw", "no", "iw", "fil", "zh", "zh_Hant", "ks", "ks_Deva"]  # as the real one spells these
LIMITS: Any = {"beam": 1, "max_tokens": 12, "batch_tokens": 64, "threads": 1, "gpus": 0}


def pieces(folder: Path, symbols: list[str]) -> Path:
    """A SentencePiece model, as both families have one."""
    (folder / "text").write_text("\n".join(LINES * 20))
    sentencepiece.SentencePieceTrainer.Train(
        input=str(folder / "text"), model_prefix=str(folder / "spm"), vocab_size=60 + len(symbols),
        user_defined_symbols=symbols, pad_id=3, minloglevel=2, hard_vocab_limit=False,
    )  # fmt: skip
    return folder / "spm.model"


@pytest.fixture(scope="module")
def m2m100(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import json

    folder = tmp_path_factory.mktemp("m2m100")
    spm = pieces(folder, [])
    model = sentencepiece.SentencePieceProcessor(model_file=str(spm))
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    names += [name for i in range(len(model)) if (name := model.id_to_piece(i)) not in names]
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    files: Any = {"vocab_file": str(folder / "vocab.json"), "spm_file": str(spm)}
    codes = [*M2M100Tokenizer(**files).lang_token_to_id]
    tokenizer = M2M100Tokenizer(**files, additional_special_tokens=codes)  # as the published one's files say
    torch.manual_seed(0)
    config = M2M100Config(  # type: ignore[no-untyped-call]
        vocab_size=len(names) + len(codes) + 8, d_model=32, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=64, decoder_ffn_dim=64, init_std=0.5,
        decoder_start_token_id=2,
    )  # fmt: skip
    M2M100ForConditionalGeneration(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return folder / "model"


def fast(spm: Path, symbols: list[str]) -> T5TokenizerFast:
    """From its parts: transformers' own way from spm to tokenizer.json wants a newer protobuf than ours."""
    model = sentencepiece.SentencePieceProcessor(model_file=str(spm))
    scores = [(model.id_to_piece(i), model.get_score(i)) for i in range(len(model))]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.Unigram(scores, unk_id=model.unk_id()))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    tokenizer.decoder = tokenizers.decoders.Metaspace()
    tokenizer.add_tokens([tokenizers.AddedToken(symbol, normalized=False, rstrip=False) for symbol in symbols])
    end = ("</s>", model.eos_id())
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing("$A </s>", special_tokens=[end])
    return T5TokenizerFast(tokenizer_object=tokenizer, extra_ids=0)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def madlad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("madlad")
    spm = pieces(folder, codes := [f"<2{name}>" for name in MADLAD])
    tokenizer = fast(spm, codes)
    torch.manual_seed(0)
    config = T5Config(  # type: ignore[no-untyped-call]
        vocab_size=len(tokenizer), d_model=32, d_kv=16, d_ff=64, num_layers=1, num_heads=2, initializer_factor=3.0,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return folder / "model"


def framed(model: Path) -> Framing:
    from transformers import AutoTokenizer

    return framing(AutoTokenizer.from_pretrained(model), str(model))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("eng_Latn", "__en__"), ("swh_Latn", "__sw__"), ("ceb_Latn", "__ceb__"), ("kaz_Cyrl", "__kk__"),
        ("nob_Latn", "__no__"), ("nso_Latn", "__ns__"), ("tgl_Latn", "__tl__"), ("heb_Hebr", "__he__"),
        ("zho_Hans", "__zh__"), ("zho_Hant", None), ("kaz_Arab", None), ("ewe_Latn", None), ("nno_Latn", None),
    ],
)  # fmt: skip
def test_m2m100_spells_languages_its_own_way(m2m100: Path, language: str, code: str | None) -> None:
    assert framed(m2m100).code(resolve(language)) == code


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("eng_Latn", "<2en>"), ("nob_Latn", "<2no>"), ("heb_Hebr", "<2iw>"), ("tgl_Latn", "<2fil>"),
        ("zho_Hans", "<2zh>"), ("zho_Hant", "<2zh_Hant>"), ("kas_Arab", "<2ks>"), ("kas_Deva", "<2ks_Deva>"),
        ("nso_Latn", None),
    ],
)  # fmt: skip
def test_madlad_spells_them_in_a_third_way(madlad: Path, language: str, code: str | None) -> None:
    assert framed(madlad).code(resolve(language)) == code


@pytest.mark.parametrize("family", ["m2m100", "madlad"])
def test_both_engines_say_the_same(family: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    model: Path = request.getfixturevalue(family)
    convert(str(model), "float32", tmp_path)
    engines = Ct2Translator(tmp_path, "float32", **LIMITS), HfTranslator(str(model), "float32", **LIMITS)
    english, swahili, norwegian = map(resolve, ("eng_Latn", "swh_Latn", "nob_Latn"))
    found = [[engine.translate(LINES, english, into) for into in (swahili, norwegian)] for engine in engines]
    assert found[0] == found[1]
    assert found[0][0] != found[0][1], "what it is told of the target reaches the model"
    assert len({one.text for one in found[0][0]}) > 1


@pytest.mark.parametrize("family", ["m2m100", "madlad"])
def test_the_models_are_asked_as_their_own_tokenizers_would(family: str, request: pytest.FixtureRequest) -> None:
    from transformers import AutoTokenizer

    model: Path = request.getfixturevalue(family)
    tokenizer: Any = AutoTokenizer.from_pretrained(model)  # type: ignore[no-untyped-call]
    told = framing(tokenizer, str(model))
    english, swahili = (told.code(resolve(code)) for code in ("eng_Latn", "swh_Latn"))
    assert english is not None
    assert swahili is not None
    ours = told.source(tokenizer.tokenize(LINES[0]), english, swahili)
    if family == "m2m100":
        tokenizer.src_lang = "en"
        theirs = tokenizer.convert_ids_to_tokens(tokenizer(LINES[0])["input_ids"])
        assert told.prefix(swahili) == [tokenizer.convert_ids_to_tokens(tokenizer.get_lang_id("sw"))]
    else:
        theirs = tokenizer.convert_ids_to_tokens(tokenizer(f"<2sw> {LINES[0]}")["input_ids"])
        theirs = theirs[1:] if theirs[0] == "▁" else theirs  # this small one's; pieces of its own are cut so
        assert told.prefix(swahili) == []
    assert ours == theirs


def test_nllb_too_is_asked_as_its_own_tokenizer_would(tiny: Built) -> None:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(tiny.mt)  # type: ignore[no-untyped-call]
    told = framing(tokenizer, str(tiny.mt))
    tokenizer.src_lang = "eng_Latn"
    theirs = tokenizer.convert_ids_to_tokens(tokenizer(LINES[0])["input_ids"])
    assert told.source(tokenizer.tokenize(LINES[0]), "eng_Latn", "qaa_Latn") == theirs
    assert told.prefix("qaa_Latn") == ["qaa_Latn"]
