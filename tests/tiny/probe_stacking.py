"""A quick look, in plain torch, at whether the tiny world shows what MT-LLM claims.

    python tests/tiny/probe_stacking.py --seeds 11 12 13 --split test [--control unmasked] [--fusion mlp]

Stack by stages 1 and 2, with and without each; against the LLM alone, the encoder alone and translate-test.
Settings were chosen on the validation split of seed 0; the test split of fresh seeds is for the numbers. The real
trainers replace this.
"""

import argparse
import copy
import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from xlnu.progress import Display
from xlnu.tiny import tasks
from xlnu.tiny.build import Built, TinyConfig, build
from xlnu.tiny.clauses import Clause
from xlnu.tiny.numbers import open_tokenizer, translator
from xlnu.tiny.sizes import SIZES
from xlnu.tiny.tongues import SOURCE
from xlnu.tiny.words import NUMBERS
from xlnu.tiny.world import Speaker, Text, World

LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
Segments = list[str]


@dataclass(frozen=True)
class Task:
    """Examples as the segments they are made of; `choose` pools each of the last four by itself, not all."""

    name: str
    choose: bool
    labels: int
    items: list[tuple[list[Text], int]]
    test: list[tuple[list[Text], int]]


def make_task(name: str, world: World, split: tasks.Split) -> Task:
    make = {"topic": tasks.topics, "mood": tasks.moods}
    amounts = {"train": 480, "validation": 120, "test": 240}

    def items(part: tasks.Split) -> list[tuple[list[Text], int]]:
        if name in make:
            labelled = make[name](world, part, amounts[part])
            names = sorted({item.label for item in labelled})
            return [([item.text], names.index(item.label)) for item in labelled]
        if name == "nli":
            return [
                ([item.premise, item.hypothesis], tasks.LABELS.index(item.label))
                for item in tasks.entailments(world, part, amounts[part] * 2)
            ]
        return [
            (
                [
                    item.passage,
                    item.question,
                    *(
                        (Clause("fragment", subject=answer[0].subject, number=number),)
                        for answer, number in zip(item.answers, NUMBERS, strict=True)
                    ),
                ],
                item.right,
            )
            for item in tasks.choices(world, part, amounts[part] * 2)
        ]

    train = items("train")
    return Task(
        name, name == "choice", 1 if name == "choice" else max(y for _, y in train) + 1, train, items(split)
    )


class Kit:
    """The world and its models."""

    def __init__(self, config: TinyConfig) -> None:
        self.built: Built = build(config, Display())
        self.seed = config.seed
        self.world = World(config.seed, SIZES[config.size].amounts.people)
        self.encoder = AutoModelForSeq2SeqLM.from_pretrained(self.built.mt).model.encoder
        self.mt_tokenizer = open_tokenizer(self.built.mt)
        self.llm = AutoModelForCausalLM.from_pretrained(self.built.llm).model
        self.llm_tokenizer = open_tokenizer(self.built.llm)
        self.embeddings: Tensor = self.llm.embed_tokens.weight.detach()

    def segments(self, items: Sequence[tuple[list[Text], int]], code: str) -> list[Segments]:
        return [[self.world.say(text, code) for text in texts] for texts, _ in items]


@dataclass
class Inputs:
    """One example as vectors, before the LLM; `groups` are the stretches of it that are pooled."""

    vectors: Tensor
    groups: list[tuple[int, int]]


def _groups(lengths: list[int], choose: bool) -> list[tuple[int, int]]:
    ends = [sum(lengths[: i + 1]) for i in range(len(lengths))]
    return [(end - n, end) for end, n in zip(ends, lengths, strict=True)][-4:] if choose else [(0, ends[-1])]


def read_llm(kit: Kit, examples: list[Segments], choose: bool) -> list[Inputs]:
    inputs = []
    for segments in examples:
        ids = [kit.llm_tokenizer(segment, add_special_tokens=False)["input_ids"] for segment in segments]
        flat = torch.tensor([token for part in ids for token in part])
        inputs.append(Inputs(kit.embeddings[flat], _groups([len(part) for part in ids], choose)))
    return inputs


def read_encoder(kit: Kit, examples: list[Segments], code: str, choose: bool) -> list[Inputs]:
    """Its states, without the language code's and that of </s>."""
    own = kit.mt_tokenizer.convert_tokens_to_ids(code)
    inputs = []
    for segments in examples:
        ids = [kit.mt_tokenizer(segment, add_special_tokens=False)["input_ids"] for segment in segments]
        flat = torch.tensor([[own, *(token for part in ids for token in part), 2]])
        with torch.no_grad():
            states = kit.encoder(input_ids=flat).last_hidden_state[0, 1:-1]
        inputs.append(Inputs(states, _groups([len(part) for part in ids], choose)))
    return inputs


