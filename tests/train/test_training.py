"""Training on Ray Train, from packs to a directory that others open."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.train.worlds import SMALL, rows, train, transfer, weights
from xlnu.engines.base import Decoding
from xlnu.engines.chat import question
from xlnu.engines.checkpoint import find
from xlnu.engines.ct2 import Ct2Generator, convert
from xlnu.engines.hf import HfGenerator
from xlnu.errors import Halt, UserError
from xlnu.tiny.build import Built
from xlnu.train import snapshot
from xlnu.train.build import TrainConfig
from xlnu.train.build import steps as train_steps
from xlnu.train.workers import died

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("ray_here")]


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_model_is_left_that_others_open(tiny: Built, tmp_path: Path) -> None:
    made = train(tiny, tmp_path, epochs=4)
    folder = made["model"].files().local()
    curve = json.loads((folder / "training.json").read_text())
    losses = [row["loss"] for row in curve["curve"]]
    assert losses[-1] < 0.9 * losses[0]
    assert curve["best"] < next(row["held_out_loss"] for row in curve["curve"] if "held_out_loss" in row)
    assert [row["step"] for row in curve["curve"]] == list(range(1, len(losses) + 1))
    assert not list((tmp_path / "training").iterdir()), "its checkpoints are gone"

    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    before: Any = AutoModelForCausalLM.from_pretrained(tiny.llm)
    moved = [float((a - b).abs().max()) for a, b in zip(model.parameters(), before.parameters(), strict=True)]
    assert all(moved)
    open_tokenizer: Any = AutoTokenizer.from_pretrained
    assert open_tokenizer(folder).chat_template == open_tokenizer(tiny.llm).chat_template

    (tmp_path / "ct2").mkdir()
    convert(str(folder), "float32", tmp_path / "ct2")
    limits: Any = {"batch_tokens": 512, "threads": 1, "gpus": 0}
    asked = [question(None, "who is it ?", "", 0)]
    answers = [
        engine.answer(asked, Decoding(8))
        for engine in (
            Ct2Generator(tmp_path / "ct2", "float32", **limits),
            HfGenerator(str(folder), "float32", **limits),
        )
    ]
    assert answers[0] == answers[1]

    again = train(tiny, tmp_path, epochs=4)
    assert all(result.skipped for result in again.values())
    spread = train(tiny, tmp_path, epochs=4, micro=2, recompute=True)
    assert spread["model"].skipped, "how the work is done is no part of what it makes"


def test_on_object_storage_it_is_the_same_model(tiny: Built, tmp_path: Path, s3: str) -> None:
    """Packs, checkpoints and the model are read and written by Ray's workers. Checkpoints are gone at the end."""
    there, here = (train(tiny, store)["model"] for store in (s3, tmp_path / "store"))
    one, other = weights(there), weights(here)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    for model in (there, here):
        assert not list(model.store.list("training")), "a state is six times a model"


def test_adapters_are_pefts_and_the_merged_model_says_the_same(tiny: Built, tmp_path: Path) -> None:
    import peft

    made = train(
        tiny, tmp_path, method="lora", objective="taid", reliability="probability", numbers="bf16", lr=1e-2
    )
    assert "merged" not in made
    adapter = made["model"].files().local()
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "README.md"} <= names(adapter)
    assert "model.safetensors" not in names(adapter)
    again = train(
        tiny,
        tmp_path,
        method="lora",
        objective="taid",
        reliability="probability",
        numbers="bf16",
        lr=1e-2,
        merge=True,
    )
    assert again["model"].skipped, "another form of the result is no other training"
    folder = again["merged"].files().local()
    base: Any = AutoModelForCausalLM.from_pretrained(tiny.llm, dtype=torch.float32)
    ids = torch.arange(3, 12)[None]
    with torch.no_grad():
        plain = base(ids).logits
        adapted = peft.PeftModel.from_pretrained(base, str(adapter))(ids).logits
        merged = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(ids).logits
    assert float((adapted - plain).abs().max()) > 0.01
    assert float((adapted - merged).abs().max()) < 0.05 * float(plain.abs().max()), "bf16 was written"


