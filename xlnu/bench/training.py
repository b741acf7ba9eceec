"""Training on processors: our loop under DeepSpeed, in a group of one and on packs as the step leaves them, against
a bare loop in PyTorch on the same packs, and against Hugging Face's Trainer, which pads.

What counts is real tokens a second: padding is none. Every way sees each example once, from the same weights, each
in a process of its own. What is timed begins at the end of the first step, in which memory is first asked for, and
ends with the last step: Ray Train's start is not in it, nor looks at the held-out loss, nor checkpoints.
"""

import atexit
import dataclasses
import json
import math
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from xlnu import machine
from xlnu.bench.frame import Bench
from xlnu.bench.startup import python
from xlnu.cluster.pools import Placed
from xlnu.engines.checkpoint import find
from xlnu.rows import row_id
from xlnu.steps import Part, Rows, Writer
from xlnu.store import Store
from xlnu.train import workers
from xlnu.train.answers import Answers
from xlnu.train.build import WINDOW, TrainConfig
from xlnu.train.examples import Example
from xlnu.train.feed import Feed, Share
from xlnu.train.loop import Progress, fit
from xlnu.train.order import Order
from xlnu.train.packing import IGNORED, pack
from xlnu.train.packs import PACKS, Index, index

if TYPE_CHECKING:
    import torch

PACKED = Part(0, 0, 0).name  # the one file of packs
PAD = 0


@dataclass(frozen=True)
class Shape:
    """The model and the work; as it stands, a Llama of 110 M, and some 6,000 real tokens."""

    hidden: int = 768
    layers: int = 12
    heads: int = 12
    feed_forward: int = 2048
    vocabulary: int = 32_000
    examples: int = 48
    median: int = 80  # of their tokens, which are log-normal, as those of instructions are
    spread: float = 0.95  # the deviation of their logarithm
    shortest: int = 20
    length: int = 512  # of a pack, and of the longest example
    batch: int = 4  # packs a step
    micro: int = 1  # packs at once, for ours and for the bare loop; as TrainConfig has it
    padded: int = 8  # examples at once for Trainer: its own default
    # So small that an example's loss hardly depends on those seen before: Trainer takes them in another order, and
    # the mean over all is to be the same. So large that a loop that does not learn would show.
    lr: float = 1e-5


@dataclass(frozen=True)
class Steps:
    """What was done, step by step."""

    ends: list[float] = field(default_factory=list)  # when
    tokens: list[int] = field(default_factory=list)  # real ones
    learned: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # means over what is learned

    def ended(self, tokens: int, learned: int, loss: float) -> None:
        self.ends.append(time.perf_counter())
        self.tokens.append(tokens)
        self.learned.append(learned)
        self.losses.append(loss)

    @property
    def rate(self) -> float:
        return sum(self.tokens[1:]) / (self.ends[-1] - self.ends[0])


@dataclass(frozen=True, eq=False)
class Work:
    """What two runs must agree on: counts to the last token, losses to what another order of sums may change."""

    tokens: Sequence[int]
    learned: Sequence[int]
    losses: Sequence[float]
    same: float

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Work)
        counts = (self.tokens, self.learned) == (other.tokens, other.learned)
        return counts and all(abs(a - b) <= self.same for a, b in zip(self.losses, other.losses, strict=True))


def step_by_step(done: Steps) -> tuple[float, Work]:
    return done.rate, Work(done.tokens, done.learned, done.losses, same=1e-5)


def in_all(done: Steps) -> tuple[float, Work]:
    """For who sees the examples in another order."""
    learned = sum(done.learned)
    mean = sum(loss * n for loss, n in zip(done.losses, done.learned, strict=True)) / learned
    return done.rate, Work([sum(done.tokens)], [learned], [mean], same=1e-3)


def made_examples(shape: Shape) -> list[Example]:
    """Of random tokens, 20 to 60 % of them the prompt. The lengths are evenly over their distribution."""
    drawn, logarithms = random.Random(0), NormalDist(math.log(shape.median), shape.spread)
    found = []
    for i in range(shape.examples):
        length = round(math.exp(logarithms.inv_cdf((i + 0.5) / shape.examples)))
        length = min(max(length, shape.shortest), shape.length)
        ids = [drawn.randrange(PAD + 1, shape.vocabulary) for _ in range(length)]
        found.append(Example(ids, round(length * drawn.uniform(0.2, 0.6))))
    return found


