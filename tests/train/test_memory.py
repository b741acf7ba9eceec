"""What memory is told to take, held against the peak of processes that train; and against arithmetic."""

import gc
import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MixtralConfig

from xlnu.steps import Part, Rows, Writer
from xlnu.store import Store
from xlnu.train import memory as told
from xlnu.train import state
from xlnu.train.build import TrainConfig
from xlnu.train.feed import Feed, Share
from xlnu.train.loop import Pace, Progress, fit
from xlnu.train.memory import Memory, memory
from xlnu.train.objective import objective
from xlnu.train.order import Order
from xlnu.train.packs import PACKS, Index, index
from xlnu.train.passes import ACTIVATIONS, GRADIENTS, Unknown
from xlnu.train.tuned import LoraConfig, load
from xlnu.train.zero import ZeroConfig, configuration

pytestmark = pytest.mark.timeout(900)

STEPS = 2
SMALL = {"num_attention_heads": 8, "num_key_value_heads": 4, "max_position_embeddings": 4096}
MODEL = {"vocab_size": 12000, "hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 6} | SMALL
TINY = {"vocab_size": 200, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1} | SMALL
FULL: dict[str, Any] = {"method": "full", "numbers": "fp32", "length": 128, "batch": 2}
LORA: dict[str, Any] = {"method": "lora", "numbers": "bf16", "lora": LoraConfig(), "zero": ZeroConfig("2")}

# Each with another thing in its peak: optimiser and checkpoint, a teacher and logits, logits alone, activations.
ALONE = {
    "full": TrainConfig(**FULL, zero=ZeroConfig("1")),
    "taught": TrainConfig(**LORA, length=384, batch=2, micro=2, objective="fkl"),
    "recomputed": TrainConfig(**LORA, length=1024, batch=1, recompute=True),
    "long": TrainConfig(**LORA, length=2048, batch=1),
}
SHARED = {"spread": TrainConfig(**FULL, zero=ZeroConfig("3"))}


def written(folder: Path, shape: dict[str, int], config: TrainConfig) -> str:
    """A checkpoint with random weights."""
    place = folder / f"{shape['hidden_size']}-{config.numbers}"
    if not place.exists():
        torch.manual_seed(0)
        make: Any = AutoModelForCausalLM.from_config
        kind = torch.bfloat16 if config.numbers == "bf16" else torch.float32
        make(LlamaConfig(**shape), dtype=kind).save_pretrained(place)
    return str(place)


def full_packs(folder: Path, config: TrainConfig) -> Index:
    """Packs of two examples without a gap; all but the first token of each is learned, from a teacher."""
    half = config.length // 2
    one = {"reject": None, "ids": [5] * half, "prompt": 1, "teacher": [6], "learned": half - 1}
    rows = [
        {**one, "id": f"{pack}-{i}", "pack": pack, "language": "", "family": ""}
        for pack in range(STEPS * config.batch)
        for i in range(2)
    ]
    store = Store(str(folder))
    Writer(store, "packs")(Part(0, 0, len(rows)), pa.Table.from_pylist(rows, schema=PACKS))
    return index(Rows(store, (f"{store.root}/packs/000000.parquet",), (len(rows),), rejected=True))


def resident(what: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) * 1024


def train(config: TrainConfig, model: str, packs: Index, out: Path, rank: int, workers: int) -> None:
    """As train.workers does it, without Ray."""
    import deepspeed

    lora = config.lora if config.method == "lora" else None
    module = load(model, config.numbers, lora, recompute=config.recompute, attention=config.attention)
    optimizer = torch.optim.AdamW([one for one in module.parameters() if one.requires_grad])
    bf16 = config.numbers == "bf16"
    settings = configuration(
        config.zero, micro=config.micro, batch=config.batch, workers=workers, clip=config.clip, bf16=bf16
    )
    engine, *_ = deepspeed.initialize(model=module, optimizer=optimizer, config=settings)
    del module, optimizer
    share = Share(rank, workers, config.micro, 0, engine.device, flat=False)
    data = Feed(packs, Order(len(packs), packs.per_file, 1, config.batch, 1, 0), share, config.batch,
                teacher=config.objective != "sft")  # fmt: skip
    held_out = Feed(packs, None, share, config.micro * workers, teacher=False)
    goal, judge = (objective(engine, kind, "none", STEPS) for kind in (config.objective, "sft"))

    def checkpoint(now: Progress, _measured: dict[str, float]) -> None:
        out.mkdir(parents=True)
        state.save(engine, out, rank, workers, {"step": now.step})
        shutil.rmtree(out)

    pace = Pace(1e-3, 0.0, "constant", STEPS, 0, 0)
    fit(engine, goal, data, held_out, judge, pace, Progress(), checkpoint, lambda _: None)


def measure(rank: int, workers: int, port: int, folder: Path, cases: dict[str, TrainConfig]) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "DS_ACCELERATOR": "cpu"}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(workers)}
    import deepspeed

    torch.set_num_threads(1)
    deepspeed.init_distributed("gloo")
    for name, config in cases.items():
        packs = full_packs(folder / f"{name}-{rank}", config)
        train(config, str(folder / f"64-{config.numbers}"), packs, folder / f"out-{rank}", rank, workers)
        gc.collect()  # what the libraries load on their first step is there now, and counts for nothing
        before = resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        train(config, str(folder / f"512-{config.numbers}"), packs, folder / f"out-{rank}", rank, workers)
        (folder / f"{name}-{rank}.json").write_text(json.dumps(resident("VmHWM") - before))
        gc.collect()


