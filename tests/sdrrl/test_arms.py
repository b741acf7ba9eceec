"""An arm is SDRRL's settings with one thing changed, and shares all steps that the change leaves alone."""

from pathlib import Path
from typing import Any

import pytest

from xlnu.config import load, settings
from xlnu.errors import UserError
from xlnu.progress import Display
from xlnu.sdrrl.arms import MEANING, Arm, variant
from xlnu.sdrrl.job import SdrrlConfig
from xlnu.tiny.build import Built
from xlnu.tiny.embed import embed
from xlnu.transfer.build import TransferSet

CONFIG = Path(__file__).parents[2] / "configs" / "tiny" / "sdrrl.yaml"


def config(tiny: Built) -> tuple[SdrrlConfig, Any]:
    made = load(SdrrlConfig, str(CONFIG), ["tiny.size=xs", f"tiny.cache={tiny.data.parent}"])
    return made, embed(made, made.tiny, Display(), plan=False)[1]


def changed(one: SdrrlConfig, arm: Arm) -> dict[str, Any]:
    before, after = settings(one), settings(variant(one, arm))
    return {name.removeprefix("transfer."): value for name, value in after.items() if value != before[name]}


def test_what_each_changes(tiny: Built) -> None:
    one, _ = config(tiny)
    assert changed(one, "sdrrl") == changed(one, "before") == {}
    assert changed(one, "no_switch") == {"switch.p": 0.0}
    assert changed(one, "no_filter") == {"filter": "none"}
    pairs = dict.fromkeys(("families.translate_fwd", "families.translate_bwd", "families.complete"), 0.0)
    assert changed(one, "no_parallel") == pairs
    own = dict.fromkeys(("families.en_en", "families.tgt_tgt", "families.tgt_en", "families.en_tgt"), 0.0)
    alone = {**pairs, **own, "switch.p": 0.0}
    assert changed(one, "sft") == {**alone, "families.gold_en_en": 1.0}
    assert changed(one, "translate_sft") == {**alone, "families.gold_tgt_tgt": 1.0}


def test_what_they_share_is_made_once(tiny: Built) -> None:
    one, declared = config(tiny)
    steps = {arm: TransferSet(variant(one, arm), declared).steps for arm in MEANING}
    addresses = {arm: {step.address for step in some} for arm, some in steps.items()}
    sdrrl = {step.name: step.address for step in steps["sdrrl"]}
    for arm in ("no_filter", "no_parallel", "no_switch"):
        new = {step.name for step in steps[arm] if step.address not in addresses["sdrrl"]}
        assert {name.rpartition("_")[0].partition("_")[0] or name for name in new} <= {"transfer", "switched"}, arm
        assert sdrrl["transfer"] not in addresses[arm]
    assert sdrrl["english"] in addresses["translate_sft"]
    assert not any(name.startswith("translated") for name in (step.name for step in steps["sft"]))


def test_an_arm_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match=r"arms: got .nothing. .*; allowed: a list out of before, sdrrl, sft"):
        load(SdrrlConfig, str(CONFIG), ["arms=[nothing]"])
