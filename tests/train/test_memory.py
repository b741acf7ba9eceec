"""What memory is told to take, held against the peak of processes that train; and against arithmetic."""

import gc
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MixtralConfig

from tests.train.spawned import spawn
from xlnu.steps import Part, Rows, Writer
from xlnu.store import Store
from xlnu.train import memory as told
from xlnu.train import state
from xlnu.train.build import TrainConfig
from xlnu.train.feed import Feed, Share
from xlnu.train.loop import Pace, Progress, Running, fit
from xlnu.train.memory import Memory, memory
from xlnu.train.objective import Sft, objective
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
        make(LlamaConfig(**shape), dtype=kind).save_pretrained(place)  # type: ignore[no-untyped-call]
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
    optimizer = torch.optim.AdamW([one for one in module.parameters() if one.requires_grad], fused=True)
    bf16 = config.numbers == "bf16"
    settings = configuration(
        config.zero, micro=config.micro, batch=config.batch, workers=workers, clip=config.clip, bf16=bf16, gpu=False
    )
    engine, *_ = deepspeed.initialize(model=module, optimizer=optimizer, config=settings)
    del module, optimizer
    share = Share(rank, workers, config.micro, 0, engine.device, flat=False)
    data = Feed(packs, Order(len(packs), packs.per_file, 1, config.batch, 1, 0), share, config.batch,
                teacher=config.objective != "sft")  # fmt: skip
    held_out = Feed(packs, None, share, config.micro * workers, teacher=False)
    running = Running(data, held_out, objective(engine, config.objective, "none", STEPS), Sft(engine))

    def checkpoint(now: Progress, _measured: dict[str, float]) -> None:
        out.mkdir(parents=True)
        state.save(engine, out, rank, workers, {"step": now.step})
        shutil.rmtree(out)

    pace = Pace(1e-3, 0.0, "constant", STEPS, 0, 0)
    fit(engine, running, pace, Progress(), checkpoint, lambda _: None)


def measure(rank: int, workers: int, folder: Path, cases: dict[str, TrainConfig]) -> None:
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
    """Of the workers the highest, of memory that is in use: pieces above 64 kB go back to the system when they are
    freed. What glibc keeps of freed memory comes on top, in workers on processors.
    """
    folder, found = tmp_path_factory.mktemp("peaks"), dict[str, float]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MALLOC_ARENA_MAX", "1")
        patch.setenv("MALLOC_MMAP_THRESHOLD_", "65536")
        for workers, cases in ((1, ALONE), (2, SHARED)):
            for config in cases.values():
                for shape in (TINY, MODEL):
                    written(folder, shape, config)
            spawn(workers, measure, folder, cases)
            for name in cases:
                files = [folder / f"{name}-{rank}.json" for rank in range(workers)]
                found[name] = max(json.loads(file.read_text()) for file in files)
    return found


@pytest.mark.parametrize("name", [*ALONE, *SHARED])
def test_the_peak_is_as_told(peaks: dict[str, float], name: str, tmp_path: Path) -> None:
    LlamaConfig(**MODEL).save_pretrained(tmp_path)  # type: ignore[no-untyped-call]
    config = {**ALONE, **SHARED}[name]
    found = memory(config, str(tmp_path), 2 if name in SHARED else 1, gpu=False)
    expected = found.device.total - told.OF_PROCESS
    assert abs(peaks[name] / expected - 1) < 0.15, f"{peaks[name]:,} measured, {expected:,} told: {found.device}"


# ---------------------------------------------------------------------------------------------- arithmetic