@pytest.fixture(scope="module")
def peaks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """The highest of the workers. What glibc keeps of freed memory is not DeepSpeed's: pieces above 64 kB go back."""
    folder, found = tmp_path_factory.mktemp("peaks"), dict[str, float]()
    spawning: Any = torch.multiprocessing
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MALLOC_ARENA_MAX", "1")
        patch.setenv("MALLOC_MMAP_THRESHOLD_", "65536")
        for workers, cases in ((1, ALONE), (2, SHARED)):
            for config in cases.values():
                for shape in (TINY, MODEL):
                    written(folder, shape, config)
            with socket.socket() as one:
                one.bind(("127.0.0.1", 0))
                port = one.getsockname()[1]
            spawning.spawn(measure, (workers, port, folder, cases), nprocs=workers)
            for name in cases:
                files = [folder / f"{name}-{rank}.json" for rank in range(workers)]
                found[name] = max(json.loads(file.read_text()) for file in files)
    return found


@pytest.mark.parametrize("name", [*ALONE, *SHARED])
def test_the_peak_is_as_told(peaks: dict[str, float], name: str, tmp_path: Path) -> None:
    LlamaConfig(**MODEL).save_pretrained(tmp_path)
    config = {**ALONE, **SHARED}[name]
    found = memory(config, str(tmp_path), 2 if name in SHARED else 1, gpu=False)
    expected = found.device.total - told.OF_PROCESS
    assert abs(peaks[name] / expected - 1) < 0.15, f"{peaks[name]:,} measured, {expected:,} told: {found.device}"


# ---------------------------------------------------------------------------------------------- arithmetic

LAYER = 4096 * (4096 + 1024 + 1024 + 4096) + 3 * 4096 * 14336 + 2 * 4096
LLAMA_8B = 2 * 128256 * 4096 + 32 * LAYER + 4096


@pytest.fixture(scope="module")
def llama_8b(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("llama")
    config = LlamaConfig(
        vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=8,
    )  # fmt: skip
    config.save_pretrained(folder)
    return str(folder)


def near(bytes_told: int, per_parameter: float, parameters: int = LLAMA_8B) -> bool:
    return abs(bytes_told / (per_parameter * parameters) - 1) < 1e-3


def test_all_weights_of_8b_on_8_gpus(llama_8b: str) -> None:
    """While it computes: 2 bytes of weights and of gradients and 12 of the optimiser, by 8; and what is gathered."""
    config = TrainConfig(method="full", length=8192, batch=8, zero=ZeroConfig("3"))
    found = memory(config, llama_8b, 8, gpu=True)
    assert found.parameters == found.trained == LLAMA_8B
    assert found.device.when == told.COMPUTING
    parts = found.device.parts
    assert near(parts[told.OPTIMISER], 12 / 8)
    assert near(parts[GRADIENTS], 2 / 8)
    assert near(parts[told.WEIGHTS] - 2 * 5 * 10**8, 2 / 8)
    assert parts[told.BUFFERS] == 2 * 5 * 10**8
    # a layer keeps at least its input, what its norms, projections and gate make of it, and a mask
    assert parts[ACTIVATIONS] > 32 * 8192 * 2 * (6 * 4096 + 3 * 14336 + 8192)


@pytest.mark.parametrize(("stage", "offload", "on_gpu", "on_host"), [
    ("1", "none", 2 + 12 / 8, 0), ("2", "none", 2 + 12 / 8, 0), ("2", "optimizer", 2, 12 / 8),
    ("3", "all", 0, 2 / 8 + 12 / 8),
])  # fmt: skip
def test_what_is_where(llama_8b: str, stage: Any, offload: Any, on_gpu: float, on_host: float) -> None:
    """Weights and the optimiser's state while a worker saves, when nothing else is held twice."""
    config = TrainConfig(method="full", length=64, batch=8, zero=ZeroConfig(stage, offload))
    found = memory(config, llama_8b, 8, gpu=True)
    assert found.host
    assert found.host.when == told.SAVING
    assert near(found.host.parts[told.CHECKPOINT], 12 / 8) or stage == "3"
    assert near(_state(found.host.parts), on_host) or not on_host
    assert found.device.parts.get(told.OPTIMISER, 0) == 0 or offload == "none"
    if offload == "none":
        assert found.device.when in (told.STEPPING, told.COMPUTING)
        assert near(found.device.parts[told.WEIGHTS], 2)
    assert found.device.total > on_gpu * LLAMA_8B


def _state(parts: dict[str, int]) -> int:
    return parts.get(told.WEIGHTS, 0) + parts.get(told.OPTIMISER, 0)
