"""What each step of a world makes: its data, its three models, and the numbers that say how good they are."""

import json
import time
from collections.abc import Iterator, Set
from typing import TYPE_CHECKING, Any

from xlnu.tiny import llm, mt
from xlnu.tiny.files import benchmarks, held_out, held_out_sentences, parallel_texts, write_all
from xlnu.tiny.lines import make_lines
from xlnu.tiny.optimise import padded
from xlnu.tiny.tongues import SOURCE
from xlnu.tiny.world import Speaker, Text, World

if TYPE_CHECKING:
    from xlnu.tiny.build import Making


def _world(making: "Making") -> World:
    return World(making.config.seed, making.size.amounts.people)


def _device(making: "Making") -> str:
    """Size m is made for a GPU. The others never use one, so that they come out the same with one and without."""
    import torch

    return "cuda" if making.config.size == "m" and torch.cuda.is_available() else "cpu"


def make_data(making: "Making") -> None:
    write_all(_world(making), making.size.amounts, making.folder)


def make_llm(making: "Making") -> None:
    from xlnu.tiny.vocabularies import llm_tokenizer, token_ids

    world, shape = _world(making), making.size.llm
    held = held_out_sentences(world, making.size.amounts, SOURCE)
    library = llm.Library(world, world.rng("llm vocabulary"), held)
    texts = []
    for _ in range(4000):
        document = library.document()
        texts += [document.text, document.answer or ""]
    for tongue in world.tongues:
        # A little of each made language: as in real LLMs, its letters are covered and its words cost two to three
        # tokens (150 sentences; the source language's words cost one).
        speaker = Speaker(world, world.rng(f"llm vocabulary {tongue.code}"))
        texts += [world.say(speaker.anything(), tongue.code) for _ in range(150)]
        texts.append(" ".join(tongue.letters))
    tokenizer = llm_tokenizer(texts, shape.vocabulary)
    model = llm.new_model(shape, token_ids(tokenizer), making.config.seed)
    making.begin(shape.steps)
    llm.train(model, tokenizer, llm.Library(world, world.rng("llm"), held), shape, _device(making), making.tick)
    model.save_pretrained(making.folder)
    tokenizer.save_pretrained(making.folder)


def make_mt(making: "Making") -> None:
    from xlnu.tiny.vocabularies import save_translation_tokenizer, token_ids, translation_tokenizer

    world, shape, config = _world(making), making.size.mt, making.config
    texts = {tongue.code: parallel_texts(world, making.size.amounts, tongue) for tongue in world.tongues}
    richest = max(map(len, texts.values()))
    spelled: list[str] = []
    for code, said in texts.items():
        again = max(1, min(3, richest // (2 * len(said))))  # NLLB's vocabulary too is drawn evenly over languages
        spelled += [world.say(text, code) for text in said] * again
        spelled += [world.say(text, SOURCE) for text in said[: len(said) // 5]]
    tokenizer = translation_tokenizer(spelled, world.codes, shape.vocabulary)
    pairs = []
    for tongue in world.tongues:
        said, low = texts[tongue.code], tongue.resource == "low"
        lines = zip(
            make_lines(world, said, tongue.code, tokenizer), make_lines(world, said, SOURCE, tokenizer), strict=True
        )
        made = [mt.Pair(foreign, source, config.masked and low) for foreign, source in lines]
        pairs += made * mt.REPEATED[tongue.resource]
    vocabulary = tokenizer.get_vocab()
    codes = {code: vocabulary[code] for code in world.codes}
    model = mt.new_model(shape, token_ids(tokenizer), config.seed)
    making.begin(shape.steps)
    mt.train(model, pairs, codes, shape, config.aligned, config.seed, _device(making), making.tick)
    model.save_pretrained(making.folder)
    save_translation_tokenizer(tokenizer, making.folder, SOURCE)


def make_qe(making: "Making") -> None:
    from transformers import AutoModelForSeq2SeqLM

    from xlnu.tiny import qe
    from xlnu.tiny.judgements import judgements
    from xlnu.tiny.numbers import open_tokenizer, translator

    device = _device(making)
    world, shape = _world(making), making.size.qe
    tokenizer = open_tokenizer(making.parents["mt"])
    encoder = AutoModelForSeq2SeqLM.from_pretrained(making.parents["mt"]).model.encoder
    held = held_out(world, making.size.amounts)
    speaker = Speaker(world, world.rng("judged texts"), held)
    begin = qe.first_embeddings(
        _states(world, held, tokenizer, encoder), len(tokenizer), shape.hidden, making.config.seed
    )
    with translator(making.parents["mt"]) as translate:
        examples = judgements(world, "train", shape.examples, translate, speaker.anything)
    making.begin(shape.steps)
    qe.train(
        making.folder, qe.qe_tokenizer(tokenizer), examples, shape, making.config.seed, device, begin, making.tick
    )


def _states(world: World, held: Set[Text], tokenizer: Any, encoder: Any) -> Iterator[tuple[str, Any, Any]]:
    """What the translator's encoder makes of words, language by language."""
    import torch

    for code in world.codes:
        speaker = Speaker(world, world.rng(f"states {code}"), held)
        lines = make_lines(world, [speaker.anything() for _ in range(400)], code, tokenizer)
        own = tokenizer.convert_tokens_to_ids(code)
        for start in range(0, len(lines), 100):
            ids = padded([[own, *line.ids, mt.END] for line in lines[start : start + 100]], mt.PAD)
            with torch.no_grad():
                states = encoder(input_ids=ids, attention_mask=(ids != mt.PAD).long()).last_hidden_state
            words = (ids > mt.END) & (ids != own)
            yield code, ids[words], states[words]


def make_numbers(making: "Making") -> None:
    from xlnu.tiny.numbers import numbers

    world = _world(making)
    found = numbers(world, making.parents, benchmarks(world, making.size.amounts).flores["devtest"])
    found["cpu_seconds"]["numbers"] = round(time.process_time(), 1)
    text = json.dumps(found, ensure_ascii=False, indent=1) + "\n"
    (making.folder / "numbers.json").write_text(text, encoding="utf-8")
