"""Hours of machines and money: what steps will take on a cluster, and what a job took, by type of machine."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from xlnu.cluster.file import Cluster, NodeType
from xlnu.cluster.pools import ScorerPool, TrainerPool
from xlnu.columns import columns
from xlnu.errors import UserError

# tokens a second times parameters, of one core in int8: 263 tokens/s of a model of 615M on two cores
CORE = 263 * 615e6 / 2
START = 240.0  # seconds until a machine of a cloud works: it boots, and fetches an image


@dataclass(frozen=True)
class Price:
    """Of one machine, an hour."""

    on_demand: float
    spot: float | None = None
    speed: float | None = None  # tokens a second times parameters, of one of its GPUs, of a model that writes
    reads: float | None = None  # the same of one that only reads: a judge
    trains: float | None = None  # the same of one that is trained

    def of(self, role: str) -> float | None:
        if role == TrainerPool.role:
            return self.trains
        return self.reads if role == ScorerPool.role else self.speed


@dataclass(frozen=True)
class Prices:
    currency: str
    machines: Mapping[str, Price]

    def hour(self, of: NodeType) -> float | None:
        """None: the table does not say."""
        found = self.machines.get(of.instance)
        if found is None:
            return None
        return found.spot if of.spot else found.on_demand

    def speed(self, of: NodeType, role: str = "") -> float | None:
        """Of a whole machine, at the work of a role."""
        gpus, found = of.resources.get("GPU", 0), self.machines.get(of.instance)
        if not gpus:
            return None if role == TrainerPool.role else CORE * of.resources.get("CPU", 0)
        each = None if found is None else found.of(role)
        return None if each is None else each * gpus


def read(path: str) -> Prices:
    try:
        content = yaml.safe_load(Path(path).expanduser().read_text(encoding="utf-8"))
        machines = {
            str(name): Price(**{key: float(value) for key, value in of.items()})
            for name, of in content["machines"].items()
        }
        wrong = [name for name, of in machines.items() for one in vars(of).values() if one is not None and one < 0]
        if wrong:
            raise ValueError(f"{wrong[0]}: less than nothing")
        return Prices(str(content.get("currency", "")), machines)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: there is no table of prices") from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        form = "machines: {g6.xlarge: {on_demand: 0.80, spot: 0.36, speed: 3.0e+12}}"
        raise UserError(f"{path}: {' '.join(str(error).split())}; a table of prices has `{form}`") from None


@dataclass(frozen=True)
class Need:
    """What a step asks of machines of one role: tokens times parameters (None: nobody knows), and how many actors
    can work at it at once (None: as many as there are).
    """

    role: str
    effort: float | None
    wide: int | None = None

    def beside(self, other: "Need") -> "Need":
        """Of two steps that are done at once."""
        effort = None if self.effort is None or other.effort is None else self.effort + other.effort
        wide = None if self.wide is None or other.wide is None else self.wide + other.wide
        return Need(self.role, effort, wide)


@dataclass(frozen=True)
class Told:
    """Of one type of machine. None: nobody knows, of some step at least."""

    type: NodeType
    hours: float | None
    money: float | None
    machines: int
    least: float  # hours by the clock, with that many machines


def told(needs: Sequence[Need], cluster: Cluster, prices: Prices) -> list[Told]:
    """By type. Each group of a role's machines starts once and is idle once: that is counted."""
    made = []
    for of in cluster.types:
        mine = [need for need in needs if _first(cluster, need.role) is of]
        if not mine:
            continue
        price = prices.hour(of)
        each = [_hours(need, prices.speed(of, need.role)) for need in mine]
        hours = None if None in each else sum(one or 0.0 for one in each)
        machines = _machines(of, [need.wide for need in mine])
        around = machines * (START + cluster.idle) / 3600
        whole = None if hours is None else hours + around
        money = None if whole is None or price is None else whole * price
        made.append(Told(of, whole, money, machines, 0.0 if hours is None else hours / machines))
    return made


def _machines(of: NodeType, wide: Sequence[int | None]) -> int:
    """That a run asks for: all that there may be, unless there are fewer parts. An actor has a GPU, or where there
    are none the whole machine.
    """
    known = [one for one in wide if one is not None]
    if len(known) < len(wide):
        return of.most
    return max(1, min(of.most, math.ceil(max(known) / max(1, of.resources.get("GPU", 0)))))


def _hours(need: Need, speed: float | None) -> float | None:
    return None if need.effort is None or not speed else need.effort / speed / 3600


def _first(cluster: Cluster, role: str) -> NodeType | None:
    return next((of for of in cluster.types if role in of.roles), None)


def table(found: Sequence[Told], cluster: Cluster, prices: Prices) -> str:
    """For --plan: hours and money by type, and of the head, which is there for as long as it takes."""
    lines = [["type", "instance", "machines", "machine-hours", prices.currency or "money"]]
    lines += [
        [one.type.name, _instance(one.type), str(one.machines), _number(one.hours), _number(one.money)]
        for one in found
    ]
    head = next(of for of in cluster.types if of.head)
    clock = None if any(one.hours is None for one in found) else sum(one.least + START / 3600 for one in found)
    price = prices.hour(head)
    cost = None if clock is None or price is None else clock * price
    lines.append([head.name, _instance(head), "1", _number(clock), _number(cost)])
    money = [one.money for one in found] + [cost]
    whole = None if any(one is None for one in money) else sum(one or 0 for one in money)
    lines.append(["all", "", "", "", _number(whole)])
    return columns(lines, 2)


def _instance(of: NodeType) -> str:
    return f"{of.instance}{', spot' if of.spot else ''}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.2f}"
