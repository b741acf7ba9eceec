"""A quick look, in plain torch, at whether the tiny world shows what SDRRL claims.

    python tests/tiny/probe_answers.py --seeds 11 12 13 --split test

The LLM answers the instructions in the source language; the translator translates questions and answers; COMETKiwi
keeps what it scores at 0.8 or above; the LLM is tuned on that and on a little parallel text. Asked are the facts
that no instruction gives away, in every language: of half the people for tuning this probe (validation), of the
others for its numbers (test). The real trainer replaces this.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM

from xlnu.progress import Display
from xlnu.tiny import qe
from xlnu.tiny.build import Built, TinyConfig, build
from xlnu.tiny.numbers import answerer, open_tokenizer, prompt_ids, translator
from xlnu.tiny.optimise import Optimiser, padded
from xlnu.tiny.sizes import SIZES
from xlnu.tiny.tongues import SOURCE
from xlnu.tiny.world import ASK_MOOD, ASK_TOPIC, Fact, Speaker, World

TAU = 0.8
Rows = list[tuple[str, str]]


def cue(world: World, code: str) -> str:
    return "answer in english." if code == SOURCE else f"answer in {world.by_code[code].name.lower()}."


def transfer_set(
    world: World, built: Built, families: Sequence[str], tau: float, pairs: int
) -> tuple[Rows, dict[str, float]]:
    """The rows to tune on, and the share of translations that were kept, by language."""
    asked = [(fact, form) for fact in world.facts if not world.is_kept(fact) for form in range(3)]
    questions = [world.say(world.ask(*each), SOURCE) for each in asked]
    speaker = Speaker(world, world.rng("probe instructions"))
    questions += [
        world.say((request, speaker.event()), SOURCE) for request in (ASK_TOPIC, ASK_MOOD) for _ in range(60)
    ]
    questions = list(dict.fromkeys(questions))
    with answerer(built.llm) as ask:
        answers = ask(questions)
    rows, kept = [], {}
    if "en_en" in families:
        rows += list(zip(questions, answers, strict=True)) * 3
    with translator(built.mt) as translate:
        for tongue in world.tongues:
            code = tongue.code
            asked_there, said_there = translate(questions, SOURCE, code), translate(answers, SOURCE, code)
            scores = qe.scores(
                built.qe,
                list(zip(questions, asked_there, strict=True)) + list(zip(answers, said_there, strict=True)),
            )
            good = [min(scores[i], scores[i + len(questions)]) >= tau for i in range(len(questions))]
            kept[code] = sum(good) / len(good)
            for i, is_good in enumerate(good):
                if not is_good:
                    continue
                if "tgt_tgt" in families:
                    rows.append((asked_there[i], said_there[i]))
                if "tgt_en" in families:
                    rows.append((f"{asked_there[i]}\n{cue(world, SOURCE)}", answers[i]))
                if "en_tgt" in families:
                    rows.append((f"{questions[i]}\n{cue(world, code)}", said_there[i]))
            if "parallel" in families:
                speaker = Speaker(world, world.rng(f"probe parallel {code}"))
                for i in range(pairs):
                    text = (speaker.one(),)
                    one, other = world.say(text, SOURCE), world.say(text, code)
                    if i % 2:
                        rows.append((f"translate the sentence into {tongue.name.lower()}.\n{one}", other))
                    else:
                        rows.append((f"translate the sentence into english.\n{other}", one))
    return rows, kept


def tune(built: Built, rows: Rows, steps: int, lr: float, muon: float, world: World, batch: int = 64) -> Any:
    torch.manual_seed(world.seed)
    model: Any = AutoModelForCausalLM.from_pretrained(built.llm)
    tokenizer = open_tokenizer(built.llm)
    prompts = prompt_ids(tokenizer, [question for question, _ in rows])
    answers = tokenizer([answer for _, answer in rows], add_special_tokens=False)["input_ids"]
    examples = [
        (prompt, [*answer, tokenizer.eos_token_id]) for prompt, answer in zip(prompts, answers, strict=True)
    ]
    optimiser = Optimiser(model, lr, muon, steps, warmup=20)
    rng, pool = world.rng("probe tuning"), list[list[tuple[list[int], list[int]]]]()
    for _ in range(steps):
        if not pool:
            some = sorted(
                rng.sample(examples, min(len(examples), 8 * batch)), key=lambda each: len(each[0] + each[1])
            )
            pool = [some[i : i + batch] for i in range(0, len(some), batch)]
            rng.shuffle(pool)
        part = pool.pop()
        ids = padded([prompt + answer for prompt, answer in part], tokenizer.pad_token_id)
        asked = torch.zeros_like(ids, dtype=torch.bool)
        for row, (prompt, answer) in enumerate(part):
            asked[row, len(prompt) : len(prompt) + len(answer)] = True
        states = model.model(input_ids=ids, attention_mask=(ids != tokenizer.pad_token_id).long()).last_hidden_state
        wanted = asked[:, 1:]
        optimiser.step(functional.cross_entropy(model.lm_head(states[:, :-1][wanted]), ids[:, 1:][wanted]))
    model.eval()
    return model


def score(world: World, facts: Sequence[Fact], folder: Path) -> dict[str, dict[str, float]]:
    """Exact match in the language; the right value anywhere in the answer; and exact in English, when told to."""
    found = {}
    asked = [(fact, form) for fact in facts for form in range(3)]
    with answerer(folder) as ask:
        for code in world.codes:
            questions = [world.say(world.ask(*each), code) for each in asked]
            said = ask(questions)
            english = ask([f"{question}\n{cue(world, SOURCE)}" for question in questions])
            right = [world.say(world.answer(*each), code) for each in asked]
            values = [world.say((world.bare(fact),), code)[:-1] for fact, _ in asked]
            right_english = [world.say(world.answer(*each), SOURCE) for each in asked]
            found[code] = {
                "exact": _share([a == b for a, b in zip(said, right, strict=True)]),
                "value": _share([value in answer for value, answer in zip(values, said, strict=True)]),
                "in_english": _share([a == b for a, b in zip(english, right_english, strict=True)]),
            }
    return found


def _share(right: list[bool]) -> float:
    return sum(right) / len(right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--split", choices=["validation", "test"], default="validation")
    parser.add_argument("--modes", nargs="+", default=["before", "sdrrl", "tgt_tgt"])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--lr", type=float, default=0.003)
    parser.add_argument("--muon", type=float, default=0.003)
    parser.add_argument("--cache", default="")
    parser.add_argument("--out", type=Path, help="a file of JSON lines to add the numbers to")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for seed in asked.seeds:
        config = TinyConfig(seed=seed, cache=asked.cache)
        built = build(config, Display())
        world = World(seed, SIZES[config.size].amounts.people)
        half = len(world.names.people) // 2
        people = world.names.people[:half] if asked.split == "validation" else world.names.people[half:]
        facts = [fact for fact in world.facts if world.is_kept(fact) and fact.person in people]
        for mode in asked.modes:
            began = time.process_time()
            kept: dict[str, float] = {}
            with tempfile.TemporaryDirectory() as place:
                folder = built.llm
                if mode != "before":
                    families = (
                        ["tgt_tgt"] if mode == "tgt_tgt" else ["en_en", "tgt_tgt", "tgt_en", "en_tgt", "parallel"]
                    )
                    tau = -9.0 if mode == "no_filter" else TAU
                    rows, kept = transfer_set(world, built, families, tau, asked.pairs)
                    folder = Path(place)
                    tune(built, rows, asked.steps, asked.lr, asked.muon, world).save_pretrained(folder)
                    open_tokenizer(built.llm).save_pretrained(folder)
                found = score(world, facts, folder)
            out = sys.stdout
            out.write(f"seed {seed}, {mode}, {asked.split}, {time.process_time() - began:.0f} CPU s\n")
            out.write(f"{'':12s}" + " ".join(f"{code[:3]:>5s}" for code in world.codes) + "\n")
            for name in ("exact", "value", "in_english"):
                out.write(f"{name:12s}" + " ".join(f"{found[code][name]:5.2f}" for code in world.codes) + "\n")
            if kept:
                out.write(f"{'kept':12s}      " + " ".join(f"{kept[code]:5.2f}" for code in kept) + "\n")
            out.write("\n")
            out.flush()
            if asked.out:
                line = {"seed": seed, "mode": mode, "split": asked.split, "found": found, "kept": kept}
                with asked.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
