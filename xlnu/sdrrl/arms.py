"""What is trained and held against one another: SDRRL, its baselines, and itself without one of its parts."""

import copy
from collections.abc import Callable
from typing import Literal, TypeVar

from xlnu.train.objective import Kind
from xlnu.transfer.build import SetConfig
from xlnu.transfer.families import FamiliesConfig

Arm = Literal["before", "sdrrl", "sft", "translate_sft", "no_switch", "no_parallel", "no_filter"]
MEANING: dict[Arm, str] = {
    "before": "the model as it was",
    "sdrrl": "SDRRL, tuned on answers of its own (self-distillation)",
    "sft": "tuned on the source's own answers, in the source language",
    "translate_sft": "tuned on the source's own answers, translated",
    "no_switch": "SDRRL without code-switching",
    "no_parallel": "SDRRL without the parallel corpus",
    "no_filter": "SDRRL without the filter",
}
OBJECTIVES: dict[Kind, str] = {"sft": "hard", "fkl": "fkl", "rkl": "rkl", "jsd": "jsd", "taid": "taid"}

C = TypeVar("C", bound=SetConfig)


def variant(config: C, arm: Arm) -> C:
    """The settings that make an arm's transfer set."""
    made = copy.deepcopy(config)
    _CHANGES[arm](made)
    return made


def _only(config: SetConfig, family: Literal["gold_en_en", "gold_tgt_tgt"]) -> None:
    families = config.transfer.families
    for name in vars(FamiliesConfig()):
        setattr(families, name, 1.0 if name == family else 0.0)
    config.transfer.switch.p = 0.0  # it is a part of SDRRL


def _no_switch(config: SetConfig) -> None:
    config.transfer.switch.p = 0.0


def _no_parallel(config: SetConfig) -> None:
    families = config.transfer.families
    families.translate_fwd = families.translate_bwd = families.complete = 0.0


def _no_filter(config: SetConfig) -> None:
    config.transfer.filter = "none"


_CHANGES: dict[Arm, Callable[[SetConfig], None]] = {
    "before": lambda _config: None,
    "sdrrl": lambda _config: None,
    "sft": lambda config: _only(config, "gold_en_en"),
    "translate_sft": lambda config: _only(config, "gold_tgt_tgt"),
    "no_switch": _no_switch,
    "no_parallel": _no_parallel,
    "no_filter": _no_filter,
}
