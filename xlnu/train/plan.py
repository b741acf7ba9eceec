"""What training would take, told before it begins; and a refusal where it cannot fit, with what would.

What is told of memory came within 3 % of what was measured, on processors (tests/train/test_memory.py). On GPUs it
was never measured: what the allocator loses by fragments is a guess there.
"""

import dataclasses
import importlib.util
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlnu import machine
from xlnu.cluster.pools import Placed
from xlnu.config import shown
from xlnu.errors import UserError
from xlnu.steps import Result
from xlnu.train.build import TrainConfig
from xlnu.train.config import LoopConfig, check_shares, epochs, workers
from xlnu.train.memory import Held, Memory, memory
from xlnu.train.packs import index
from xlnu.train.passes import Full, Unknown

SHORTEST = 64  # tokens: a length below that is no advice
KILLED = 0.95  # of a machine's memory: beyond it Ray kills workers
OTHERS = 10**9  # what the driver and Ray's own processes hold on a machine

Change = dict[str, Any]  # settings by their names below `train`


@dataclass(frozen=True)
class Place:
    """Where workers run. Bytes that one has; None: nobody knows from here."""

    workers: int
    gpu: bool
    device: int | None  # of its GPU, or its part of the machine's memory
    host: int | None  # its part of the machine's memory


