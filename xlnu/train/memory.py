"""How much memory training takes: what DeepSpeed 0.19.8 holds and lets go in one optimizer step, retraced in bytes.

Seen in its code and in measurements on processors, at stages 0 to 3, on one worker and on two. What it does not
document, and what counts: a step keeps gradients twice while it flattens them, and a bucket of gradients is copied
before it is reduced.

**A GPU and a processor differ.** A GPU's memory is taken when it is asked for: a bucket of 500M numbers is 1 GB in
bf16, however small the model. A machine's is taken when it is written to.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xlnu.train.config import deepspeed
from xlnu.train.passes import GRADIENTS, Ledger, Model, Setup, build, run

if TYPE_CHECKING:
    from xlnu.train.build import TrainConfig

WEIGHTS, OPTIMISER, BUFFERS = "weights", "optimiser's state", "DeepSpeed's buffers"
CHECKPOINT, PROCESS = "checkpoint", "the process itself"
STARTING, COMPUTING, STEPPING, SAVING = "starting", "computing a micro-batch", "the optimiser's step", "saving"
# torch for processors, transformers, peft, DeepSpeed, Ray Train and what they load on their first step, measured.
# 0.16 GB of it are pages of libraries, which the workers of a machine share.
OF_PROCESS = 700 * 10**6
OF_GPU = 1500 * 10**6  # CUDA's context, NCCL, what the allocator cannot use: a guess, never measured


@dataclass(frozen=True)
class Held:
    """Bytes at the moment when they are most."""

    parts: dict[str, int]
    when: str

    @property
    def total(self) -> int:
        return sum(self.parts.values())


@dataclass(frozen=True)
class Memory:
    parameters: int
    trained: int
    device: Held
    host: Held | None  # of a GPU's worker in its machine's memory


def memory(
    config: "TrainConfig",
    folder: str,
    workers: int,
    *,
    gpu: bool,
    limit: float | None = None,
    host_limit: float | None = None,
) -> Memory:
    """Of each worker, for the model whose config.json is in the folder. Without `gpu` the device is the worker's
    part of the machine's memory. Over a limit, passes.Full is raised as soon as it is seen.
    """
    lora = config.lora if config.method == "lora" else None
    setup = Setup(
        folder=folder,
        numbers=config.numbers,
        lora=lora,
        recompute=config.recompute,
        attention=config.attention,
        kind=config.objective,
        reliability=config.reliability,
        micro=config.micro,
        length=config.length,
    )
    settings = deepspeed(config, workers, gpu=gpu)
    device = Ledger(limit)
    host = Ledger(host_limit) if gpu else device
    step = _Step(setup, build(setup), _spread(settings, workers, gpu), device, host)
    step.run()
    on_host = Held(_some(host.parts), host.when) if gpu else None
    return Memory(step.all, step.trained, Held(_some(device.parts), device.when), on_host)


def _some(parts: dict[str, int]) -> dict[str, int]:
    return {name: size for name, size in parts.items() if size}


@dataclass(frozen=True)
class _Spread:
    """What of DeepSpeed's settings counts; sizes are in numbers, not bytes."""

    stage: int
    workers: int
    gpu: bool
    accumulates: bool
    optimiser_away: bool
    weights_away: bool
    bucket: int
    buckets: int
    reused: int
    prefetched: int
    stepped: int
    whole: int  # smaller parameters are not spread


def _spread(settings: dict[str, Any], workers: int, gpu: bool) -> _Spread:
    found = settings["zero_optimization"]

    def size(name: str, usual: float) -> int:
        value = found.get(name, found.get(f"stage3_{name}", usual))
        return int(usual if value == "auto" else value)

    return _Spread(
        stage=int(found["stage"]),
        workers=workers,
        gpu=gpu,
        accumulates=settings["gradient_accumulation_steps"] > 1,
        optimiser_away="offload_optimizer" in found,
        weights_away="offload_param" in found,
        bucket=size("reduce_bucket_size", 5e8),
        buckets=2 if found.get("overlap_comm") is True and found["stage"] < 3 else 1,
        reused=size("max_reuse_distance", 1e9),
        prefetched=size("prefetch_bucket_size", 5e7),
        stepped=size("sub_group_size", 1e9),
        whole=size("param_persistence_threshold", 1e5),
    )


