"""How many actors a stage has and what each holds, and how that fits the machines that there are, or may be."""

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from xlnu import machine
from xlnu.cluster import file
from xlnu.cluster.roles import ROLES, SHARE, Role, held
from xlnu.config import setting
from xlnu.errors import UserError

GROUP = "ray.io/node-group"  # the label by which Ray tells the node type of a machine that an autoscaler started
MACHINE = "machine"  # one that no autoscaler started


@dataclass
class PoolConfig:
    """How many actors a stage has, and what each of them holds. None of it changes a result."""

    role: ClassVar[Role] = "reader"
    actors: int = setting(0, "actors; 0: as many as the machines of their role hold, or may hold", at_least=0)
    cpus: int = setting(
        0, "processor cores of an actor; 0: all of a machine, or one where it has a GPU", at_least=0
    )
    gpus: int = setting(
        -1,
        "GPUs of an actor; -1: one where every machine of its role is known to have some, else none",
        at_least=-1,
    )

    @property
    def gpus_each(self) -> int:
        """GPUs of an actor."""
        return max(0, self.gpus)


@dataclass
class GeneratorPool(PoolConfig):
    role: ClassVar[Role] = "generator"


@dataclass
class TranslatorPool(PoolConfig):
    role: ClassVar[Role] = "translator"


@dataclass
class ScorerPool(PoolConfig):
    role: ClassVar[Role] = "scorer"


@dataclass
class TrainerPool(PoolConfig):
    role: ClassVar[Role] = "trainer"
    least: int = setting(
        0,
        "actors that it begins and goes on with while machines are not there, or lost; 0: only with all",
        at_least=0,
    )


ONE_CORE = PoolConfig(cpus=1)  # of what needs no model


@dataclass(frozen=True)
class Placed:
    """A pool as it fits the machines there are."""

    actors: int
    cpus: int
    gpus: int
    resources: dict[str, float] = dataclasses.field(default_factory=dict)  # the role, where machines have any
    least: int = 0  # actors to begin and go on with; 0: all

    @property
    def threads(self) -> int:
        """To compute with, where this is asked: a machine may have fewer cores than Ray was told."""
        return min(self.cpus, machine.cores())


@dataclass(frozen=True)
class Kind:
    """Machines that are alike, and how many of them there are, or may come to be."""

    name: str
    cores: int
    gpus: int
    roles: frozenset[str]
    most: int

    def holds(self, cpus: int, gpus: int) -> int:
        """Actors on one of them."""
        return min(self.cores // cpus, self.gpus // gpus) if gpus else self.cores // cpus


def kinds() -> list[Kind]:
    """Of the machines of the Ray that this process is connected to, and of those that its autoscaler may start."""
    import ray

    nodes: list[dict[str, Any]] = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    own = os.environ.get("RAY_ADDRESS") is None
    cluster = file.of_environment()
    types = [of_type(one) for one in cluster.types] if cluster else []
    known = {one.name for one in types}
    there = Counter(_of_node(node, own) for node in nodes if (node.get("Labels") or {}).get(GROUP) not in known)
    return [*types, *(dataclasses.replace(kind, most=number) for kind, number in there.items())]


def here() -> Kind:
    """This machine."""
    return Kind(MACHINE, machine.cores(), machine.gpus(), frozenset(ROLES), 1)


def of_type(one: file.NodeType) -> Kind:
    """Machines of the cluster file."""
    has = one.resources
    return Kind(one.name, int(has.get("CPU", 0)), int(has.get("GPU", 0)), one.roles, one.most)


def _of_node(node: dict[str, Any], own: bool) -> Kind:
    has, name = node["Resources"], (node.get("Labels") or {}).get(GROUP) or MACHINE
    cores = machine.cores() if own else int(has.get("CPU", 0))  # of our own, Ray has one more, for its own tasks
    return Kind(name, cores, int(has.get("GPU", 0)), held(has), 1)


def asks(role: Role, there: list[Kind] | None = None, *, told: bool = True) -> dict[str, float]:
    """What an actor of a role asks Ray for. Where no machine has a role, every machine may do everything.

    `told`: whether to say so where no machine has this one, and none can be started that does.
    """
    there = kinds() if there is None else there
    if not any(kind.roles for kind in there):
        return {}
    if told and not any(role in kind.roles for kind in there):
        raise UserError(
            f"no machine has the role {role}, nor can one be started that has it ({_told(there)}): give a node "
            f"type `resources: {{{role}: 1}}` in the cluster file, or start Ray on a machine with "
            f"--resources='{{\"{role}\": 1}}'"
        )
    return {role: SHARE}


def place(pool: PoolConfig, there: list[Kind] | None = None) -> Placed:
    """How the pool fits; UserError when no machine of its role can hold one of its actors."""
    there = kinds() if there is None else there
    resources = asks(pool.role, there)
    fit = [kind for kind in there if not resources or pool.role in kind.roles]
    cpus = pool.cpus or (1 if pool.gpus_each else max(1, *(kind.cores for kind in fit), 1))
    holds = sum(kind.most * kind.holds(cpus, pool.gpus_each) for kind in fit)
    each = f"{cpus} cores" + (f" and {pool.gpus_each} GPUs" if pool.gpus_each else "")
    of = f" with the role {pool.role}" if any(not kind.roles >= set(ROLES) for kind in there) and resources else ""
    if not holds:
        raise UserError(f"an actor with {each} fits on no machine{of} here ({_told(fit)}): ask for less")
    own = os.environ.get("RAY_ADDRESS") is None
    if pool.actors > holds and (own or resources):  # else more machines may come; here Ray would wait for ever
        raise UserError(
            f"{pool.actors} actors with {each} each do not fit here, {holds} do{of}: ask for fewer actors or cores"
        )
    actors = pool.actors or holds
    least = min(actors, pool.least) if isinstance(pool, TrainerPool) else 0
    return Placed(actors, cpus, pool.gpus_each, resources, least)


def settle(config: Any, there: list[Kind]) -> None:
    """Say for the pools of a job how many GPUs their actors hold, where nobody has: those that are there are paid
    for. Before any step is made, for what numbers a model computes in depends on it.
    """
    for _, pool in pools(config):
        if pool.gpus < 0:
            own = [kind.gpus for kind in there if pool.role in kind.roles]
            pool.gpus = int(bool(own) and all(own))


def _told(there: list[Kind]) -> str:
    each = (
        (f"{kind.most} x {kind.name}: " if kind.name != MACHINE else "")
        + f"{kind.cores} cores, {kind.gpus} GPUs"
        + (f", {' '.join(sorted(kind.roles))}" if 0 < len(kind.roles) < len(ROLES) else "")
        for kind in there
    )
    return "; ".join(each) or "there is none"


def pools(config: Any, key: str = "") -> Iterator[tuple[str, PoolConfig]]:
    """Those of a job, by the names of their settings."""
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), f"{key}{field.name}"
        if isinstance(value, PoolConfig):
            yield name, value
        elif dataclasses.is_dataclass(value):
            yield from pools(value, f"{name}.")
