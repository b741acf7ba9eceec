"""DeepSpeed: its configuration out of ours, and a user's own JSON beside it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from xlnu.config import setting
from xlnu.errors import UserError

Stage = Literal["0", "1", "2", "3"]
# What ours says by other names, in the section `key`. In the JSON each may stand with the same value or "auto".
OURS = {
    "train_micro_batch_size_per_gpu": "{key}.micro",
    "gradient_accumulation_steps": "{key}.batch, {key}.micro and {key}.pool.actors",
    "train_batch_size": "{key}.batch",
    "gradient_clipping": "{key}.clip",
    "zero_optimization.stage": "{key}.zero.stage",
    "zero_optimization.offload_optimizer.device": "{key}.zero.offload",
    "zero_optimization.offload_param.device": "{key}.zero.offload",
    "bf16.enabled": "{key}.numbers",
    "fp16.enabled": "{key}.numbers",
}
NOT_THERE = {
    "optimizer": "{key}.lr, {key}.beta1, {key}.beta2 and {key}.weight_decay say it here",
    "scheduler": "{key}.warmup and {key}.decay say it here",
    **dict.fromkeys(
        (
            "managed_gradient_accumulation", "torch_autocast", "progressive_layer_drop", "data_efficiency",
            "curriculum_learning", "compression_training", "sparse_attention", "zenflow", "amp",
        ),
        "it would change what is computed, and no result here would say so",
    ),
}  # fmt: skip
# Gradients that are reduced together. DeepSpeed's 500M make one bucket of all gradients of a smaller model: on
# processors, whose memory is written to for the first time at every step, a tenth slower, and a fifth more memory.
ON_PROCESSORS = 8_000_000


@dataclass
class ZeroConfig:
    """How DeepSpeed spreads a model's training over workers. None of it changes the result but by rounding."""

    stage: Stage = setting(
        "2", "what is spread: 0 nothing, 1 the optimiser's state, 2 gradients too, 3 the weights too"
    )
    offload: Literal["none", "optimizer", "all"] = setting(
        "none", "what stays in the machine's memory rather than the GPU's; all: the weights too, at stage 3"
    )
    json: str = setting("", "a file of DeepSpeed's own settings, for all that has no setting here")


def compile_nothing() -> None:
    """Before DeepSpeed sets up anything. On processors it would compile a faster all-reduce, for inference alone:
    for 86 s, with a compiler that must be there; and who is killed while it compiles leaves a lock in the user's
    cache, for which all later trainings wait for ever.
    """
    import deepspeed.ops

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def configuration(
    config: ZeroConfig,
    *,
    micro: int,
    batch: int,
    workers: int | None,
    clip: float,
    bf16: bool,
    gpu: bool,
    key: str = "train",
) -> dict[str, Any]:
    """What deepspeed.initialize is given; UserError where a user's JSON contradicts our settings. `workers`: None
    while nobody knows; `key`: the section that the settings stand in.
    """
    made = _configuration(config, micro, batch, workers, clip, bf16, key)
    if not gpu:
        made["zero_optimization"].setdefault("reduce_bucket_size", ON_PROCESSORS)
    return made


def _configuration(
    config: ZeroConfig, micro: int, batch: int, workers: int | None, clip: float, bf16: bool, key: str
) -> dict[str, Any]:
    stage = int(config.stage)
    if stage == 0 and bf16:
        raise UserError(
            f"{key}.zero.stage: 0 needs {key}.numbers=fp32; stage 1 keeps the optimiser's own numbers in fp32"
        )
    if config.offload != "none" and stage == 0:
        raise UserError(f"{key}.zero.offload: needs {key}.zero.stage=1, 2 or 3: at 0 nothing is spread")
    if config.offload == "all" and stage != 3:
        raise UserError(
            f"{key}.zero.offload: all needs {key}.zero.stage=3: below it every worker holds the weights"
        )
    zero: dict[str, Any] = {"stage": stage}
    if config.offload != "none":
        zero["offload_optimizer"] = {"device": "cpu"}
    if config.offload == "all":
        zero["offload_param"] = {"device": "cpu"}
    ours = {
        "train_micro_batch_size_per_gpu": micro,
        "gradient_accumulation_steps": workers and batch // (micro * workers),
        "train_batch_size": batch,
        "gradient_clipping": clip,
        "zero_optimization": zero,
        "bf16": {"enabled": bf16},
        "fp16": {"enabled": False},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,  # torch's AdamW, whose state we save, runs on processors too
        "steps_per_print": 10**9,
    }
    if not config.json:
        return ours
    theirs = _read(config.json, key)
    for name, instead in NOT_THERE.items():
        if name in theirs:
            raise UserError(f"{key}.zero.json: {config.json}: take {name!r} out: {instead.format(key=key)}")
    for name, instead in OURS.items():
        said, is_so = _at(theirs, name), _at(ours, name)
        is_so = "none" if is_so is None else is_so  # DeepSpeed's word for what is not offloaded
        unknown = workers is None and name == "gradient_accumulation_steps"
        if said not in (None, "auto") and not unknown and said != is_so:
            raise UserError(
                f"{key}.zero.json: {config.json}: {name} is {said} there and {is_so} by "
                f"{instead.format(key=key)}: say it once"
            )
    return _merged(theirs, ours)


def _read(path: str, key: str) -> dict[str, Any]:
    try:
        found = json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{key}.zero.json: {path}: cannot be read as JSON: {error}") from None
    if not isinstance(found, dict):
        raise UserError(f"{key}.zero.json: {path}: holds no settings by name")
    return found


def _at(settings: dict[str, Any], name: str) -> Any:
    for key in name.split("."):
        settings = settings.get(key, {}) if isinstance(settings, dict) else {}
    return None if settings == {} else settings


def _merged(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Ours, and what only they say."""
    both = {
        name: _merged(theirs[name], value)
        if isinstance(value, dict) and isinstance(theirs.get(name), dict)
        else value
        for name, value in ours.items()
    }
    return {name: value for name, value in theirs.items() if name not in ours} | both
