"""How good a world's models are: the numbers that stand in its report."""

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from xlnu.tiny.judgements import Translate, judgements
from xlnu.tiny.mt import END, PAD
from xlnu.tiny.optimise import padded
from xlnu.tiny.tasks import MOODS, moods, topics
from xlnu.tiny.tongues import SOURCE
from xlnu.tiny.world import ASK_MOOD, ASK_TOPIC, Text, World

TAU = 0.8  # the paper's threshold
Lines = dict[str, list[str]]  # by language
LONGEST = 60  # tokens; nothing in this world is longer


def numbers(world: World, parents: dict[str, Path], texts: Sequence[Text]) -> dict[str, Any]:
    from transformers import AutoModelForSeq2SeqLM

    # `texts` are the meanings of these lines, which no training has met
    lines = {code: _lines(parents["data"] / "flores" / "devtest" / f"{code}.devtest") for code in world.codes}
    found: dict[str, Any] = {}
    with translator(parents["mt"]) as translate:
        out = {tongue.code: translate(lines[SOURCE], SOURCE, tongue.code) for tongue in world.tongues}
        into = {tongue.code: translate(lines[tongue.code], tongue.code, SOURCE) for tongue in world.tongues}
        found |= _translation(world, translate, lines, into, out)
        found |= _quality(world, translate, lines, out, parents["qe"], texts)
    tokenizer, model = open_tokenizer(parents["mt"]), AutoModelForSeq2SeqLM.from_pretrained(parents["mt"])
    found["retrieval_at_1"] = _retrieval(world, model.model.encoder, tokenizer, lines)
    rich, poor = world.tongues[0].code, world.tongues[-1].code
    both = [(rich, SOURCE, into[rich]), (SOURCE, poor, out[poor])]
    found["converted_equal"] = {"mt": _mt_equal(model, tokenizer, lines, both)}
    with answerer(parents["llm"]) as ask:
        found["llm"] = _knowledge(world, ask)
        asked = [*lines[SOURCE][:100], *lines[rich][:100]]
        found["converted_equal"]["llm"] = _llm_equal(parents["llm"], asked, ask(asked))
    found["cpu_seconds"] = {name: _spent(folder) for name, folder in parents.items()}
    found["megabytes"] = {name: _size(folder) for name, folder in parents.items()}
    return found


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _spent(folder: Path) -> float:
    seconds: float = json.loads((folder / "spent.json").read_text(encoding="utf-8"))["cpu_seconds"]
    return seconds


def _size(folder: Path) -> float:
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6, 2)


# ------------------------------------------------------------------------------------- the models at work


def open_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def translator(folder: Path) -> Iterator[Translate]:
    """The translation model, converted to CTranslate2 for as long as it is needed. Greedy, one thread."""
    import ctranslate2

    tokenizer = open_tokenizer(folder)
    with _converted(folder) as model:
        engine = ctranslate2.Translator(model, intra_threads=1, inter_threads=1)

        def translate(texts: Sequence[str], begin: str, end: str) -> list[str]:
            asked = [[begin, *tokenizer.tokenize(text), tokenizer.eos_token] for text in texts]
            answers = engine.translate_batch(
                asked, target_prefix=[[end]] * len(asked), beam_size=1, max_decoding_length=LONGEST
            )
            ids = [tokenizer.convert_tokens_to_ids(answer.hypotheses[0][1:]) for answer in answers]
            return list(tokenizer.batch_decode(ids, skip_special_tokens=True))

        yield translate


@contextlib.contextmanager
def answerer(folder: Path) -> Iterator[Callable[[Sequence[str]], list[str]]]:
    """The LLM, likewise, asked through its chat template."""
    import ctranslate2

    tokenizer = open_tokenizer(folder)
    with _converted(folder) as model:
        engine = ctranslate2.Generator(model, intra_threads=1, inter_threads=1)

        def ask(questions: Sequence[str]) -> list[str]:
            prompts = [tokenizer.convert_ids_to_tokens(ids) for ids in prompt_ids(tokenizer, questions)]
            answers = engine.generate_batch(
                prompts, max_length=LONGEST, sampling_topk=1, include_prompt_in_result=False
            )
            return [tokenizer.decode(answer.sequences_ids[0], skip_special_tokens=True) for answer in answers]

        yield ask


def prompt_ids(tokenizer: Any, questions: Sequence[str]) -> list[list[int]]:
    chats = [[{"role": "user", "content": question}] for question in questions]
    texts = tokenizer.apply_chat_template(chats, tokenize=False, add_generation_prompt=True)
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return ids


@contextlib.contextmanager
def _converted(folder: Path) -> Iterator[str]:
    import ctranslate2

    with tempfile.TemporaryDirectory() as place:
        yield ctranslate2.converters.TransformersConverter(str(folder)).convert(f"{place}/model")


# --------------------------------------------------------------------------------------------- the numbers


def _translation(world: World, translate: Translate, lines: Lines, into: Lines, out: Lines) -> dict[str, Any]:
    import sacrebleu

    def bleu(said: list[str], right: list[str]) -> float:
        return round(sacrebleu.corpus_bleu(said, [right]).score, 1)

    one, other = world.tongues[0].code, world.tongues[1].code
    return {
        "bleu_to_source": {code: bleu(said, lines[SOURCE]) for code, said in into.items()},
        "bleu_from_source": {code: bleu(said, lines[code]) for code, said in out.items()},
        "exact_from_source": {
            code: _share(a == b for a, b in zip(said, lines[code], strict=True)) for code, said in out.items()
        },
        "bleu_across": {f"{one}-{other}": bleu(translate(lines[one], one, other), lines[other])},
    }