class Reader(nn.Module):
    """The LLM over vectors: its own embeddings, or the encoder's states through a projection."""

    def __init__(self, kit: Kit, llm: nn.Module, projection: nn.Module | None, noise: float = 0.0) -> None:
        super().__init__()
        self.llm, self.projection, self.noise = llm, projection, noise
        self.begin = kit.embeddings[kit.llm_tokenizer.bos_token_id]

    def forward(self, batch: Sequence[Inputs]) -> Tensor:
        longest = max(len(each.vectors) for each in batch)
        vectors = torch.zeros(len(batch), longest, batch[0].vectors.shape[1])
        mask = torch.zeros(len(batch), longest + 1, dtype=torch.long)
        pool = torch.zeros(len(batch), len(batch[0].groups), longest + 1)
        for row, each in enumerate(batch):
            vectors[row, : len(each.vectors)] = each.vectors
            mask[row, : len(each.vectors) + 1] = 1
            for at, (start, stop) in enumerate(each.groups):
                pool[row, at, start + 1 : stop + 1] = 1 / max(1, stop - start)  # a translation may be empty
        if self.training and self.noise:
            vectors = vectors + self.noise * vectors.std() * torch.randn_like(vectors)
        if self.projection is not None:
            vectors = self.projection(vectors)
        # the place of the language code becomes the LLM's own <s>
        vectors = torch.cat([self.begin.expand(len(batch), 1, -1), vectors], 1)
        states: Tensor = self.llm(inputs_embeds=vectors, attention_mask=mask).last_hidden_state
        return pool @ states


