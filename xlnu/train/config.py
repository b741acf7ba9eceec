"""The settings that every training has, whatever it trains, and what must hold between them."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

from xlnu.cluster.pools import Placed, TrainerPool, place
from xlnu.config import section, setting
from xlnu.errors import UserError
from xlnu.train import logs, zero
from xlnu.train.schedule import Decay
from xlnu.train.tuned import LoraConfig, Numbers
from xlnu.train.zero import ZeroConfig

# How the work is done: none of it changes the model but by rounding.
ONLY_HOW = ("micro", "keep", "recompute", "attention", "zero", "pool")


@dataclass
class LoopConfig:
    """What the loop asks for. A job's section with these may have another name than `train`: what is said of a
    setting takes that name as `key`.
    """

    numbers: Numbers = setting("bf16", "what is computed in; DeepSpeed keeps the optimiser's own in fp32")
    lora: LoraConfig = section(LoraConfig)
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
    pool: TrainerPool = section(TrainerPool)


def about(config: LoopConfig) -> dict[str, Any]:
    """What of the settings changes the model. How the work is spread does not, but by rounding."""
    return {name: value for name, value in dataclasses.asdict(config).items() if name not in ONLY_HOW}


def check(config: LoopConfig, key: str = "train") -> None:
    """Before any work."""
    at_once = config.micro * max(1, config.pool.actors)
    if config.batch % at_once:
        raise UserError(
            f"{key}.batch: {config.batch} is no multiple of {at_once}: {key}.micro for each of its workers"
        )
    deepspeed(config, None, gpu=False, key=key)
    logs.check()
    if config.attention == "flash_attention_2" and config.numbers == "fp32":
        raise UserError(f"{key}.attention: flash_attention_2 needs {key}.numbers=bf16")
    if max(config.beta1, config.beta2) == 1:
        raise UserError(f"{key}.beta1, {key}.beta2: AdamW's are below 1")
    if config.pool.gpus > 1:
        raise UserError(f"{key}.pool.gpus: of one worker, which uses one; how many work is {key}.pool.actors")


def workers(config: LoopConfig, holds: int) -> int:
    """As many as are asked for; if nobody says, as many as there is room for and the batch can be shared among."""
    if config.pool.actors:
        return config.pool.actors
    return next((n for n in range(holds, 1, -1) if config.batch % (n * config.micro) == 0), 1)


def at_most(config: LoopConfig) -> int:
    """Wherever it runs."""
    return workers(config, max(1, config.batch // config.micro))


def placed(config: LoopConfig, key: str = "train") -> Placed:
    """On the machines there are, or may be."""
    found = place(config.pool)
    actors = workers(config, found.actors)
    check_shares(config, actors, key)
    return dataclasses.replace(found, actors=actors, least=min(found.least, actors))


def check_shares(config: LoopConfig, workers: int, key: str = "train") -> None:
    """Once it is known how many there are."""
    if config.batch % (workers * config.micro):
        raise UserError(
            f"{key}.batch: {config.batch} cannot be shared among {workers} workers, each with "
            f"{key}.micro={config.micro}: take a multiple of {workers * config.micro}, or {key}.pool.actors=1"
        )


def deepspeed(config: LoopConfig, workers: int | None, *, gpu: bool, key: str = "train") -> dict[str, Any]:
    """What deepspeed.initialize is given. `workers`: None while nobody knows."""
    return zero.configuration(
        config.zero,
        micro=config.micro,
        batch=config.batch,
        workers=workers,
        clip=config.clip,
        bf16=config.numbers == "bf16",
        gpu=gpu,
        key=key,
    )


def epochs(config: LoopConfig, sequences: int) -> int:
    return max(config.epochs, math.ceil(config.least_steps * config.batch / sequences))
