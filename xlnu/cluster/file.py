"""The cluster file: what Ray's launcher reads, and what we read in it.

Ray's own check takes a negative number of machines, more of them at least than at most, and a cloud without a
region; what starts from such a file starts nothing, or without end. So there are checks of ours.
"""

import contextlib
import copy
import io
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from xlnu.cluster.roles import HEAD, ROLES, held
from xlnu.errors import UserError, first_line

FILE = "XLNU_CLUSTER"  # in the environment of a cluster's head: where its file is
STORE = "XLNU_STORE"  # and where its jobs keep what they make
TOP = {
    "resources", "node_config", "min_workers", "max_workers", "labels", "docker", "worker_setup_commands",
    "initialization_commands", "idle_timeout_s", "priority",
}  # fmt: skip
PLACES = {"aws": "region", "gcp": "region", "azure": "location"}  # what a cloud has no default for


@dataclass(frozen=True)
class NodeType:
    """Machines of one kind: what each has, and how many there may be."""

    name: str
    resources: dict[str, float]
    least: int
    most: int
    instance: str  # as the cloud calls it; empty where it is not said
    spot: bool
    head: bool = False

    @property
    def roles(self) -> frozenset[str]:
        return held(self.resources)


@dataclass(frozen=True)
class Cluster:
    path: str
    content: dict[str, Any]
    types: tuple[NodeType, ...]

    @property
    def idle(self) -> float:
        """Seconds after which a machine that does nothing is let go."""
        return 60.0 * float(self.content.get("idle_timeout_minutes", 5))

    @property
    def most(self) -> int:
        """Machines beside the head."""
        return int(self.content.get("max_workers", 2))


def read(path: str) -> Cluster:
    """The file, checked; UserError with every mistake in it."""
    place = Path(path).expanduser()
    try:
        content = yaml.safe_load(place.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: there is no cluster file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: a cluster file is a map, with `available_node_types` in it")
    wrong = list(_wrong(content))
    if wrong:
        raise UserError(f"{path}: {'; '.join(wrong)}")
    given = content["available_node_types"]
    head = content["head_node_type"]
    most = int(content.get("max_workers", 2))
    return Cluster(path, content, tuple(_type(name, of, name == head, most) for name, of in given.items()))


def of_environment() -> Cluster | None:
    """The file of the cluster that this runs on, if it has one: without, its machines are those that are up."""
    path = os.environ.get(FILE)
    return read(path) if path else None


def _type(name: str, of: dict[str, Any], head: bool, most: int) -> NodeType:
    config = _map(of, "node_config")
    market = _map(config, "InstanceMarketOptions").get("MarketType")
    scheduling = _map(config, "scheduling")
    return NodeType(
        name,
        {key: float(value) for key, value in (of.get("resources") or {}).items()},
        0 if head else int(of.get("min_workers", 0)),
        1 if head else min(most, int(of.get("max_workers", most))),
        str(config.get("InstanceType") or config.get("machineType") or ""),
        market == "spot" or bool(scheduling.get("preemptible")) or scheduling.get("provisioningModel") == "SPOT",
        head,
    )


def _map(of: dict[str, Any], name: str) -> dict[str, Any]:
    """What is there, if it is a map: what a cloud wants in it is the cloud's matter."""
    found = of.get(name)
    return found if isinstance(found, dict) else {}


def _wrong(content: dict[str, Any]) -> Iterator[str]:
    types, head = content.get("available_node_types"), content.get("head_node_type")
    if not isinstance(types, dict) or not types or not all(isinstance(name, str) for name in types):
        yield "available_node_types: must be a map of node types, by their names"
        return
    known = isinstance(head, str) and head in types
    if not known:
        yield f"head_node_type: {head!r} is none of {', '.join(types)}"
    provider = _map(content, "provider")
    place = PLACES.get(str(provider.get("type")))
    if not provider.get("type"):
        yield "provider.type: missing: which cloud, as aws"
    if place and not provider.get(place):
        yield f"provider.{place}: missing, and this cloud has no default for it"
    yield from _counts("", content, ("max_workers", "idle_timeout_minutes", "upscaling_speed"))
    whole, least = content.get("max_workers", 2), 0
    for name, of in types.items():
        where = f"available_node_types.{name}"
        if not isinstance(of, dict):
            yield f"{where}: must be a map"
            continue
        yield from (f"{where}.{key}: no such key" for key in sorted(set(of) - TOP))
        yield from _counts(f"{where}.", of, ("min_workers", "max_workers"))
        low, high = of.get("min_workers", 0), of.get("max_workers", whole)
        if all(isinstance(one, int) for one in (low, high, whole)):
            least += low
            if low > high:
                yield f"{where}: min_workers {low} is more than max_workers {high}"
            if name == head and high > 0 and "max_workers" in of:
                yield f"{where}: is the head, of which there is one: it has no max_workers"
        wrong = [key for key in ("resources", "node_config") if not isinstance(of.get(key) or {}, dict)]
        yield from (f"{where}.{key}: must be a map" for key in wrong)
        if wrong:
            continue
        resources = _map(of, "resources")
        yield from _counts(f"{where}.resources.", resources, tuple(resources))
        if name == head and resources.get("GPU"):
            yield f"{where}.resources: the head is up all the time, and a GPU there would cost all the time"
        if name == head and not resources.get("CPU"):
            yield f"{where}.resources: without CPU, Ray's smallest task would start a machine"
        if name == head and not resources.get(HEAD):
            yield f"{where}.resources: must hold `{HEAD}: 1`, by which a job knows that this cluster has roles"
        if known and name != head and not set(resources) & set(ROLES):
            yield f"{where}.resources: holds no role, so nothing of ours is ever placed there: {', '.join(ROLES)}"
    if isinstance(whole, int) and least > whole:
        yield f"max_workers: {whole} is less than the {least} that the node types have at least"


def _counts(where: str, of: dict[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        value = of.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            yield f"{where}{name}: {value!r} is no number from 0 on"


def validate(cluster: Cluster) -> None:
    """Ray's own check, of the file as its launcher fills it in. Nothing is asked of a cloud."""
    from jsonschema import ValidationError
    from ray.autoscaler._private.util import prepare_config, validate_config

    said = io.StringIO()
    logging.disable(logging.WARNING)  # it tells of what it fills in
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            validate_config(prepare_config(copy.deepcopy(cluster.content)))
    except ValidationError as error:
        where = f"{error.json_path.removeprefix('$.')}: " if error.absolute_path else ""
        raise UserError(f"{cluster.path}: {where}Ray refuses it: {' '.join(error.message.split())}") from None
    except Exception as error:  # of whatever kind: nothing but the file was read
        raise UserError(f"{cluster.path}: Ray refuses it: {type(error).__name__}: {first_line(error)}") from None
    finally:
        logging.disable(logging.NOTSET)