def _quality(
    world: World, translate: Translate, lines: Lines, out: Lines, folder: Path, texts: Sequence[Text]
) -> dict[str, Any]:
    from xlnu.tiny import qe

    rng = world.rng("judged test")
    judged = judgements(world, "test", 900, translate, lambda: rng.choice(texts))
    pairs = [(each.source, each.translation) for each in judged]
    for said in out.values():
        pairs += zip(lines[SOURCE], said, strict=True)
    scores = qe.scores(folder, pairs)
    given, theirs = scores[: len(judged)], iter(scores[len(judged) :])
    right = [each.score == 1.0 for each in judged]
    return {
        "qe_auc": _auc(given, right),
        "qe_auc_spoilt": _auc(*_but(given, right, 2)),
        "qe_auc_machine": _auc(*_but(given, right, 1)),
        "qe_good_rejected": _share(score < TAU for score, good in zip(given, right, strict=True) if good),
        "qe_bad_rejected": _share(score < TAU for score, good in zip(given, right, strict=True) if not good),
        "qe_rejected": {code: _share(next(theirs) < TAU for _ in said) for code, said in out.items()},
    }


def _but(given: Sequence[float], right: Sequence[bool], kind: int) -> tuple[list[float], list[bool]]:
    """Without one of the three kinds that `judgements` takes in turn: good, spoilt, by machine."""
    kept = [i for i in range(len(given)) if i % 3 != kind]
    return [given[i] for i in kept], [right[i] for i in kept]


def _retrieval(world: World, encoder: Any, tokenizer: Any, lines: Lines) -> dict[str, float]:
    """How often the nearest sentence of the source language, by the encoder's mean state, is the right one."""
    import torch

    def pooled(code: str) -> torch.Tensor:
        tokenizer.src_lang = code
        ids = padded(tokenizer(lines[code])["input_ids"], PAD)
        inside = (ids != PAD) & (ids != END)
        inside[:, 0] = False  # the language code
        with torch.inference_mode():
            states = encoder(input_ids=ids, attention_mask=(ids != PAD).long()).last_hidden_state
        mean = (states * inside[..., None]).sum(1) / inside.sum(1, keepdim=True)
        return torch.nn.functional.normalize(mean, dim=-1)

    source = pooled(SOURCE)
    return {
        tongue.code: _share((pooled(tongue.code) @ source.T).argmax(1).eq(torch.arange(len(source))).tolist())
        for tongue in world.tongues
    }


def _knowledge(world: World, ask: Callable[[Sequence[str]], list[str]]) -> dict[str, dict[str, float]]:
    """Asked in a language, and right if the answer is right in that language or in the source language."""
    mood_of = {label: mood for mood, label in MOODS.items() if mood}
    moods_asked = [item for item in moods(world, "test", 120) if item.label in mood_of]
    asked: dict[str, list[tuple[Text, Text]]] = {
        "facts": [(world.ask(f, i), world.answer(f, i)) for f in world.facts for i in range(3)],
        "topic": [((ASK_TOPIC, *item.text), world.fragment(item.label)) for item in topics(world, "test", 120)],
        "mood": [((ASK_MOOD, *item.text), world.fragment(mood_of[item.label])) for item in moods_asked],
    }
    found: dict[str, dict[str, float]] = {}
    for code in world.codes:
        found[code] = {}
        for name, items in asked.items():
            # the request on a line of its own, as in the instructions
            said = ask(["\n".join(world.say((clause,), code) for clause in question) for question, _ in items])
            right = [(world.say(answer, code), world.say(answer, SOURCE)) for _, answer in items]
            found[code][name] = _share(one in two for one, two in zip(said, right, strict=True))
    return found


def _mt_equal(model: Any, tokenizer: Any, lines: Lines, asked: Sequence[tuple[str, str, list[str]]]) -> str:
    """Of 100 sentences each way, how many come out of CTranslate2 (given) as out of transformers, greedy."""
    import torch

    mine, theirs = [], []
    for begin, end, said in asked:
        tokenizer.src_lang = begin
        with torch.inference_mode():
            out = model.generate(
                **tokenizer(lines[begin][:100], return_tensors="pt", padding=True),
                forced_bos_token_id=tokenizer.convert_tokens_to_ids(end),
                max_new_tokens=LONGEST,
                num_beams=1,
                do_sample=False,
            )
        mine += tokenizer.batch_decode(out, skip_special_tokens=True)
        theirs += said[:100]
    return _of(mine, theirs)


def _llm_equal(folder: Path, questions: Sequence[str], said: Sequence[str]) -> str:
    """Of questions, how many CTranslate2 answered (`said`) as transformers does, greedy."""
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer, model = open_tokenizer(folder), AutoModelForCausalLM.from_pretrained(folder)
    mine = []
    for prompt in prompt_ids(tokenizer, questions):  # one by one: no padding, no rounding by it
        ids = torch.tensor([prompt])
        with torch.inference_mode():
            out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=LONGEST, do_sample=False)
        mine.append(tokenizer.decode(out[0, len(prompt) :], skip_special_tokens=True))
    return _of(mine, said)


def _of(mine: Sequence[str], theirs: Sequence[str]) -> str:
    return f"{sum(a == b for a, b in zip(mine, theirs, strict=True))} of {len(mine)}"


def _auc(scores: Sequence[float], right: Sequence[bool]) -> float:
    """The chance that something right scores above something wrong."""
    good = [score for score, is_right in zip(scores, right, strict=True) if is_right]
    bad = [score for score, is_right in zip(scores, right, strict=True) if not is_right]
    if not good or not bad:
        return 0.5
    wins = sum((one > other) + 0.5 * (one == other) for one in good for other in bad)
    return round(wins / (len(good) * len(bad)), 3)


def _share(right: Iterable[bool]) -> float:
    found = list(right)
    return round(sum(found) / max(1, len(found)), 3)
