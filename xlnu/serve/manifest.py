"""The same server for others to start: Ray Serve's own file, and a RayService for KubeRay."""

import dataclasses
import json
from typing import Any

import yaml

from xlnu import __version__
from xlnu.config import setting
from xlnu.serve.app import NAME
from xlnu.serve.keys import ENVIRONMENT
from xlnu.serve.settings import PROXIES, ServeConfig

RAY = "2.60.0"  # constraints.txt's
EVERYWHERE = "0.0.0.0"  # inside a pod; what reaches it is the service's matter, and keys are asked for
PORTS = {"gcs-server": 6379, "dashboard": 8265, "client": 10001, "serve": 8000, "metrics": 8080}


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
    labels = {"app.kubernetes.io/name": kube.name, "app.kubernetes.io/version": __version__}
    serve = yaml.safe_dump(serve_file(config, EVERYWHERE, PORTS["serve"]), sort_keys=False, allow_unicode=True)
    server = {
        "groupName": "server",
        "replicas": least,
        "minReplicas": least,
        "maxReplicas": most,
        "rayStartParams": {},
        "template": _pod(kube, labels, cpus, max(1, round(of.gpus)) if of.gpus else 0),
    }
    if of.resources:
        server["rayStartParams"] = {"resources": f"'{json.dumps(of.resources)}'"}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": kube.name, "labels": labels},
        "spec": {
            "serveConfigV2": serve,
            "rayClusterConfig": {
                "rayVersion": RAY,
                "enableInTreeAutoscaling": True,
                "authOptions": {"mode": "token"},
                "headGroupSpec": {
                    "rayStartParams": {"num-cpus": "0"},  # no replica beside the controller
                    "template": _pod(kube, labels, 2, 0, PORTS),
                },
                "workerGroupSpecs": [server],
            },
        },
    }


def _pod(
    kube: KubeConfig, labels: dict[str, str], cpus: int, gpus: int, ports: dict[str, int] | None = None
) -> dict[str, Any]:
    some: dict[str, Any] = {"cpu": str(cpus), "memory": kube.memory}
    if gpus:
        some["nvidia.com/gpu"] = str(gpus)
    key = {"name": ENVIRONMENT, "valueFrom": {"secretKeyRef": {"name": kube.secret, "key": "keys"}}}
    container: dict[str, Any] = {
        "name": "ray",
        "image": kube.image,
        "resources": {"requests": dict(some), "limits": dict(some)},
        "env": [
            key,
            {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"},
            *({"name": name, "value": value} for name, value in PROXIES.items()),
        ],
    }
    pod: dict[str, Any] = {"containers": [container]}
    if ports:
        container["ports"] = [{"name": name, "containerPort": port} for name, port in ports.items()]
    if kube.claim:
        container["volumeMounts"] = [{"name": "models", "mountPath": kube.mount, "readOnly": True}]
        pod["volumes"] = [{"name": "models", "persistentVolumeClaim": {"claimName": kube.claim, "readOnly": True}}]
    return {"metadata": {"labels": labels}, "spec": pod}