def test_it_stops_early_and_the_best_is_what_it_leaves(tiny: Built, tmp_path: Path) -> None:
    made = train(tiny, tmp_path, epochs=40, lr=3e-2, decay="constant", evaluate_every=3, patience=2)
    told = json.loads((made["model"].files().local() / "training.json").read_text())
    looks = {row["step"]: row["held_out_loss"] for row in told["curve"] if "held_out_loss" in row}
    assert told["best_step"] == min(looks, key=looks.__getitem__) == sorted(looks)[-3]
    model: Any = AutoModelForCausalLM.from_pretrained(made["model"].files().local())
    held = made["held_out_packs"].table().to_pylist()
    total, learned = 0.0, 0
    for row in (row for row in held if row["reject"] is None):
        labels = torch.tensor([[-100] * row["prompt"] + row["ids"][row["prompt"] :]])
        with torch.no_grad():
            loss = model(input_ids=torch.tensor([row["ids"]]), labels=labels).loss
        total, learned = total + float(loss) * row["learned"], learned + row["learned"]
    assert abs(total / learned - told["best"]) < 1e-3
    assert abs(looks[max(looks)] - told["best"]) > 1e-2, "else the last would do as well"


def test_a_dead_worker_is_told_from_a_fault_of_ours() -> None:
    from ray.exceptions import ActorDiedError
    from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
    from ray.train.v2.api.exceptions import WorkerGroupError

    dead = WorkerHealthCheckFailedError("A worker health check failed.", ActorDiedError())
    assert died(WorkerGroupError("", {0: ValueError("ours"), 1: dead}))
    assert not died(WorkerGroupError("", {0: ValueError("ours")}))


def test_what_the_store_refuses_ray_is_one_line(tiny: Built, tmp_path: Path) -> None:
    given = transfer(tiny, 120)
    made = train_steps(TrainConfig(**SMALL), find("english.model", str(tiny.llm)), given, lambda *_: "")
    address = next(step.address for step in made if step.name == "model")
    (tmp_path / "training" / address).mkdir(parents=True)
    (tmp_path / "training" / address / snapshot.NAME).symlink_to("/nowhere/at/all")  # not there, nor to be made
    with pytest.raises(Halt, match=rf"^model: .*{snapshot.NAME}.*; what is finished is kept: mend it"):
        train(tiny, tmp_path)


def test_a_loss_that_is_no_number_stops_it_with_the_rows(tiny: Built, tmp_path: Path) -> None:
    with pytest.raises(Halt) as caught:
        train(tiny, tmp_path, lr=1e30, clip=0.0, warmup=0.9, epochs=4, evaluate_every=1)
    said = re.fullmatch(
        r"model: step \d+: the loss is \S+ and the gradient's norm \S+; take a smaller train.lr, or look at its "
        r"rows: ([0-9a-f, ]+)(?: and \d+ more)?; (?:the last good checkpoint is \S+|there is no checkpoint yet)",
        str(caught.value),
    )
    held_out = r"model: step \d+: the held-out loss is \S+; take a smaller train.lr; .*checkpoint.*"
    assert said or re.fullmatch(held_out, str(caught.value))
    if said:
        assert {one["id"] for one in rows(tiny, 120)} >= set(said[1].split(", "))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": "fkl"}, "train.objective: fkl needs train.method=lora"),
        ({"batch": 4, "micro": 3}, "train.batch: 4 is no multiple of 3: train.micro for each"),
        ({"length": 8}, "packs: every row was rejected: raise train.length=8"),
        ({"method": "lora", "lora": None}, "train.lora.targets: "),
    ],
)
def test_a_mistake_is_one_line(tiny: Built, tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    from xlnu.train.tuned import LoraConfig

    if "lora" in settings:
        settings = {**settings, "lora": LoraConfig(targets=["nothing_here"])}
    with pytest.raises(UserError) as caught:
        train(tiny, tmp_path, **settings)
    assert str(caught.value).startswith(message)
