"""The cluster file as KubeRay takes it: a group of pods for each node type, as a RayCluster or in a RayJob.

A pod may use what its node type tells Ray that it has. What the server's RayService needs as well
(xlnu/serve/manifest.py) is written once, here. The file's max_workers has no place in it: KubeRay knows a most of
each group, and none of all together.
"""

import copy
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlnu import __version__
from xlnu.cluster.file import FILE, Cluster, NodeType
from xlnu.config import setting
from xlnu.errors import UserError
from xlnu.serve.settings import PROXIES

RAY = "2.60.0"  # constraints.txt's
PORTS = {"gcs-server": 6379, "dashboard": 8265, "client": 10001, "serve": 8000, "metrics": 8080}
FOLDER = "/home/ray/xlnu"  # where cluster/Dockerfile puts jobs, configs, cluster and this package
SHARE = 7 / 8  # of a machine's cores, which its pod asks for and may go beyond; Ray is told of all of them
GRACE = 120  # seconds from SIGTERM to SIGKILL: what is in hand is written, a replica answers what it was asked
KEPT = 600  # seconds that a RayJob which has ended can be looked at
PARAMETERS = {
    "CPU": "num-cpus",
    "GPU": "num-gpus",
    "memory": "memory",
    "object_store_memory": "object-store-memory",
}
EVERYWHERE = {"RAY_USAGE_STATS_ENABLED": "0", **PROXIES}  # in every pod's environment
OURS = {FILE, "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}  # not the file's to say: a pod has its own
_NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_GROUP = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(k|[MGT]|[KMGT]i)?")


def _name(name: str) -> None:
    if not (_NAME.fullmatch(name) and len(name) <= 40):
        raise ValueError("Kubernetes takes a letter, then letters, digits and -, in lower case, 40 at most")


def _name_if_any(name: str) -> None:
    if name:
        _name(name)


def _quantities(memory: dict[str, str]) -> None:
    for name, much in memory.items():
        if not _QUANTITY.fullmatch(much):
            raise ValueError(f"{name}: {much!r} is no amount of memory, as 64Gi")


def _selectors(nodes: dict[str, str]) -> None:
    for labels in nodes.values():
        _selector(labels)


def _selector(text: str) -> dict[str, str]:
    found = {}
    for one in text.split(","):
        name, equals, value = one.strip().partition("=")
        if not (name and equals and value):
            raise ValueError(f"{one!r} is no label of a node, as cloud.google.com/gke-accelerator=nvidia-l4")
        found[name] = value
    return found


@dataclass
class PodsConfig:
    """What the cluster file cannot say of pods. None of it changes a result."""

    name: str = setting(
        "",
        "of the RayCluster, and with -job behind it of the RayJob; empty: the file's cluster_name",
        check=_name_if_any,
    )
    image: str = setting("xlnu:latest", "made from cluster/Dockerfile, and pushed to where your nodes find it")
    memory: dict[str, str] = setting(
        {}, "of a pod, by node type, as {trainer: 180Gi}; the others have 3Gi a core", check=_quantities
    )
    nodes: dict[str, str] = setting(
        {},
        "labels of the nodes for a node type, as {generator: cloud.google.com/gke-accelerator=nvidia-l40s}, with "
        "commas between them; the others go wherever there is room",
        check=_selectors,
    )
    spot: dict[str, str] = setting(
        {},
        "labels of spot nodes, as {cloud.google.com/gke-spot: 'true'}: node types that are spot in the file go to "
        "nodes with all of them, tainted by them or not; empty: they go wherever there is room",
    )
    secret: str = setting(
        "",
        "a Secret with the store's credentials and other keys, such as AWS_ACCESS_KEY_ID and HF_TOKEN, all of it "
        "put into the environment; empty: none, for the service account has access",
    )
    service_account: str = setting(
        "", "of all pods; it must be there, and KubeRay lets it start pods; empty: KubeRay makes one for the head"
    )


# ---------------------------------------------------------------------------------------------- a cluster


def raycluster(cluster: Cluster, kube: PodsConfig) -> dict[str, Any]:
    name = _called(cluster, kube)
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": metadata(name),
        "spec": _of_file(cluster, kube, name),
    }


def rayjob(cluster: Cluster, kube: PodsConfig, entrypoint: str) -> dict[str, Any]:
    """A cluster for one job, which goes when the job ends. A job that fails is started again, on another cluster,
    and goes on from what its steps left in the store.
    """
    name = f"{_called(cluster, kube)}-job"
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": metadata(name),
        "spec": {
            "entrypoint": entrypoint,  # on the head, in FOLDER
            "submissionMode": "K8sJobMode",
            "backoffLimit": 3,
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": KEPT,
            "rayClusterSpec": _of_file(cluster, kube, name),
        },
    }


def _called(cluster: Cluster, kube: PodsConfig) -> str:
    name = kube.name or str(cluster.content.get("cluster_name") or "xlnu")
    try:
        _name(name)
    except ValueError as error:
        raise UserError(f"{cluster.path}: cluster_name: {name}: {error}: give another as kube.name") from None
    return name


def _of_file(cluster: Cluster, kube: PodsConfig, name: str) -> dict[str, Any]:
    known = [one.name for one in cluster.types]
    for key in ("memory", "nodes"):
        for one in getattr(kube, key):
            if one not in known:
                raise UserError(f"kube.{key}: {one}: no such node type in {cluster.path}: {', '.join(known)}")
    (head,) = (one for one in cluster.types if one.head)
    workers = [
        {
            "groupName": _group_name(cluster, one),
            "replicas": one.least,
            "minReplicas": one.least,
            "maxReplicas": one.most,
            **_group(cluster, kube, one, name),
        }
        for one in cluster.types
        if not one.head
    ]
    return spec(_group(cluster, kube, head, name), workers, cluster.idle)


