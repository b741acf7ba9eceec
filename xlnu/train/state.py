"""All that a run needs to go on as if nothing had happened, by the names of parameters.

A parameter's weights and its two Adam moments in float32, whole, whatever the ZeRO stage and the number of workers:
what two workers under ZeRO-3 have saved, one goes on with under ZeRO-1. DeepSpeed's own files are bound to both,
and are pickles. Each worker writes its share of the parameters.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

MOMENTS = ("exp_avg", "exp_avg_sq")
ABOUT = "state.json"
WORKERS = "workers"  # how many shares there are


def trained(engine: Any) -> "list[tuple[str, torch.nn.Parameter]]":
    return [(name, one) for name, one in engine.module.named_parameters() if one.requires_grad]


def save(engine: Any, folder: Path, rank: int, world: int, about: dict[str, Any]) -> None:
    """This worker's share of the state. All workers call it: under ZeRO-3 each parameter is gathered from all."""
    from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state
    from safetensors.torch import save_file

    _link(engine)
    plain, mine = _plain(engine), {}
    for number, (name, one) in enumerate(trained(engine)):
        if plain is not None:
            found = [one.detach(), *(plain.state[one][moment] for moment in MOMENTS)]
        else:
            moments = [safe_get_full_optimizer_state(one, moment) for moment in MOMENTS]
            found = [safe_get_full_fp32_param(one), *moments]
        if number % world == rank:
            for kind, tensor in zip(("weight", *MOMENTS), found, strict=True):
                mine[f"{kind} {name}"] = tensor.float().cpu().contiguous().clone()
    save_file(mine, folder / f"state-{rank:05d}.safetensors")
    if rank == 0:
        (folder / ABOUT).write_text(json.dumps(about | {WORKERS: world}))


def load(engine: Any, folder: Path, first_step: Callable[[], None]) -> dict[str, Any]:
    """Put a saved state into an engine that has done nothing yet; gives what was saved `about` it.

    `first_step` makes a step of nothing: DeepSpeed has no moments to put anything into before one.
    """
    with _no_rate(engine):
        first_step()
    _link(engine)
    plain, found = _plain(engine), reader(folder)
    for name, one in trained(engine):
        weight, *moments = (found(f"{kind} {name}") for kind in ("weight", *MOMENTS))
        if plain is not None:
            one.data.copy_(weight)
            for moment, tensor in zip(MOMENTS, moments, strict=True):
                plain.state[one][moment].copy_(tensor)
        elif hasattr(one, "ds_id"):
            _put_share(one, weight, moments)
        else:
            _put(one, weight, moments)
    about: dict[str, Any] = json.loads((folder / ABOUT).read_text())
    del about[WORKERS]
    for kept in base(engine).state.values():
        kept["step"].fill_(about["step"])
    return about


def _put(one: Any, weight: "torch.Tensor", moments: "list[torch.Tensor]") -> None:
    """The weights that the model computes with are not those that the optimiser holds: both are set."""
    from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

    one.data.copy_(weight)
    safe_set_full_fp32_param(one, weight.to(one.device))
    for moment, tensor in zip(MOMENTS, moments, strict=True):
        safe_set_full_optimizer_state(one, tensor.to(one.device), moment)


def _put_share(one: Any, weight: "torch.Tensor", moments: "list[torch.Tensor]") -> None:
    """The same under ZeRO-3, where a worker holds a share of it."""
    from deepspeed.runtime.zero.partition_parameters import GatheredParameters
    from deepspeed.utils import safe_set_local_fp32_param, safe_set_local_optimizer_state

    with GatheredParameters([one], modifier_rank=0):
        one.data.copy_(weight)
    safe_set_local_fp32_param(one, _share(one, weight))
    for moment, tensor in zip(MOMENTS, moments, strict=True):
        safe_set_local_optimizer_state(one, _share(one, tensor), moment)


def _share(one: Any, whole: "torch.Tensor") -> "torch.Tensor":
    """What this worker holds of it. All hold alike: the last share is filled up, which DeepSpeed (0.19.8) forgets
    where it is given the whole.
    """
    import torch
    import torch.distributed as dist

    size = one.ds_tensor.numel()
    filled = torch.nn.functional.pad(whole.flatten(), (0, size * dist.get_world_size() - whole.numel()))
    return filled.narrow(0, size * dist.get_rank(), size).to(one.device)


def base(engine: Any) -> "torch.optim.Optimizer":
    """The optimiser itself, below what ZeRO makes of it."""
    inner = engine.optimizer
    while hasattr(inner, "optimizer"):
        inner = inner.optimizer
    return inner  # type: ignore[no-any-return]


def _plain(engine: Any) -> "torch.optim.Optimizer | None":
    import torch

    return engine.optimizer if isinstance(engine.optimizer, torch.optim.Optimizer) else None


def _link(engine: Any) -> None:
    """DeepSpeed (0.19.8, stages 1 and 2) tells parameters where their moments are when the first group of them has
    made its step, at which time those of the others have none, and never again.
    """
    from deepspeed.utils import lazy_init_hp_params_optimizer_state

    spread = engine.optimizer
    for weights, own in zip(
        getattr(spread, "bit16_groups", ()), getattr(spread, "single_partition_of_fp32_groups", ()), strict=True
    ):
        lazy_init_hp_params_optimizer_state(weights, own, base(engine).state)


@contextmanager
def _no_rate(engine: Any) -> Iterator[None]:
    groups = base(engine).param_groups
    rates = [group["lr"] for group in groups]
    for group in groups:
        group["lr"] = 0.0
    yield
    for group, rate in zip(groups, rates, strict=True):
        group["lr"] = rate


def reader(folder: Path) -> Any:
    """A function that gives a tensor by its name, from whichever worker's file it is in."""
    from safetensors import safe_open

    where: dict[str, Path] = {}
    for path in sorted(folder.glob("state-*.safetensors")):
        with safe_open(path, "pt") as file:
            where |= dict.fromkeys(file.keys(), path)

    def read(name: str) -> Any:
        with safe_open(where[name], "pt") as file:
            return file.get_tensor(name)

    return read