WIDE = {"vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32}
LLAMA_8B = LlamaConfig(**WIDE, num_attention_heads=32, num_key_value_heads=8)  # type: ignore[no-untyped-call]
# q and o, k and v, the gate, up and down, two norms; embeddings, the head, and the last norm
PARAMETERS = 32 * (4096 * (2 * 4096 + 2 * 1024 + 3 * 14336) + 2 * 4096) + 2 * 128256 * 4096 + 4096
GB = 10**9


@pytest.fixture(scope="module")
def llama_8b(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("llama")
    LLAMA_8B.save_pretrained(folder)
    return str(folder)


def near(bytes_told: int, expected: float) -> bool:
    return abs(bytes_told - expected) < 0.001 * GB


def of_8b(folder: str, stage: Any, offload: Any = "none") -> Memory:
    """All weights in bf16 on 8 GPUs."""
    return memory(
        TrainConfig(method="full", length=512, batch=8, zero=ZeroConfig(stage, offload)), folder, 8, gpu=True
    )


def test_sixteen_bytes_a_parameter(llama_8b: str) -> None:
    """Weights and gradients in bf16, and 12 bytes of the optimiser's. In its step, the most there is, its gradients
    are there again, flattened, and once more in fp32.
    """
    found = of_8b(llama_8b, "2")
    assert found.parameters == found.trained == PARAMETERS
    assert found.device.when == told.STEPPING
    parts = found.device.parts
    assert near(parts[told.WEIGHTS], 2 * PARAMETERS)
    spread = parts[told.OPTIMISER] + parts[GRADIENTS]
    assert near(spread, (12 + 2 + 2 + 4) / 8 * PARAMETERS)
    assert near(found.device.total - spread - parts[told.WEIGHTS], told.OF_GPU)


def test_at_stage_three_the_most_is_a_checkpoint(llama_8b: str) -> None:
    """The largest parameter is gathered from all, with both moments. A bucket of gradients is there for good, and
    so are weights, gathered for the held-out loss.
    """
    found = of_8b(llama_8b, "3")
    parts = found.device.parts
    assert found.device.when == told.SAVING
    assert near(parts[told.CHECKPOINT], 12 * 128256 * 4096)
    spread = (2 + 2 + 12) / 8 * PARAMETERS
    assert near(found.device.total, told.OF_GPU + spread + 12 * 128256 * 4096 + 2 * (2 * 5 * 10**8))


def test_what_is_offloaded_is_in_the_machine(llama_8b: str) -> None:
    found = of_8b(llama_8b, "2", "optimizer")
    assert told.OPTIMISER not in found.device.parts
    assert near(found.device.parts[told.WEIGHTS], 2 * PARAMETERS)
    assert found.host
    assert near(found.host.parts[told.OPTIMISER], 12 / 8 * PARAMETERS)


def test_a_whole_model_is_on_each_device_before_it_is_spread(llama_8b: str) -> None:
    found = of_8b(llama_8b, "3", "all")
    assert found.device.when == told.STARTING
    assert near(found.device.total, told.OF_GPU + 2 * PARAMETERS)
    assert found.host
    assert near(found.host.parts[told.WEIGHTS], 2 / 8 * PARAMETERS)


def test_adapters(llama_8b: str) -> None:
    found = memory(TrainConfig(**LORA, length=64, batch=1), llama_8b, 1, gpu=True)
    one = 2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 14336)
    assert found.trained == 32 * 16 * one
    assert found.parameters == PARAMETERS + found.trained
    assert near(found.device.parts[told.OPTIMISER], 12 * found.trained)


def test_activations_grow_with_tokens_and_attention_with_their_square(tmp_path: Path) -> None:
    LlamaConfig(**MODEL).save_pretrained(tmp_path)  # type: ignore[no-untyped-call]

    def held(**settings: Any) -> int:
        return memory(TrainConfig(**LORA, batch=4, **settings), str(tmp_path), 1, gpu=True).device.parts[
            ACTIVATIONS
        ]

    assert held(length=512, micro=4) == pytest.approx(4 * held(length=512, micro=1), rel=0.01)
    # flash attention keeps 6 layers' masks of 2 bytes less, and one of a byte; and keys and values not repeated
    tokens = 2048
    masks, repeated = (6 * 2 + 1) * tokens**2, 6 * tokens * 2 * 2 * 256
    less = held(length=tokens, micro=1) - held(length=tokens, micro=1, attention="flash_attention_2")
    assert less == pytest.approx(masks + repeated, rel=0.1)
    # eager attention keeps 8 heads' weights in bf16, and their softmax in fp32
    more = held(length=1024, micro=1, attention="eager") - held(length=1024, micro=1)
    assert more > 6 * 8 * 1024**2 * 2
    assert held(length=1024, micro=1, recompute=True) < held(length=1024, micro=1) / 4


def test_of_a_model_that_chooses_experts_it_is_not_told(tmp_path: Path) -> None:
    MixtralConfig(**TINY, num_local_experts=4).save_pretrained(tmp_path)  # type: ignore[no-untyped-call]
    with pytest.raises(Unknown, match="DynamicOutputShape"):
        memory(TrainConfig(**LORA, length=64, batch=1), str(tmp_path), 1, gpu=False)