class World:
    """The model and the packs on disk, and what runs on them."""

    def __init__(self, shape: Shape) -> None:
        self.shape, self.cores = shape, machine.cores()

    @cached_property
    def folder(self) -> Path:
        """Half a GB at full shape, deleted at exit."""
        place = tempfile.TemporaryDirectory(prefix="xlnu-bench-")
        atexit.register(place.cleanup)
        folder = Path(place.name)
        save_packs(Store(str(folder)), self.shape)
        (folder / "shape.json").write_text(json.dumps(dataclasses.asdict(self.shape)))
        self._alone(folder, "save_model")
        return folder

    def run(self, way: str) -> Steps:
        return Steps(**self._alone(self.folder, way))

    def products(self) -> float:
        rate: float = self._alone(self.folder, "products")
        return rate

    def benches(self) -> list[Bench]:
        return [
            Bench(
                name="train",
                baseline="bare PyTorch loop",
                goal=0.95,
                unit="tokens/s",
                higher_is_better=True,
                ours=lambda: step_by_step(self.run("ours")),
                theirs=lambda: step_by_step(self.run("bare")),
                limit="the model's matrix products alone",
                ceiling=self.products,
            ),
            Bench(
                name="train",
                baseline="transformers Trainer",
                goal=2,
                unit="tokens/s",
                higher_is_better=True,
                ours=lambda: in_all(self.run("ours")),
                theirs=lambda: in_all(self.run("trainer")),
                limit="the model's matrix products alone",
                ceiling=self.products,
            ),
        ]

    def _alone(self, folder: Path, what: str) -> Any:
        code = f"from xlnu.bench.training import alone; alone({str(folder)!r}, {what!r}, {self.cores})"
        return json.loads(python("-c", code)[1].splitlines()[-1])  # DeepSpeed's log comes before it


def alone(folder: str, what: str, threads: int) -> None:
    """Do one of WAYS in this process, and print what it returns as the last line."""
    os.environ["DS_ACCELERATOR"] = "cpu"
    import torch

    torch.set_num_threads(threads)
    shape = Shape(**json.loads(Path(folder, "shape.json").read_text()))
    done = WAYS[what](Path(folder), shape)
    sys.stdout.write("\n" + json.dumps(dataclasses.asdict(done) if isinstance(done, Steps) else done))


def save_packs(store: Store, shape: Shape) -> None:
    """As the step `packs` leaves them."""
    examples = made_examples(shape)
    packs = pack([len(one.ids) for one in examples], shape.length, seed=0)
    same = dict.fromkeys(PACKS.names) | {"language": "", "family": ""}
    rows = [
        {
            **same,
            "id": row_id(i),
            "ids": examples[i].ids,
            "prompt": examples[i].prompt,
            "pack": number,
            "learned": len(examples[i].ids) - examples[i].prompt,
        }
        for number, some in enumerate(packs)
        for i in some
    ]
    Writer(store, "packs")(Part(0, 0, len(rows)), pa.Table.from_pylist(rows, schema=PACKS))


def _save_model(folder: Path, shape: Shape) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(  # type: ignore[no-untyped-call]
        hidden_size=shape.hidden,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        vocab_size=shape.vocabulary,
        max_position_embeddings=shape.length,
        tie_word_embeddings=True,
        initializer_range=0.05,  # with the default of .02 all tokens have nearly the same loss, whatever is before
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder / "model")  # type: ignore[no-untyped-call]
    _tokenizer().save_pretrained(folder / "model")


