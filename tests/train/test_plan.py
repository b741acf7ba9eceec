"""What --plan says of training, and what it advises where that does not fit."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from transformers import LlamaConfig, MixtralConfig

from xlnu import steps
from xlnu.cluster.pools import TrainerPool
from xlnu.config import load, section
from xlnu.errors import UserError
from xlnu.progress import Display
from xlnu.steps import Result, Step, Work
from xlnu.store import Store
from xlnu.train.build import TrainConfig
from xlnu.train.order import Order
from xlnu.train.packs import PACKS
from xlnu.train.plan import Amount, Place, amount, check, estimated, here, told

GB = 10**9


@dataclass
class Job:
    train: TrainConfig = section(TrainConfig)


def config(*arguments: str) -> TrainConfig:
    return load(Job, None, arguments).train


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of 0.7B parameters, and two layers."""
    folder = tmp_path_factory.mktemp("llama")
    LlamaConfig(  # type: ignore[no-untyped-call]
        vocab_size=32000, hidden_size=4096, intermediate_size=14336, num_hidden_layers=2, num_attention_heads=32,
        num_key_value_heads=8,
    ).save_pretrained(folder)  # fmt: skip
    return str(folder)


FULL = ("train.method=full", "train.length=512", "train.batch=8")
LORA = ("train.method=lora", "train.length=2048", "train.batch=8")


@pytest.mark.parametrize(
    ("arguments", "workers", "gpu", "device", "advice"),
    [
        ((*LORA, "train.micro=8"), 1, True, 10, "train.micro=4"),
        ((*LORA, "train.micro=2"), 1, True, 5.5, "train.micro=1"),
        (LORA, 1, True, 4.8, "train.recompute=true"),
        (FULL, 8, True, 5.6, "train.zero.offload=optimizer"),
        (FULL, 1, True, 8, "train.zero.offload=optimizer"),
        (FULL, 1, False, 8, "train.method=lora"),
        ((*LORA, "train.recompute=true", "train.length=8192"), 1, True, 5.3, "train.length=4096"),
    ],
)
def test_what_it_advises_fits(
    llama: str, arguments: tuple[str, ...], workers: int, gpu: bool, device: float, advice: str
) -> None:
    where = Place(workers, gpu, round(device * GB), 100 * GB)
    with pytest.raises(UserError) as caught:
        check(config(*arguments), llama, where)
    said = str(caught.value)
    assert "\n" not in said
    advised = said.partition("; it fits with ")[2].split()
    assert advised == [advice]
    assert check(config(*arguments, *advised), llama, where).device.total <= device * GB


def test_several_settings_where_none_alone_will_do(llama: str) -> None:
    where = Place(1, True, round(4 * GB), 100 * GB)
    arguments = (*LORA, "train.micro=8")
    with pytest.raises(UserError) as caught:
        check(config(*arguments), llama, where)
    advised = str(caught.value).partition("; it fits with ")[2].split()
    assert len(advised) > 1
    check(config(*arguments, *advised), llama, where)
    for left_out in advised:
        with pytest.raises(UserError):
            check(config(*arguments, *(one for one in advised if one != left_out)), llama, where)


def test_where_nothing_helps_it_says_how_much_is_needed(llama: str) -> None:
    where = Place(1, True, 2 * GB, 100 * GB)
    with pytest.raises(
        UserError, match=r"nothing makes it fit: with train\.\S+=.* still needs [\d.]+ GB"
    ) as caught:
        check(config(*FULL), llama, where)
    needed = float(str(caught.value).split()[-2]) * GB
    assert where.device
    assert needed > where.device
    settings = str(caught.value).partition("with ")[2].partition(" it still")[0].split()
    check(config(*FULL, *settings), llama, dataclasses.replace(where, device=round(needed * 1.01)))


def test_what_is_offloaded_must_fit_too(llama: str) -> None:
    arguments = (*FULL, "train.zero.offload=optimizer")
    with pytest.raises(UserError, match=r"part of its machine has 5\.00 GB"):
        check(config(*arguments), llama, Place(1, True, 80 * GB, 5 * GB))


def test_where_nobody_knows_what_there_is_nothing_is_refused(llama: str) -> None:
    said = told(config(*FULL), llama, Place(1, True, None, None), None)
    assert "what there is, is not known" in said


def packs(folder: Path, n: int) -> Result:
    row: dict[str, Any] = {"reject": None, "prompt": 1, "teacher": None, "language": "", "family": ""}

    def write(work: Work) -> int:
        rows = [{**row, "id": str(i), "ids": [5] * 9, "learned": 8, "pack": i} for i in range(n)]
        rows.append({**row, "id": "no", "ids": [], "learned": 0, "pack": -1, "reject": "too long"})
        for part in work.todo(len(rows), len(rows)):
            work.write(part, pa.Table.from_pylist(rows, schema=PACKS))
        return len(rows)

    step = Step("packs", {}, write)
    return steps.run([step], Store(str(folder)), Display())[step.address]


def test_the_text_of_a_plan(llama: str, tmp_path: Path) -> None:
    todo = amount(packs(tmp_path, 21))
    assert todo == Amount(21, 21 * 9)
    asked = config(*FULL, "train.epochs=2", "train.zero.stage=3")
    said = told(asked, llama, Place(8, True, 80 * GB, 32 * GB), todo)
    rows = dict(line.strip().split("  ", 1) for line in said.splitlines() if "  " in line.strip())
    assert rows["steps"].split(":")[0].strip() == str(Order(21, 21, 1, 8, 2, 0).steps)
    assert rows["tokens"].strip() == str(2 * 21 * 9)
    assert rows["trained"].strip().endswith("(100.00%)")
    in_all = next(line for line in said.splitlines() if "in all" in line)
    assert in_all.endswith("of 80.00 GB")
    parts = [line.split()[-2] for line in said.splitlines() if line.endswith(" GB") and "in all" not in line]
    totals = [line.split("in all")[1].split()[0] for line in said.splitlines() if "in all" in line]
    assert sum(map(float, parts)) == pytest.approx(sum(map(float, totals)), abs=0.1)


def test_before_packs_are_made_tokens_are_guessed(llama: str) -> None:
    assert estimated(10_000, 512).packs == 20
    said = told(config(*FULL), llama, Place(1, True, None, None), estimated(10_000, 512))
    assert "at most some 8: 20 packs, 3 times" in said
    assert "not known before" in told(config(*FULL), llama, Place(1, True, None, None), None)


def test_of_a_model_that_cannot_be_traced_the_rest_is_told(tmp_path: Path) -> None:
    small = MixtralConfig(vocab_size=99, hidden_size=64, intermediate_size=64, num_hidden_layers=1)  # type: ignore[no-untyped-call]
    small.save_pretrained(tmp_path)
    said = told(config(*LORA), str(tmp_path), Place(1, True, None, None), Amount(8, 80))
    assert "cannot be told of this model" in said
    assert "3: 8 packs, 3 times" in said


def test_here_workers_share_the_machine() -> None:
    whole = here(config())
    assert whole.workers == 1
    assert not whole.gpu
    two = config()
    two.pool = TrainerPool(actors=2, cpus=1)
    part = here(two)
    assert part.workers == 2
    assert whole.device
    assert part.device
    assert part.device < whole.device