class _Step:
    """One step of the optimizer, from a start that has had others: with moments, and gradients to be added to."""

    def __init__(self, setup: Setup, model: Model, spread: _Spread, device: Ledger, host: Ledger) -> None:
        self.setup, self.model, self.spread, self.device, self.host = setup, model, spread, device, host
        self.width = 2 if setup.numbers == "bf16" else 4
        sizes, trained = [n for n, _ in model.sizes], [n for n, is_trained in model.sizes if is_trained]
        workers = spread.workers
        self.all, self.trained, self.largest = sum(sizes), sum(trained), max(trained)
        self.mine = -(-self.trained // workers)
        self.saved = max(sum(trained[rank::workers]) for rank in range(workers))
        self.whole = sum(n for n in sizes if n <= spread.whole)

    def run(self) -> None:
        spread, device, host = self.spread, self.device, self.host
        self._phase(STARTING)
        device.add(PROCESS, OF_GPU if spread.gpu else OF_PROCESS)
        if host is not device:
            host.add(PROCESS, OF_PROCESS)
        if spread.stage == 0:
            self._plain()
        elif spread.stage == 3:
            self._three()
        else:
            self._one_or_two()
        self._phase(SAVING)
        with device.holding(CHECKPOINT, 12 * self.largest if spread.stage else 0):  # gathered from all workers
            host.hold_once(CHECKPOINT, 12 * self.saved)

    def _phase(self, name: str) -> None:
        self.device.phase = self.host.phase = name

    def _pass(self, bucket: "_Bucket | None", **more: Any) -> None:
        self._phase(COMPUTING)
        arrived = bucket.arrived if bucket else None
        run(self.setup, self.model, self.device, arrived, again=self.spread.accumulates, **more)

    def _plain(self) -> None:
        device, width = self.device, self.width
        device.add(WEIGHTS, width * self.all)
        device.add(OPTIMISER, 8 * self.trained)
        self._pass(None)
        device.hold_once(BUFFERS, width * min(self.trained, 500_000_000))
        self.model.forget()

    def _one_or_two(self) -> None:
        spread, device, width, mine = self.spread, self.device, self.width, self.mine
        away = spread.optimiser_away
        state = self.host if away else device
        device.add(WEIGHTS, width * self.all)
        state.add(OPTIMISER, 12 * mine)
        if away:
            device.add(BUFFERS, width * self.largest)
            state.add(BUFFERS, width * (mine + self.largest))
            state.add(GRADIENTS, (4 + width * spread.accumulates) * mine)
        asked_for = width * spread.bucket * spread.buckets if spread.gpu else 0
        with device.holding(BUFFERS, asked_for):
            bucket = _Bucket(self, owned=0 if away else mine, copies=1, there=spread.gpu)
            if spread.stage == 2:
                device.add(GRADIENTS, width * mine * (spread.accumulates and not away))
                self._pass(bucket)
            else:
                self._pass(None)
                for one in self.model.module.parameters():
                    if one.requires_grad:
                        one.grad = None
                        bucket.arrived(one.numel())
            bucket.end()
        self._phase(STEPPING)
        if not away:
            device.add(GRADIENTS, width * mine - device.now[GRADIENTS])
            device.hold_once(GRADIENTS, (width + (4 if width < 4 else 0)) * mine)  # flattened, and made fp32
            device.add(GRADIENTS, -width * mine)

    def _three(self) -> None:
        spread, device, width, mine = self.spread, self.device, self.width, self.mine
        state = self.host if spread.optimiser_away else device
        home = self.host if spread.weights_away else device
        share = -(-self.all // spread.workers)
        with device.holding(WEIGHTS, width * self.all):  # DeepSpeed is given a whole model on every device
            home.hold_once(WEIGHTS, width * share)
        home.add(WEIGHTS, width * share)
        state.add(OPTIMISER, 12 * mine)
        state.add(GRADIENTS, (width + (4 if spread.optimiser_away else 0)) * mine)
        device.add(BUFFERS, width * (spread.bucket if spread.gpu else min(spread.bucket, self.trained)))
        gathered = min(self.all, spread.reused // 2) if spread.workers > 1 or home is not device else 0
        coming = min(self.all, spread.prefetched) if spread.workers > 1 else 0
        device.add(WEIGHTS, width * (gathered + coming))
        bucket = _Bucket(self, owned=0, copies=1 if spread.gpu else 2, there=True, gathered=width * gathered)
        self._pass(bucket, at_head=lambda: device.add(WEIGHTS, -width * coming))
        bucket.end()
        self._phase(STEPPING)
        device.add(WEIGHTS, width * self.whole)
        group = min(mine, spread.stepped)
        if not spread.optimiser_away:
            device.hold_once(GRADIENTS, (width + (4 if width < 4 else 0)) * group)
        device.add(WEIGHTS, width * max(0, gathered - self.whole))  # a look at the held-out loss leaves them there


class _Bucket:
    """Where gradients are gathered, to be reduced together."""

    def __init__(self, step: _Step, *, owned: int, copies: int, there: bool, gathered: int = 0) -> None:
        self.step, self.owned, self.copies, self.there, self.gathered = step, owned, copies, there, gathered
        self.filled = self.written = self.alone = 0

    def arrived(self, numbers: int) -> None:
        step, most = self.step, self.step.spread.bucket
        step.device.add(WEIGHTS, -(self.gathered * numbers // step.trained))  # what is behind is let go
        if self.filled and self.filled + numbers > most:
            self._reduce()
        self.filled += numbers
        if numbers > most:  # too large for it: the gradient stays where it is
            self.alone = numbers
            step.device.add(GRADIENTS, step.width * numbers)
        elif not self.there and self.filled > self.written:
            step.device.add(BUFFERS, step.width * (self.filled - self.written))
            self.written = self.filled

    def _reduce(self) -> None:
        device, width = self.step.device, self.step.width
        device.hold_once(BUFFERS, self.copies * width * self.filled)
        device.add(GRADIENTS, width * (self.owned - self.alone))
        self.filled = self.alone = self.owned = 0

    def end(self) -> None:
        self._reduce()
        self.step.device.add(BUFFERS, -self.step.width * self.written)
