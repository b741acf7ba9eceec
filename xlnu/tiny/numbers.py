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
LONGEST = 60  # tokens; nothing in this world is longer


def numbers(world: World, parents: dict[str, Path], texts: Sequence[Text]) -> dict[str, Any]:
    # `texts` are the meanings of these lines, which no training has met
    lines = {code: _lines(parents["data"] / "flores" / "devtest" / f"{code}.devtest") for code in world.codes}
    found: dict[str, Any] = {}
    with translator(parents["mt"]) as translate:
        found |= _translation(world, translate, lines)
        found |= _quality(world, translate, lines, parents["qe"], texts)
    found["retrieval_at_1"] = _retrieval(world, parents["mt"], lines)
    with answerer(parents["llm"]) as ask:
        found["llm"] = {code: _knowledge(world, ask, code) for code in world.codes}
    found["converted_equal"] = _equal(world, parents, lines)
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


def _translation(world: World, translate: Translate, lines: dict[str, list[str]]) -> dict[str, Any]:
    import sacrebleu

    found: dict[str, Any] = {"bleu_to_source": {}, "bleu_from_source": {}, "exact_from_source": {}}
    for tongue in world.tongues:
        code, source = tongue.code, lines[SOURCE]
        into, out = translate(lines[code], code, SOURCE), translate(source, SOURCE, code)
        found["bleu_to_source"][code] = round(sacrebleu.corpus_bleu(into, [source]).score, 1)
        found["bleu_from_source"][code] = round(sacrebleu.corpus_bleu(out, [lines[code]]).score, 1)
        found["exact_from_source"][code] = _share(a == b for a, b in zip(out, lines[code], strict=True))
    one, other = world.tongues[0].code, world.tongues[1].code
    across = translate(lines[one], one, other)
    found["bleu_across"] = {f"{one}-{other}": round(sacrebleu.corpus_bleu(across, [lines[other]]).score, 1)}
    return found


def _quality(
    world: World, translate: Translate, lines: dict[str, list[str]], folder: Path, texts: Sequence[Text]
) -> dict[str, Any]:
    from xlnu.tiny import qe

    rng = world.rng("judged test")
    judged = judgements(world, "test", 900, translate, lambda: rng.choice(texts))
    given = qe.scores(folder, [(each.source, each.translation) for each in judged])
    right = [each.score == 1.0 for each in judged]
    found: dict[str, Any] = {
        "qe_auc": _auc(given, right),
        "qe_auc_spoilt": _auc(*_but(given, right, 2)),
        "qe_auc_machine": _auc(*_but(given, right, 1)),
        "qe_good_rejected": _share(score < TAU for score, good in zip(given, right, strict=True) if good),
        "qe_bad_rejected": _share(score < TAU for score, good in zip(given, right, strict=True) if not good),
        "qe_rejected": {},
    }
    for tongue in world.tongues:
        out = translate(lines[SOURCE], SOURCE, tongue.code)
        scores = qe.scores(folder, list(zip(lines[SOURCE], out, strict=True)))
        found["qe_rejected"][tongue.code] = _share(score < TAU for score in scores)
    return found


def _but(given: Sequence[float], right: Sequence[bool], kind: int) -> tuple[list[float], list[bool]]:
    """Without one of the three kinds that `judgements` takes in turn: good, spoilt, by machine."""
    kept = [i for i in range(len(given)) if i % 3 != kind]
    return [given[i] for i in kept], [right[i] for i in kept]


def _retrieval(world: World, folder: Path, lines: dict[str, list[str]]) -> dict[str, float]:
    """How often the nearest sentence of the source language, by the encoder's mean state, is the right one."""
    import torch
    from transformers import AutoModelForSeq2SeqLM

    tokenizer = open_tokenizer(folder)
    encoder = AutoModelForSeq2SeqLM.from_pretrained(folder).eval().model.encoder

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


def _knowledge(world: World, ask: Callable[[Sequence[str]], list[str]], code: str) -> dict[str, float]:
    """Asked in a language, and right if the answer is right in that language or in the source language."""
    facts = [(fact, form) for fact in world.facts for form in range(3)]
    answers = ask([world.say(world.ask(*each), code) for each in facts])
    right = [answer in _said(world, code, world.answer(*each)) for answer, each in zip(answers, facts, strict=True)]
    found = {"facts": _share(right)}
    labels = {label: mood for mood, label in MOODS.items() if mood}
    for name, request, items in (
        ("topic", ASK_TOPIC, [(item.text, item.label) for item in topics(world, "test", 120)]),
        ("mood", ASK_MOOD, [(i.text, labels[i.label]) for i in moods(world, "test", 120) if i.label in labels]),
    ):
        answers = ask([f"{world.say((request,), code)}\n{world.say(text, code)}" for text, _ in items])
        wanted = [_said(world, code, world.fragment(label)) for _, label in items]
        found[name] = _share(answer in want for answer, want in zip(answers, wanted, strict=True))
    return found


def _said(world: World, code: str, text: Any) -> tuple[str, str]:
    return world.say(text, code), world.say(text, SOURCE)


def _equal(world: World, parents: dict[str, Path], lines: dict[str, list[str]]) -> dict[str, str]:
    """Of 200 sentences each, how many come out of CTranslate2 as out of transformers, greedy."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    tokenizer = open_tokenizer(parents["mt"])
    model = AutoModelForSeq2SeqLM.from_pretrained(parents["mt"])
    one, other = world.tongues[0].code, world.tongues[-1].code
    asked = [(one, SOURCE), (SOURCE, other)]
    mine, theirs = [], []
    with translator(parents["mt"]) as translate:
        for begin, end in asked:
            texts = lines[begin][:100]
            theirs += translate(texts, begin, end)
            tokenizer.src_lang = begin
            with torch.inference_mode():
                out = model.generate(
                    **tokenizer(texts, return_tensors="pt", padding=True),
                    forced_bos_token_id=tokenizer.convert_tokens_to_ids(end),
                    max_new_tokens=LONGEST,
                    num_beams=1,
                    do_sample=False,
                )
            mine += tokenizer.batch_decode(out, skip_special_tokens=True)
    equal = {"mt": _of(mine, theirs)}
    llm_tokenizer = open_tokenizer(parents["llm"])
    llm = AutoModelForCausalLM.from_pretrained(parents["llm"])
    texts = [*lines[SOURCE][:100], *lines[one][:100]]
    with answerer(parents["llm"]) as ask:
        theirs = ask(texts)
    mine = []
    prompts = prompt_ids(llm_tokenizer, texts)
    for length in sorted({len(prompt) for prompt in prompts}):  # equal lengths together: no padding, no rounding
        same = torch.tensor([prompt for prompt in prompts if len(prompt) == length])
        with torch.inference_mode():
            out = llm.generate(same, attention_mask=torch.ones_like(same), max_new_tokens=LONGEST, do_sample=False)
        mine += llm_tokenizer.batch_decode(out[:, length:], skip_special_tokens=True)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    equal["llm"] = _of(mine, [theirs[i] for i in order])
    return equal


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