class Linear(nn.Module):
    """Least squares from states to embeddings."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        super().__init__()
        self.mean = nn.Parameter(x.mean(0))
        away = x - x.mean(0)
        square = away.T @ away / len(x) + 1e-2 * torch.eye(x.shape[1])
        self.weight = nn.Parameter(torch.linalg.solve(square, away.T @ (y - y.mean(0)) / len(x)))
        self.bias = nn.Parameter(y.mean(0))

    def forward(self, states: Tensor) -> Tensor:
        return (states - self.mean) @ self.weight + self.bias


class Centroids(nn.Module):
    """An MLP in closed form: a hidden unit for each word of the source language, which only that word rouses."""

    def __init__(self, x: Tensor, y: Tensor, kinds: list[int], noise: float = 0.2, threshold: float = 0.7) -> None:
        super().__init__()
        made = torch.Generator().manual_seed(0)
        kind = torch.tensor(kinds)
        centres = torch.zeros(int(kind.max()) + 1, x.shape[1]).index_add(0, kind, x)
        centres = centres / torch.bincount(kind)[:, None] - x.mean(0)
        self.mean = nn.Parameter(x.mean(0))
        self.first = nn.Parameter(centres / centres.norm(dim=1, keepdim=True) ** 2)
        self.threshold = nn.Parameter(torch.full((len(centres),), threshold))
        hidden = self._hidden(x + noise * x.std() * torch.randn(x.shape, generator=made)).detach()
        square = hidden.T @ hidden / len(hidden)
        square += 1e-3 * hidden.pow(2).mean() * torch.eye(len(centres))
        self.second = nn.Parameter(torch.linalg.solve(square, hidden.T @ (y - y.mean(0)) / len(hidden)))
        self.bias = nn.Parameter(y.mean(0))

    def _hidden(self, states: Tensor) -> Tensor:
        return functional.relu((states - self.mean) @ self.first.T - self.threshold)

    def forward(self, states: Tensor) -> Tensor:
        return self._hidden(states) @ self.second + self.bias


def word_pairs(kit: Kit, texts: list[str]) -> tuple[Tensor, Tensor, list[int]]:
    """The encoder's states of source-language pieces beside the LLM's embeddings of the same words."""
    spelled: dict[str, int] = {}
    x, y, kinds = [], [], []
    for text, inputs in zip(texts, read_encoder(kit, [[text] for text in texts], SOURCE, False), strict=True):
        at = 0
        for word in text.replace(".", " .").replace("?", " ?").split():
            own = len(kit.mt_tokenizer(word, add_special_tokens=False)["input_ids"])
            if word in ".?":  # without the mark of a word's beginning
                own = 1
            theirs = kit.llm_tokenizer(word, add_special_tokens=False)["input_ids"]
            if word in ".?":
                theirs = [kit.llm_tokenizer.convert_tokens_to_ids(word)]
            for i in range(at, at + own):
                x.append(inputs.vectors[i])
                y.append(kit.embeddings[theirs].mean(0))
                kinds.append(spelled.setdefault(word, len(spelled)))
            at += own
        assert at == len(inputs.vectors), f"{text!r} came apart"
    return torch.stack(x), torch.stack(y), kinds


def fit(parts: list[tuple[list[nn.Parameter], float]], loss: Callable[[list[int]], Tensor], rows: int, steps: int,
        seed: int, batch: int = 32) -> float:  # fmt: skip
    rng, order, value = random.Random(seed), list[int](), torch.zeros(())
    optimiser = torch.optim.AdamW([{"params": weights, "lr": lr} for weights, lr in parts], weight_decay=0.0)
    for step in range(steps):
        if len(order) < batch:
            order = rng.sample(range(rows), rows)
        for group, (_, lr) in zip(optimiser.param_groups, parts, strict=True):
            group["lr"] = lr * min((step + 1) / 10, 1 - step / steps)
        value = loss([order.pop() for _ in range(batch)])
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_([weight for weights, _ in parts for weight in weights], 1.0)
        optimiser.step()
    return value.item()


def lora(kit: Kit, seed: int) -> Any:
    torch.manual_seed(seed)
    return get_peft_model(copy.deepcopy(kit.llm), LoraConfig(r=16, lora_alpha=32, target_modules=LAYERS))


def learning(model: nn.Module) -> list[nn.Parameter]:
    return [weight for weight in model.parameters() if weight.requires_grad]


def batches(rows: Sequence[Any], size: int = 60) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


@dataclass
class Recipe:
    stage1: int = 150
    stage2: int = 200
    teacher: int = 300
    lr: float = 2e-3
    teacher_lr: float = 2e-3
    projection_lr: float = 0.03  # of lr: at 1, the closed form is spoilt
    noise: float = 0.2
    texts: int = 1500


def study(kit: Kit, task: Task, fusion: str, recipe: Recipe) -> dict[str, dict[str, float]]:
    world, seed, choose = kit.world, kit.seed, task.choose
    found: dict[str, dict[str, float]] = {}
    gold = torch.tensor([label for _, label in task.items])
    wanted = torch.tensor([label for _, label in task.test])
    codes = world.codes

    def logits(head: nn.Module, pooled: Tensor) -> Tensor:
        scored: Tensor = head(pooled)
        return scored.squeeze(-1) if choose else scored.squeeze(1)

    @torch.no_grad()
    def accuracy(reader: Reader, head: nn.Module, inputs: list[Inputs]) -> float:
        reader.eval()
        said = torch.cat([logits(head, reader(part)).argmax(1) for part in batches(inputs)])
        return (said == wanted).float().mean().item()

    # the teacher: the LLM tuned on the task in the source language
    teacher, head = Reader(kit, lora(kit, seed), None), nn.Linear(kit.embeddings.shape[1], task.labels, bias=False)
    train = read_llm(kit, kit.segments(task.items, SOURCE), choose)
    teacher.train()
    fit(
        [(learning(teacher) + list(head.parameters()), recipe.teacher_lr)],
        lambda rows: functional.cross_entropy(logits(head, teacher([train[i] for i in rows])), gold[rows]),
        len(train), recipe.teacher, seed,
    )  # fmt: skip
    head.requires_grad_(False)
    tests = {code: kit.segments(task.test, code) for code in codes}
    found["zero_shot"] = {code: accuracy(teacher, head, read_llm(kit, tests[code], choose)) for code in codes}

    with translator(kit.built.mt) as translate:
        found["translate_test"] = {}
        for code in codes[1:]:
            flat = [segment for segments in tests[code] for segment in segments]
            english = iter(translate(flat, code, SOURCE))
            back = [[next(english) for _ in segments] for segments in tests[code]]
            found["translate_test"][code] = accuracy(teacher, head, read_llm(kit, back, choose))

    states = {code: read_encoder(kit, tests[code], code, choose) for code in codes}
    source = read_encoder(kit, kit.segments(task.items, SOURCE), SOURCE, choose)

    def mean(inputs: Sequence[Inputs]) -> Tensor:
        return torch.stack([torch.stack([each.vectors[a:b].mean(0) for a, b in each.groups]) for each in inputs])

    plain = nn.Linear(source[0].vectors.shape[1], task.labels)
    pooled = mean(source)
    fit(
        [(list(plain.parameters()), 2e-2)],
        lambda rows: functional.cross_entropy(logits(plain, pooled[rows]), gold[rows]),
        len(source), 300, seed, 64,
    )  # fmt: skip
    with torch.no_grad():
        found["encoder"] = {
            code: (logits(plain, mean(states[code])).argmax(1) == wanted).float().mean().item() for code in codes
        }

    # the stack
    speaker = Speaker(world, world.rng("probe unlabeled"))
    texts = [world.say(speaker.anything(), SOURCE) for _ in range(recipe.texts)]
    x, y, kinds = word_pairs(kit, texts)
    projection: nn.Module = Linear(x, y) if fusion == "linear" else Centroids(x, y, kinds)
    student_texts = read_encoder(kit, [[text] for text in texts], SOURCE, False)
    teacher_texts = read_llm(kit, [[text] for text in texts], False)
    with torch.no_grad():
        clean = Reader(kit, kit.llm, None)
        clean.eval()
        teacher.eval()
        read = torch.cat([clean(part) for part in batches(teacher_texts)])
        taught = torch.cat([teacher(part) for part in batches(train)])
        sure = logits(head, taught).log_softmax(1)

    def student() -> Reader:
        return Reader(kit, lora(kit, seed + 1), copy.deepcopy(projection), recipe.noise).train()

    def parts(reader: Reader) -> list[tuple[list[nn.Parameter], float]]:
        assert reader.projection is not None
        return [
            (learning(reader.llm), recipe.lr),
            (learning(reader.projection), recipe.lr * (1.0 if fusion == "linear" else recipe.projection_lr)),
        ]

    def align(reader: Reader) -> Reader:
        spread = read.var(0).mean()
        fit(
            parts(reader),
            lambda rows: functional.mse_loss(reader([student_texts[i] for i in rows]), read[rows]) / spread,
            len(texts), recipe.stage1, seed,
        )  # fmt: skip
        return reader

    def distil(reader: Reader) -> Reader:
        spread = taught.var(0).mean()

        def loss(rows: list[int]) -> Tensor:
            said = reader.train()([source[i] for i in rows])
            scored = logits(head, said)
            close = functional.mse_loss(said, taught[rows]) / spread
            like = functional.kl_div(scored.log_softmax(1), sure[rows], log_target=True, reduction="batchmean")
            return close + like + functional.cross_entropy(scored, gold[rows])

        fit(parts(reader), loss, len(source), recipe.stage2, seed)
        return reader

    def all_codes(reader: Reader, own: nn.Module = head) -> dict[str, float]:
        return {code: accuracy(reader, own, states[code]) for code in codes}

    found["closed form only"] = all_codes(Reader(kit, teacher.llm, projection))
    aligned = align(student())
    found["stacked"] = all_codes(distil(copy.deepcopy(aligned)))
    found["stacked, no stage 1"] = all_codes(distil(student()))
    own = nn.Linear(kit.embeddings.shape[1], task.labels, bias=False)
    tuned = copy.deepcopy(aligned)
    fit(
        [*parts(tuned), (list(own.parameters()), recipe.lr)],
        lambda rows: functional.cross_entropy(logits(own, tuned.train()([source[i] for i in rows])), gold[rows]),
        len(source), recipe.stage2, seed,
    )  # fmt: skip
    found["stage 1, then labels only"] = all_codes(tuned, own)
    return found


def table(found: dict[str, dict[str, float]], codes: list[str]) -> str:
    lines = [f"{'':28s}" + " ".join(f"{code[:3]:>5s}" for code in codes)]
    for mode, row in found.items():
        lines.append(f"{mode:28s}" + " ".join(f"{row[code]:5.2f}" if code in row else "     " for code in codes))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--split", choices=["validation", "test"], default="validation")
    parser.add_argument("--tasks", nargs="+", default=["topic", "mood", "nli", "choice"])
    parser.add_argument("--fusion", choices=["mlp", "linear"], default="mlp")
    parser.add_argument("--control", choices=["unmasked", "unaligned"])
    parser.add_argument("--size", choices=list(SIZES), default="s")
    parser.add_argument("--cache", default="")
    parser.add_argument("--recipe", default="{}", help="JSON, over the defaults of Recipe")
    parser.add_argument("--out", type=Path, help="a file of JSON lines to add the numbers to")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for seed in asked.seeds:
        config = TinyConfig(
            size=asked.size, seed=seed, cache=asked.cache, masked=asked.control != "unmasked",
            aligned=asked.control != "unaligned",
        )  # fmt: skip
        kit = Kit(config)
        for name in asked.tasks:
            began = time.process_time()
            found = study(
                kit, make_task(name, kit.world, asked.split), asked.fusion, Recipe(**json.loads(asked.recipe))
            )
            told = f"seed {seed}, {name}, {asked.split}, {asked.fusion}, {asked.control or 'as built'}"
            sys.stdout.write(
                f"{told}, {time.process_time() - began:.0f} CPU s\n{table(found, kit.world.codes)}\n\n"
            )
            sys.stdout.flush()
            if asked.out:
                line = {"seed": seed, "task": name, "split": asked.split, "fusion": asked.fusion, "found": found}
                with asked.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line | {"control": asked.control}) + "\n")


if __name__ == "__main__":
    main()
