"""DeepSpeed's settings: ours, a user's own beside them, and what may not be said twice."""

import json
from pathlib import Path
from typing import Any

import pytest

from xlnu.errors import UserError
from xlnu.train.zero import ON_PROCESSORS, ZeroConfig, configuration


def made(tmp_path: Path, theirs: dict[str, Any], *, gpu: bool = True, **zero: Any) -> dict[str, Any]:
    path = tmp_path / "deepspeed.json"
    path.write_text(json.dumps(theirs))
    config = ZeroConfig(**zero, json=str(path))
    return configuration(config, micro=2, batch=16, workers=4, clip=1.0, bf16=True, gpu=gpu)


def test_what_only_the_user_says_is_honoured(tmp_path: Path) -> None:
    theirs = {
        "zero_optimization": {"stage": 2, "overlap_comm": True, "reduce_bucket_size": 1000},
        "train_batch_size": "auto",
        "gradient_accumulation_steps": 2,
        "comms_logger": {"enabled": True},
    }
    found = made(tmp_path, theirs, gpu=False)
    assert found["zero_optimization"] == {"stage": 2, "overlap_comm": True, "reduce_bucket_size": 1000}
    assert found["comms_logger"] == {"enabled": True}
    assert (found["train_batch_size"], found["gradient_accumulation_steps"]) == (16, 2)


@pytest.mark.parametrize(
    ("theirs", "what"),
    [
        ({"zero_optimization": {"stage": 3}}, "zero_optimization.stage is 3 there and 2 by train.zero.stage"),
        ({"train_batch_size": 32}, "train_batch_size is 32 there and 16 by train.batch"),
        ({"gradient_clipping": 0.5}, "gradient_clipping is 0.5 there and 1.0 by train.clip"),
        ({"bf16": {"enabled": False}}, "bf16.enabled is False there and True by train.numbers"),
        (
            {"zero_optimization": {"offload_optimizer": {"device": "cpu"}}},
            "zero_optimization.offload_optimizer.device is cpu there and none by train.zero.offload",
        ),
        ({"optimizer": {"type": "Lion"}}, "take 'optimizer' out: train.lr, train.beta1"),
        ({"curriculum_learning": {}}, "take 'curriculum_learning' out"),
    ],
)
def test_what_contradicts_is_an_error(tmp_path: Path, theirs: dict[str, Any], what: str) -> None:
    with pytest.raises(UserError) as error:
        made(tmp_path, theirs)
    assert what in str(error.value)
    assert str(tmp_path / "deepspeed.json") in str(error.value)


@pytest.mark.parametrize(("text", "what"), [("{", "cannot be read as JSON"), ("[]", "holds no settings by name")])
def test_what_is_no_settings(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "deepspeed.json"
    path.write_text(text)
    with pytest.raises(UserError, match=what):
        configuration(ZeroConfig(json=str(path)), micro=1, batch=1, workers=1, clip=1.0, bf16=True, gpu=True)


def test_processors_reduce_in_smaller_buckets(tmp_path: Path) -> None:
    assert made(tmp_path, {}, gpu=False)["zero_optimization"]["reduce_bucket_size"] == ON_PROCESSORS
    assert "reduce_bucket_size" not in made(tmp_path, {}, gpu=True)["zero_optimization"]


@pytest.mark.parametrize(
    ("zero", "what"),
    [
        ({"stage": "0"}, "train.zero.stage: 0 needs train.numbers=fp32"),
        ({"stage": "2", "offload": "all"}, "all needs train.zero.stage=3"),
    ],
)
def test_what_deepspeed_cannot_do(tmp_path: Path, zero: dict[str, Any], what: str) -> None:
    with pytest.raises(UserError, match=what):
        made(tmp_path, {}, **zero)
