"""What `python jobs/cluster.py` does: checks the cluster file, shows it, and leaves what KubeRay takes."""

from dataclasses import dataclass
from typing import Any

import yaml

from xlnu.cluster import file
from xlnu.cluster.file import Cluster, NodeType
from xlnu.cluster.kube import PodsConfig, raycluster, rayjob
from xlnu.cluster.roles import HEAD, ROLES
from xlnu.columns import columns
from xlnu.config import section, setting
from xlnu.run import FolderConfig, Run, print_out

HEADER = ("node type", "instance", "spot", "machines", "has", "roles")


def _command(entrypoint: str) -> None:
    if not entrypoint.strip():
        raise ValueError("a RayJob runs a command, as `python jobs/sdrrl.py`")


@dataclass
class ClusterConfig:
    file: str = setting("cluster/xlnu.yaml", "the cluster file, which Ray's launcher reads")
    entrypoint: str = setting(
        "python jobs/sdrrl.py", "what the RayJob runs: a command and its arguments", check=_command
    )
    kube: PodsConfig = section(PodsConfig)
    run: FolderConfig = section(FolderConfig)


def work(config: ClusterConfig, run: Run) -> None:
    cluster = file.read(config.file)
    file.validate(cluster)
    made = {
        "raycluster.yaml": raycluster(cluster, config.kube),
        "rayjob.yaml": rayjob(cluster, config.kube, config.entrypoint),
    }
    print_out(_table(cluster))
    if run.plan:
        return
    for name, content in made.items():
        run.put(name, _yaml(content))
    for name in made:
        print_out(run.folder.place(name))


def _table(cluster: Cluster) -> str:
    shown = columns([HEADER, *(_line(one) for one in cluster.types)], len(HEADER))
    return f"{shown}\nbeside the head {cluster.most} machines at most; gone after {cluster.idle:g} s idle"


def _line(one: NodeType) -> tuple[str, ...]:
    has = ", ".join(f"{name} {much:g}" for name, much in one.resources.items() if name not in (*ROLES, HEAD))
    machines = str(one.most) if one.head or one.least == one.most else f"{one.least} to {one.most}"
    return one.name, one.instance or "-", "spot" if one.spot else "-", machines, has, ", ".join(sorted(one.roles))


def _yaml(content: dict[str, Any]) -> bytes:
    return f"# kubectl apply -f this file\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}".encode()
