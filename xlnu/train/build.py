"""The steps of training, from a transfer set to a model: which there are, and what each depends on."""

import dataclasses
import functools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from xlnu.config import section, setting, settings
from xlnu.engines.checkpoint import Checkpoint
from xlnu.errors import UserError
from xlnu.spread import PoolConfig, call, connect, place
from xlnu.steps import NOBODY_KNOWS, Result, Step, Together, Work
from xlnu.train import logs, packs, result, workers, zero
from xlnu.train.loop import Pace, Progress
from xlnu.train.objective import Kind, Reliability
from xlnu.train.order import Order
from xlnu.train.schedule import Decay
from xlnu.train.tuned import LoraConfig, Numbers
from xlnu.train.zero import ZeroConfig
from xlnu.transfer.assemble import HELD_OUT, TRAIN

MODEL, MERGED = "model", "merged"  # steps
FOLDERS = {"packs": TRAIN, "held_out_packs": HELD_OUT}  # of the transfer set
TRAINING = "training.json"  # how it went, beside the model
Card = Callable[[Result, Progress], str]  # of the packs and of how training went, README.md
WINDOW = 4  # files of packs that are mixed with one another, and so held at once


@dataclass
class TrainConfig:
    """How a model is trained."""

    objective: Kind = setting(
        "sft",
        "what is minimised: sft, the answers' negative log-likelihood; fkl, rkl, jsd, taid: where the answer is in "
        "the source language, the divergence from what the same LLM says to the question in it",
    )
    reliability: Reliability = setting(
        "none", "weigh a row's divergence by the teacher's own probability of the answer, or by its rank"
    )
    method: Literal["lora", "full"] = setting("lora", "full: all weights; lora: adapters beside them")
    merge: bool = setting(False, "beside the adapter that lora leaves, a model with it merged in")
    lora: LoraConfig = section(LoraConfig)
    numbers: Numbers = setting("bf16", "what is computed in; DeepSpeed keeps the optimiser's own in fp32")
    length: int = setting(
        512, "tokens of a sequence; examples are packed into it, and longer ones left out", at_least=8
    )
    batch: int = setting(32, "sequences a step, over all workers", at_least=1)
    micro: int = setting(1, "sequences that a worker computes at once", at_least=1)
    epochs: int = setting(3, "how often every example is seen", at_least=1)
    least_steps: int = setting(0, "if epochs are fewer steps than this, there are more epochs", at_least=0)
    lr: float = setting(1e-4, "the learning rate at its highest; 2e-5 is usual for method=full", above=0)
    warmup: float = setting(0.03, "share of all steps over which it rises", at_least=0, at_most=1)
    decay: Decay = setting("cosine", "how it falls afterwards")
    beta1: float = setting(0.9, "AdamW's", at_least=0, at_most=1)
    beta2: float = setting(0.999, "AdamW's", at_least=0, at_most=1)
    weight_decay: float = setting(0.0, "AdamW's", at_least=0)
    clip: float = setting(1.0, "the gradient's norm is cut to this; 0: never", at_least=0)
    evaluate_every: int = setting(
        100, "steps between looks at the held-out loss, each with a checkpoint", at_least=1
    )
    patience: int = setting(3, "looks without a better loss before it stops; 0: it goes on to the end", at_least=0)
    keep: int = setting(2, "the best checkpoints that are kept while it runs, and the last beside them", at_least=1)
    recompute: bool = setting(False, "compute layers' states again for the backward pass: less memory, more time")
    attention: Literal["sdpa", "eager", "flash_attention_2"] = setting("sdpa", "how transformers computes it")
    seed: int = setting(0, "of the order, of dropout, and of adapters' first weights", at_least=0)
    zero: ZeroConfig = section(ZeroConfig)
    pool: PoolConfig = section(PoolConfig)


def about(config: TrainConfig) -> dict[str, object]:
    """What of the settings changes the model. How the work is spread does not, but by rounding."""
    found = dataclasses.asdict(config)
    for only_how in ("micro", "keep", "recompute", "attention", "zero", "pool", "length", "merge"):
        del found[only_how]
    if config.method == "full":
        del found["lora"]
    if config.objective == "sft":
        del found["reliability"]
    return found


def check(config: TrainConfig) -> None:
    if config.merge and config.method != "lora":
        raise UserError("train.merge: train.method=full leaves a whole model anyway")
    if config.objective != "sft" and config.method != "lora":
        raise UserError(
            f"train.objective: {config.objective} needs train.method=lora: the teacher is the same model with its "
            "adapters off"
        )
    at_once = config.micro * max(1, config.pool.actors)
    if config.batch % at_once:
        raise UserError(
            f"train.batch: {config.batch} is no multiple of {at_once}: train.micro for each of its workers"
        )
    _deepspeed(config, None, gpu=False)
    logs.check()
    if config.attention == "flash_attention_2" and config.numbers == "fp32":
        raise UserError("train.attention: flash_attention_2 needs train.numbers=bf16")
    if max(config.beta1, config.beta2) == 1:
        raise UserError("train.beta1, train.beta2: AdamW's are below 1")
    if config.pool.gpus > 1:
        raise UserError("train.pool.gpus: of one worker, which uses one; how many work is train.pool.actors")