def _tokenizer() -> Any:
    """One that knows what padding is, and no words."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    knows = Tokenizer(models.WordLevel({"<pad>": PAD}, "<pad>"))
    return PreTrainedTokenizerFast(tokenizer_object=knows, pad_token="<pad>", padding_side="right")  # type: ignore[no-untyped-call]


def _packs(folder: Path, shape: Shape) -> tuple[Index, Order]:
    store = Store(str(folder))
    packs = index(Rows(store, (f"{store.root}/packs/{PACKED}",), (shape.examples,), rejected=True))
    return packs, Order(len(packs), packs.per_file, WINDOW, shape.batch, epochs=1, seed=0)


def _feed(packs: Index, order: Order | None, shape: Shape, device: "torch.device") -> Feed:
    return Feed(packs, order, Share(0, 1, shape.micro, PAD, device, flat=False), shape.batch, teacher=False)


def _ours(folder: Path, shape: Shape) -> Steps:
    """What a worker does that Ray Train has started, without the reports to it."""
    import torch.distributed as dist
    from torch.distributed import HashStore  # type: ignore[attr-defined]

    os.environ["LOCAL_RANK"] = "0"
    machine.keep_memory()
    dist.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    packs, order = _packs(folder, shape)
    config = TrainConfig()
    config.numbers, config.batch, config.micro, config.lr = "fp32", shape.batch, shape.micro, shape.lr
    config.warmup, config.decay, config.evaluate_every, config.patience = 0, "constant", order.steps, 0
    recipe = Answers(
        checkpoint=find("model", str(folder / "model")),
        numbers=config.numbers,
        lora=None,
        recompute=config.recompute,
        attention=config.attention,
        kind="sft",
        reliability="none",
        order=order,
        train=packs,
        held_out=index(Rows(packs.rows.store, (), (), rejected=True)),
    )
    job = workers.job(recipe, config, Placed(1, 1, 0))
    engine = workers.start(job, 1)
    assert not recipe.apart, "the bare loop packs"
    running, done = recipe.running(engine, 0, 1, shape.micro), Steps()

    def told(row: dict[str, float]) -> None:
        done.ended(int(row["tokens"]), running.data.learned(int(row["step"]) - 1), row["loss"])

    fit(engine, running, job.pace, Progress(), lambda *_: None, told)
    return done


def _bare(folder: Path, shape: Shape) -> Steps:
    """What one writes who has the batches in memory, and nothing to save, to spread, or to look out for."""
    import torch
    from torch.nn.functional import cross_entropy
    from transformers import AutoModelForCausalLM

    config, done = TrainConfig(), Steps()
    feed = _feed(*_packs(folder, shape), shape, torch.device("cpu"))
    steps = [[micro.batch for micro in feed.micros(step) if micro.ids] for step in range(feed.steps)]
    model: Any = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32).train()
    betas = config.beta1, config.beta2
    optimizer = torch.optim.AdamW(model.parameters(), lr=shape.lr, betas=betas, weight_decay=config.weight_decay)
    for batches in steps:
        learned, mean = sum(int((batch.labels != IGNORED).sum()) for batch in batches), 0.0
        for batch in batches:
            logits = model(**batch.inputs()).logits[:, :-1]
            loss = cross_entropy(logits.flatten(0, 1), batch.labels[:, 1:].flatten(), reduction="sum") / learned
            loss.backward()  # type: ignore[no-untyped-call]
            mean += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        optimizer.zero_grad()
        done.ended(sum(stop - start for batch in batches for start, stop in batch.spans), learned, mean)
    return done


def _trainer(folder: Path, shape: Shape) -> Steps:
    """Trainer as most use it: examples in random order, padded to the longest of their batch, in its own settings
    but for those that ours has too. It makes about as many steps as ours.
    """
    import torch
    from transformers import (
        AutoModelForCausalLM,
        DataCollatorForSeq2Seq,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    config, examples, done = TrainConfig(), made_examples(shape), Steps()
    steps, counts = _packs(folder, shape)[1].steps, list[tuple[int, int]]()
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=shape.padded,
        gradient_accumulation_steps=max(1, round(len(examples) / steps / shape.padded)),
        num_train_epochs=1,
        learning_rate=shape.lr,
        lr_scheduler_type="constant",
        weight_decay=config.weight_decay,
        max_grad_norm=config.clip,
        use_cpu=True,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    pad = DataCollatorForSeq2Seq(_tokenizer())

    def collate(some: list[dict[str, Any]]) -> Any:
        batch = pad(some)
        counts.append((int(batch["attention_mask"].sum()), int((batch["labels"] != IGNORED).sum())))
        return batch

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            done.ends.append(time.perf_counter())

    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    rows: Any = [
        {"input_ids": one.ids, "labels": [IGNORED] * one.prompt + one.ids[one.prompt :]} for one in examples
    ]
    trainer = Trainer(model, arguments, collate, rows, callbacks=[Clock()])
    trainer.train()
    for start in range(0, len(counts), arguments.gradient_accumulation_steps):
        some = counts[start : start + arguments.gradient_accumulation_steps]
        done.tokens.append(sum(tokens for tokens, _ in some))
        done.learned.append(sum(learned for _, learned in some))
    done.losses.extend(row["loss"] for row in trainer.state.log_history if "loss" in row)
    return done


def _products(_folder: Path, shape: Shape) -> float:
    """Real tokens a second, if nothing were computed but the products of the model's matrices with states and with
    gradients, of `micro` full packs at once, and logits of answers alone.
    """
    import torch

    def seconds(rows: int, inputs: int, outputs: int) -> float:
        states, weights, gradients = (
            torch.randn(size) for size in ((rows, inputs), (outputs, inputs), (rows, outputs))
        )
        times = []
        for _ in range(6):
            start = time.perf_counter()
            states @ weights.T, gradients @ weights, gradients.T @ states
            times.append(time.perf_counter() - start)
        return sum(times[1:]) / len(times[1:])

    examples, rows = made_examples(shape), shape.micro * shape.length
    learned = sum(len(one.ids) - one.prompt for one in examples) / sum(len(one.ids) for one in examples)
    attention, up = seconds(rows, shape.hidden, shape.hidden), seconds(rows, shape.hidden, shape.feed_forward)
    down = seconds(rows, shape.feed_forward, shape.hidden)
    head = seconds(round(rows * learned), shape.hidden, shape.vocabulary)
    return rows / (shape.layers * (4 * attention + 2 * up + down) + head)


WAYS: dict[str, Callable[[Path, Shape], Steps | float | None]] = {
    "save_model": _save_model,
    "ours": _ours,
    "bare": _bare,
    "trainer": _trainer,
    "products": _products,
}
LLAMA_110M = Shape()


def benches(shape: Shape = LLAMA_110M) -> list[Bench]:
    return World(shape).benches()