def _group_name(cluster: Cluster, one: NodeType) -> str:
    if not _GROUP.fullmatch(one.name) or one.name == "headgroup":  # so KubeRay itself calls the head's
        raise UserError(
            f"{cluster.path}: available_node_types.{one.name}: pods are named by it: Kubernetes takes letters, "
            "digits and - in lower case, and KubeRay calls the head headgroup"
        )
    return one.name


def _group(cluster: Cluster, kube: PodsConfig, one: NodeType, name: str) -> dict[str, Any]:
    if not one.resources.get("CPU"):
        raise UserError(f"{cluster.path}: available_node_types.{one.name}.resources: a pod must have CPU")
    commands = "head_start_ray_commands" if one.head else "worker_start_ray_commands"
    environment = _exported(cluster, commands)
    if one.head:
        environment[FILE] = _in_image(cluster)
    memory = kube.memory.get(one.name, f"{3 * int(one.resources['CPU'])}Gi")
    made = group(one.resources, kube.image, memory, name, environment, ports=PORTS if one.head else None)
    pod = made["template"]["spec"]
    (container,) = pod["containers"]
    # Kubernetes keeps some of a machine for itself: a pod that asks for all of it would wait for ever
    container["resources"]["requests"]["cpu"] = f"{round(1000 * SHARE * one.resources['CPU'])}m"
    container["workingDir"] = FOLDER
    if kube.secret:
        container["envFrom"] = [{"secretRef": {"name": kube.secret}}]
    if kube.service_account:
        pod["serviceAccountName"] = kube.service_account
    spot = kube.spot if one.spot else {}
    selected = spot | (_selector(kube.nodes[one.name]) if one.name in kube.nodes else {})
    if selected:
        pod["nodeSelector"] = selected
    for label, value in spot.items():
        pod.setdefault("tolerations", []).append({"key": label, "operator": "Equal", "value": value})
    return made


def _in_image(cluster: Cluster) -> str:
    """Where a pod has the file."""
    place = Path(cluster.path).expanduser().resolve()
    if place.parent != Path("cluster").resolve():
        raise UserError(
            f"{cluster.path}: pods have the folder cluster/ of the working directory, and would not find the file "
            "that lies elsewhere: put it there"
        )
    return f"{FOLDER}/cluster/{place.name}"


def _exported(cluster: Cluster, commands: str) -> dict[str, str]:
    """What the file's start commands put into the environment."""
    found = {}
    try:
        exports = list(_exports(cluster.content.get(commands) or []))
    except ValueError as error:
        raise UserError(f"{cluster.path}: {commands}: no shell command: {error}") from None
    for name, value in exports:
        if name in OURS:
            continue
        if "$" in value or "`" in value or value.startswith("~"):
            raise UserError(
                f"{cluster.path}: {commands}: {name}={value}: no pod knows what stands there: write it out, or put "
                "it into the Secret that kube.secret names"
            )
        found[name] = value
    return found


def _exports(commands: Iterable[str]) -> Iterator[tuple[str, str]]:
    for command in commands:
        words = shlex.shlex(command, posix=True, punctuation_chars=True)
        words.whitespace_split, words.commenters = True, ""
        inside = False
        for word in words:
            name, equals, value = word.partition("=")
            inside = word == "export" or (inside and bool(equals))
            if inside and equals:
                yield name, value


# ---------------------------------------------------------------------------------------------- of any cluster


def spec(head: dict[str, Any], workers: list[dict[str, Any]], idle: float = 60) -> dict[str, Any]:
    """Of a RayCluster. `idle`: seconds after which a pod that does nothing is let go."""
    return {
        "rayVersion": RAY,
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {"version": "v2", "idleTimeoutSeconds": round(idle), "upscalingMode": "Default"},
        "authOptions": {"mode": "token"},  # KubeRay makes one for the cluster
        "headGroupSpec": head,
        "workerGroupSpecs": workers,
    }


def group(
    resources: Mapping[str, float],
    image: str,
    memory: str,
    name: str,
    environment: Mapping[str, str | dict[str, Any]],
    *,
    cpus: int = 0,
    ports: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Pods that are alike, and what Ray is told of each. `environment`: values, and where a value comes from.
    `cpus`: the pod's, if Ray shall not use them all.
    """
    own = {one: int(much) for one, much in resources.items() if one not in PARAMETERS}
    told = {PARAMETERS[one]: str(int(much)) for one, much in resources.items() if one in PARAMETERS}
    if own:
        told["resources"] = f"'{json.dumps(own)}'"  # for a shell, and for the autoscaler, which drops the marks
    gpus = int(resources.get("GPU", 0))
    has = {"cpu": str(cpus or int(resources["CPU"])), "memory": memory}
    if gpus:
        has["nvidia.com/gpu"] = str(gpus)
    container: dict[str, Any] = {
        "name": "ray",
        "image": image,
        "resources": {"requests": has, "limits": dict(has)},  # the same: no pod is squeezed for another's sake
        "env": [
            {"name": one, "value" if isinstance(value, str) else "valueFrom": copy.deepcopy(value)}
            for one, value in {**EVERYWHERE, **environment}.items()
        ],
    }
    if ports:
        container["ports"] = [{"name": one, "containerPort": port} for one, port in ports.items()]
    pod: dict[str, Any] = {"terminationGracePeriodSeconds": GRACE, "containers": [container]}
    if gpus:
        pod["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    return {"rayStartParams": told, "template": {"metadata": {"labels": metadata(name)["labels"]}, "spec": pod}}


def metadata(name: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/version": __version__}
    return {"name": name, "labels": labels}