def here(config: LoopConfig) -> Place:
    """On this machine alone, as Ray would place them."""
    import torch

    pool = config.pool
    gpus = torch.cuda.device_count() if pool.gpus_each else 0
    cores = machine.cores()
    cpus = pool.cpus or (1 if pool.gpus_each else cores)
    holds = max(1, min(cores // cpus, gpus // pool.gpus_each) if pool.gpus_each else cores // cpus)
    placed = Placed(workers(config, holds), cpus, pool.gpus_each)
    return place(placed, min(placed.actors, holds), *seen())


def seen() -> tuple[int | None, int]:
    """The bytes of a GPU, if there is one, and of this machine."""
    import torch

    there = torch.cuda.is_available()
    return (torch.cuda.get_device_properties(0).total_memory if there else None), _machine()


def place(placed: Placed, beside: int, gpu: int | None, whole: int) -> Place:
    """Of what was seen. `beside`: workers on one machine."""
    part = round(KILLED * whole - OTHERS) // beside
    return Place(placed.actors, bool(placed.gpus), gpu if placed.gpus else part, part)


def _machine() -> int:
    """What this process may use, which in a container is often less than the machine has."""
    whole = (
        int(next(x for x in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in x).split()[1]) * 1024
    )
    try:
        allowed = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return whole
    return whole if allowed == "max" else min(whole, int(allowed))


def suits(config: LoopConfig, where: Place, key: str = "train") -> None:
    """What training on this machine would find out only when it begins. `key`: the section of the settings."""
    check_shares(config, where.workers, key)
    if where.gpu and where.device is None:
        raise UserError(f"{key}.pool.gpus: {config.pool.gpus}, and this machine has none; without, it is 0")
    if config.attention == "flash_attention_2" and importlib.util.find_spec("flash_attn") is None:
        raise UserError(f"{key}.attention: flash_attention_2 needs the package flash-attn, which is not installed")


def check(config: TrainConfig, folder: str, where: Place) -> Memory:
    """What it takes, for the model whose config.json is in the folder; UserError where it cannot fit, and
    passes.Unknown where nobody can tell.
    """
    found = memory(config, folder, where.workers, gpu=where.gpu)
    lack = _lack(found, where)
    if not lack:
        return found
    change, least = _way_out(config, folder, where)
    settings = " ".join(f"train.{name}={shown(value)}" for name, value in change.items())
    if least:
        raise UserError(f"train: {lack}; nothing makes it fit: with {settings} it still needs {_gb(least)}")
    raise UserError(f"train: {lack}; it fits with {settings}")


def _lack(found: Memory, where: Place) -> str:
    what = "GPU" if where.gpu else "part of the machine's memory"
    for held, there, name in ((found.device, where.device, what), (found.host, where.host, "part of its machine")):
        if held is not None and there is not None and held.total > there:
            most = max(held.parts, key=held.parts.__getitem__)
            part = f"{_gb(held.parts[most])} of it {most}, in {held.when}"
            return (
                f"each of {where.workers} workers needs {_gb(held.total)} ({part}) and its {name} has {_gb(there)}"
            )
    return ""


def _way_out(config: "TrainConfig", folder: str, where: Place) -> tuple[Change, int]:
    """The first change with which it fits, and 0; or the greatest, and the bytes it still needs."""

    def fits(change: Change) -> bool:
        try:
            memory(
                _changed(config, change), folder, where.workers,
                gpu=where.gpu, limit=where.device, host_limit=where.host,
            )  # fmt: skip
        except (Full, UserError):
            return False
        return True

    change: Change = {}
    for change in _changes(config, where):
        if fits(change):
            for name in list(change):  # what came before it may not be needed
                less = {other: value for other, value in change.items() if other != name}
                change = less if less and fits(less) else change
            return change, 0
    return change, memory(_changed(config, change), folder, where.workers, gpu=where.gpu).device.total


def _changes(config: TrainConfig, where: Place) -> Iterator[Change]:
    """What costs least comes first: time, then workers' talk; what changes the result comes last. Each by itself,
    then with all that came before.
    """
    alike: list[list[Change]] = [
        [{"micro": micro} for micro in _halves(config.micro, 1) if not config.batch % (micro * where.workers)],
        [] if config.recompute else [{"recompute": True}],
        [{"zero.stage": str(stage)} for stage in range(int(config.zero.stage) + 1, 4) if where.workers > 1],
        _offloads(config, where),
    ]
    others: list[list[Change]] = [
        [] if config.method == "lora" else [{"method": "lora"}],
        [{"length": length} for length in _halves(config.length, SHORTEST)],
    ]
    yield from (change for group in alike for change in group)
    together: Change = {}
    for group in filter(None, alike):
        together |= group[-1]
        yield dict(together)
    for group in filter(None, others):
        for change in group:
            yield change
            yield together | change
        together |= group[-1]


def _offloads(config: TrainConfig, where: Place) -> list[Change]:
    if not where.gpu or config.zero.offload == "all":
        return []
    stage = {} if config.zero.stage != "0" else {"zero.stage": "1"}
    first = [{**stage, "zero.offload": "optimizer"}] if config.zero.offload == "none" else []
    return [*first, {"zero.stage": "3", "zero.offload": "all"}]


def _halves(number: int, least: int) -> list[int]:
    return [number >> times for times in range(1, number.bit_length()) if number >> times >= least]


def _changed(config: TrainConfig, change: Change) -> TrainConfig:
    inner = {name.removeprefix("zero."): value for name, value in change.items() if name.startswith("zero.")}
    outer = {name: value for name, value in change.items() if "." not in name}
    return dataclasses.replace(config, zero=dataclasses.replace(config.zero, **inner), **outer)


@dataclass(frozen=True)
class Amount:
    """How much there is to train on, once through; as packs, which is exact, or as anything that estimates them."""

    packs: int
    tokens: int
    exact: bool = True


def amount(packs: Result) -> Amount:
    """Of a finished step `packs`."""
    found = index(packs.rows(rejected=True))
    return Amount(len(found), int(found.tokens.sum()))


def estimated(tokens: int, length: int) -> Amount:
    """From tokens alone: packs are all but full."""
    return Amount(max(1, math.ceil(tokens / length)), tokens, exact=False)


def told(config: TrainConfig, folder: str, where: Place, todo: Amount | None) -> str:
    """Short lines, for --plan; UserError where it cannot fit. `todo`: None while nobody knows."""
    on = "GPUs" if where.gpu else "processors"
    lines = [
        ("workers", f"{where.workers}, on {on}, ZeRO stage {config.zero.stage}"),
        ("a step", f"{config.batch} packs of {config.length} tokens, {config.micro} at once in a worker"),
    ]
    if todo:
        about, times = "" if todo.exact else "at most some ", epochs(config, todo.packs)
        lines += [
            ("steps", f"{about}{-(-times * todo.packs // config.batch):,}: {todo.packs:,} packs, {times} times"),
            ("tokens", f"{about}{times * todo.tokens:,}"),
        ]
    else:
        lines.append(("steps", "not known before the packs are made"))
    try:
        found = check(config, folder, where)
    except Unknown as reason:
        lines.append(("memory", f"cannot be told of this model ({reason})"))
    else:
        lines[:0] = [
            ("parameters", f"{found.parameters:,}"),
            ("trained", f"{found.trained:,} ({found.trained / found.parameters:.2%})"),
        ]
        lines += _held("memory of a GPU" if where.gpu else "memory of a worker", found.device, where.device)
        if found.host:
            lines += _held("and of its machine", found.host, where.host)
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"  {name:<{width}}  {value}".rstrip() for name, value in lines)


def _held(name: str, held: Held, there: int | None) -> list[tuple[str, str]]:
    parts = sorted(held.parts.items(), key=lambda part: -part[1])
    rows = [(f"  {part}", f"{_gb(size):>9}") for part, size in parts if size >= 10**6]
    of_all = (
        f"{_gb(held.total):>9} of {_gb(there)}" if there else f"{_gb(held.total):>9}; what there is, is not known"
    )
    return [(name, f"the most, in {held.when}"), *rows, ("  in all", of_all)]


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