def check_shares(config: TrainConfig, workers: int) -> None:
    """Once it is known how many there are."""
    if config.batch % (workers * config.micro):
        raise UserError(
            f"train.batch: {config.batch} cannot be shared among {workers} workers, each with "
            f"train.micro={config.micro}: take a multiple of {workers * config.micro}, or train.pool.actors=1"
        )


def _deepspeed(config: TrainConfig, workers: int | None, *, gpu: bool) -> dict[str, Any]:
    return zero.configuration(
        config.zero,
        micro=config.micro,
        batch=config.batch,
        workers=workers,
        clip=config.clip,
        bf16=config.numbers == "bf16",
        gpu=gpu,
    )


def steps(
    config: TrainConfig,
    model: Checkpoint,
    transfer: Step,
    card: Card,
    log_folder: Path | None = None,
) -> list[Step]:
    """Packs, packs of held-out rows, the model, and the same merged if asked for. `log_folder`: TensorBoard's."""
    check(config)
    cut = {"length": config.length, "seed": config.seed, **model.identity}
    pack = Together("packs", functools.partial(_pack, config=config, model=model))
    made = [
        Step(name, cut | {"folder": folder}, pack, (transfer,), estimate=NOBODY_KNOWS)
        for name, folder in FOLDERS.items()
    ]
    trained = {**about(config), **model.identity}
    run = functools.partial(_train, config=config, model=model, card=card, log_folder=log_folder)
    made.append(Step(MODEL, trained, run, tuple(made), estimate=NOBODY_KNOWS, tidy=_clear))
    if config.merge:
        made.append(
            Step(MERGED, {}, functools.partial(_merge, base=model, card=card), (*made,), estimate=NOBODY_KNOWS)
        )
    return made


def _merge(work: Work, base: Checkpoint, card: Card) -> int:
    model = work.inputs[MODEL]
    text = card(work.inputs["packs"], progress(model))
    call(result.write_merged, work.write_part, base, model.files(), text, display=work.task.display)
    return 0


def progress(model: Result) -> Progress:
    """How the training of a finished model went."""
    return Progress(**json.loads(model.store.read(f"{model.manifest.address}/{TRAINING}")))


def epochs(config: TrainConfig, packs: int) -> int:
    return max(config.epochs, math.ceil(config.least_steps * config.batch / packs))


def _pack(works: dict[str, Work], config: TrainConfig, model: Checkpoint) -> dict[str, int]:
    rows = {name: work.inputs["transfer"].rows(FOLDERS[name]) for name, work in works.items()}
    for name, found in rows.items():
        if not len(found):
            hint = "; raise transfer.held_out" if FOLDERS[name] == HELD_OUT else ""
            raise UserError(f"{name}: the transfer set has no row in {FOLDERS[name]}/{hint}")
    return packs.make(works, rows, model, config.length, config.seed)


def _train(
    work: Work,
    config: TrainConfig,
    model: Checkpoint,
    card: Card,
    log_folder: Path | None,
) -> int:
    train, held_out = (packs.index(work.inputs[n].rows(rejected=True)) for n in ("packs", "held_out_packs"))
    for name, found in (("packs", train), ("held_out_packs", held_out)):
        if not len(found):
            raise UserError(f"{name}: every row was rejected: raise train.length={config.length}")
    connect(work.task.display)
    placed = place(config.pool)
    check_shares(config, placed.actors)
    job = workers.Job(
        model=model,
        numbers=config.numbers,
        lora=config.lora if config.method == "lora" else None,
        recompute=config.recompute,
        attention=config.attention,
        kind=config.objective,
        reliability=config.reliability,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
        deepspeed=_deepspeed(config, placed.actors, gpu=bool(placed.gpus)),
        micro=config.micro,
        order=Order(len(train), train.per_file, WINDOW, config.batch, epochs(config, len(train)), config.seed),
        pace=Pace(config.lr, config.warmup, config.decay, config.evaluate_every, config.patience, config.seed),
        train=train,
        held_out=held_out,
        told=settings(config),
    )
    made = workers.train(work, job, placed, config.keep, log_folder)
    wanted = result.Wanted(model, config.numbers, job.lora, card(work.inputs["packs"], made.progress))
    call(result.write, work.write_part, made.folder, wanted, display=work.task.display)
    told = json.dumps(dataclasses.asdict(made.progress)).encode()
    work.write_part.store.write(f"{work.write_part.address}/{TRAINING}", told)
    return 0


def _clear(model: Result) -> None:
    """Its checkpoints, once the step is finished: before, a kill would cost the whole training."""
    model.store.delete_folder(f"{workers.FOLDER}/{model.manifest.address}")
