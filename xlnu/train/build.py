"""The steps of training, from a transfer set to a model: which there are, and what each depends on."""

import dataclasses
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from xlnu.cluster.pools import TrainerPool
from xlnu.config import setting
from xlnu.engines.checkpoint import Checkpoint
from xlnu.errors import UserError
from xlnu.spread import call, connect
from xlnu.steps import NOBODY_KNOWS, Estimate, Result, Step, Together, Work
from xlnu.train import config as loop
from xlnu.train import packs, result, workers
from xlnu.train.answers import Answers
from xlnu.train.config import LoopConfig, at_most, epochs, placed
from xlnu.train.loop import Progress
from xlnu.train.objective import Kind, Reliability
from xlnu.train.order import Order
from xlnu.transfer.assemble import HELD_OUT, TRAIN

MODEL, MERGED = "model", "merged"  # steps
FOLDERS = {"packs": TRAIN, "held_out_packs": HELD_OUT}  # of the transfer set
TRAINING = "training.json"  # how it went, beside the model
Card = Callable[[Result, Progress], str]  # of the packs and of how training went, README.md
WINDOW = 4  # files of packs that are mixed with one another, and so held at once


@dataclass
class TrainConfig(LoopConfig):
    """How an LLM is trained on a transfer set."""

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
    length: int = setting(
        512, "tokens of a sequence; examples are packed into it, and longer ones left out", at_least=8
    )


def about(config: TrainConfig) -> dict[str, object]:
    """What of the settings changes the model."""
    found = loop.about(config)
    for only_how in ("length", "merge"):  # of these packs and the merged model depend
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
    loop.check(config)


def steps(
    config: TrainConfig,
    model: Checkpoint,
    transfer: Step,
    card: Card,
    log_folder: Path | None = None,
    tokens: int | None = None,
) -> list[Step]:
    """Packs, packs of held-out rows, the model, and the same merged if asked for. `log_folder`: TensorBoard's.
    `tokens`: of the set, if somebody asks what it takes.
    """
    check(config)
    cut = {"length": config.length, "seed": config.seed, **model.identity}
    pack = Together("packs", functools.partial(_pack, config=config, model=model))
    made = [
        Step(name, cut | {"folder": folder}, pack, (transfer,), estimate=NOBODY_KNOWS)
        for name, folder in FOLDERS.items()
    ]
    trained = {**about(config), **model.identity}
    run = functools.partial(_train, config=config, model=model, card=card, log_folder=log_folder)
    made.append(Step(MODEL, trained, run, tuple(made), estimate=_takes(config, model, tokens), tidy=_clear))
    if config.merge:
        made.append(
            Step(MERGED, {}, functools.partial(_merge, base=model, card=card), (*made,), estimate=NOBODY_KNOWS)
        )
    return made


def _takes(config: TrainConfig, model: Checkpoint, tokens: int | None) -> Estimate:
    if tokens is None:
        return NOBODY_KNOWS
    seen = tokens * config.epochs
    effort = seen * model.parameters if model.parameters else None
    return Estimate(0, seen, None, TrainerPool.role, effort, at_most(config))


def _merge(work: Work, base: Checkpoint, card: Card) -> int:
    model = work.inputs[MODEL]
    text = card(work.inputs["packs"], progress(model))
    call(result.write_merged, work.write_part, base, model.files(), text, task=work.task)
    return 0


def progress(model: Result) -> Progress:
    """How the training of a finished model went."""
    return Progress(**json.loads(model.store.read(f"{model.manifest.address}/{TRAINING}")))


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
    where = placed(config)
    recipe = Answers(
        checkpoint=model,
        numbers=config.numbers,
        lora=config.lora if config.method == "lora" else None,
        recompute=config.recompute,
        attention=config.attention,
        kind=config.objective,
        reliability=config.reliability,
        order=Order(len(train), train.per_file, WINDOW, config.batch, epochs(config, len(train)), config.seed),
        train=train,
        held_out=held_out,
    )
    job = workers.job(recipe, config, where)
    made = workers.train(work, job, where, config.keep, log_folder)
    wanted = result.Wanted(model, config.numbers, recipe.lora, card(work.inputs["packs"], made.progress))
    call(result.write, work.write_part, made.folder, wanted, task=work.task)
    told = json.dumps(dataclasses.asdict(made.progress)).encode()
    work.write_part.store.write(f"{work.write_part.address}/{TRAINING}", told)
    return 0


def _clear(model: Result) -> None:
    """Its checkpoints, once the step is finished: before, a kill would cost the whole training."""
    model.store.delete_folder(f"{workers.FOLDER}/{model.manifest.address}")
