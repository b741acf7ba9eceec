"""The same server for others to start: Ray Serve's own file, and a RayService for KubeRay."""

import dataclasses
from typing import Any

import yaml

from xlnu.cluster import kube as cluster
from xlnu.cluster.roles import HEAD
from xlnu.config import setting
from xlnu.serve.app import NAME
from xlnu.serve.keys import ENVIRONMENT
from xlnu.serve.settings import ServeConfig

EVERYWHERE = "0.0.0.0"  # inside a pod; what reaches it is the service's matter, and keys are asked for


@dataclasses.dataclass
class KubeConfig:
    name: str = setting("xlnu", "of the RayService")
    image: str = setting("xlnu:latest", "with this package and constraints.txt installed in it")
    claim: str = setting(
        "xlnu-models", "the PersistentVolumeClaim that the models lie on; empty: they come from the hub"
    )
    mount: str = setting("/models", "where it is mounted; models name folders below it")
    secret: str = setting(
        "xlnu-api-keys", "the Secret whose entry `keys` has the API keys, with commas between them"
    )
    memory: str = setting("8Gi", "of a pod with a replica")


def serve_file(config: ServeConfig, host: str, port: int) -> dict[str, Any]:
    """What `serve run` and `serve deploy` take. `args` holds what differs from the defaults."""
    mine = {field.name for field in dataclasses.fields(ServeConfig)}
    given = {name: value for name, value in dataclasses.asdict(config).items() if name in mine}
    return {
        "proxy_location": "EveryNode",
        "http_options": {"host": host, "port": port},
        "applications": [
            {
                "name": NAME,
                "route_prefix": "/",
                "import_path": "xlnu.serve.app:build",
                "args": _changed(given, dataclasses.asdict(ServeConfig())),
            }
        ],
    }


def _changed(given: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, dict) and usual.get(name):
            below = _changed(value, usual[name])
            found |= {name: below} if below else {}
        elif value != usual.get(name):
            found[name] = value
    return found


def rayservice(config: ServeConfig, kube: KubeConfig) -> dict[str, Any]:
    """Pods for every replica that there may be, one each, brought up by Ray's autoscaler and let go again."""
    of = config.replicas
    most, least = of.most * len(config.models), of.least * len(config.models)
    cpus = max(1, round(of.cpus + config.api.cpus + 0.5))
    gpus = {"GPU": max(1, round(of.gpus))} if of.gpus else {}
    keys = {ENVIRONMENT: {"secretKeyRef": {"name": kube.secret, "key": "keys"}}}
    serve = yaml.safe_dump(
        serve_file(config, EVERYWHERE, cluster.PORTS["serve"]), sort_keys=False, allow_unicode=True
    )
    # no replica comes to stand on a head without cores
    head = cluster.group({"CPU": 0, HEAD: 1}, kube.image, kube.memory, kube.name, keys, cpus=2, ports=cluster.PORTS)
    server = {
        "groupName": "server",
        "replicas": least,
        "minReplicas": least,
        "maxReplicas": most,
        **cluster.group({"CPU": cpus, **gpus, "server": 1}, kube.image, kube.memory, kube.name, keys),
    }
    for group in (head, server):
        _mount(kube, group["template"]["spec"])
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": cluster.metadata(kube.name),
        "spec": {"serveConfigV2": serve, "rayClusterConfig": cluster.spec(head, [server])},
    }


def _mount(kube: KubeConfig, pod: dict[str, Any]) -> None:
    """The volume with the models."""
    if kube.claim:
        (container,) = pod["containers"]
        container["volumeMounts"] = [{"name": "models", "mountPath": kube.mount, "readOnly": True}]
        pod["volumes"] = [{"name": "models", "persistentVolumeClaim": {"claimName": kube.claim, "readOnly": True}}]
