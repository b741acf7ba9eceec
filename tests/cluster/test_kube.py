"""What KubeRay is given: it takes it, its pods have what the cluster file's machines have, and Ray reads it so."""

import dataclasses
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

from tests.cluster import shipped
from tests.cluster.crds import crd
from tests.cluster.shipped import CONTENT, SHIPPED, TOP
from xlnu import config
from xlnu.cluster import file
from xlnu.cluster.job import ClusterConfig
from xlnu.cluster.kube import FOLDER, GRACE, RAY, PodsConfig, raycluster, rayjob
from xlnu.errors import UserError

SHIPPED_CLUSTER = file.read(str(SHIPPED))
ENTRYPOINT = "python jobs/sdrrl.py transfer.seed=1"
MANY = [
    "kube.name=mine", "kube.image=registry/xlnu:1", "kube.memory={trainer: 180Gi, reader: 512Mi}",
    "kube.spot={cloud.google.com/gke-spot: 'true', pool: cheap}", "kube.secret=store", "kube.service_account=jobs",
    "kube.nodes={generator: 'gpu=l40s, zone=a', trainer: gpu=l4}",
]  # fmt: skip


def cluster(folder: Path, changes: dict[str, Any]) -> file.Cluster:
    """A changed file, as if it lay where pods have it."""
    return dataclasses.replace(shipped.cluster(folder, changes), path="cluster/mine.yaml")


def pods(*arguments: str) -> PodsConfig:
    return config.load(ClusterConfig, None, arguments).kube


def spec(made: dict[str, Any]) -> dict[str, Any]:
    """Of the cluster."""
    found: dict[str, Any] = made["spec"].get("rayClusterSpec", made["spec"])
    return found


def groups(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        "head": spec(made)["headGroupSpec"],
        **{one["groupName"]: one for one in spec(made)["workerGroupSpecs"]},
    }


def container(group: dict[str, Any]) -> dict[str, Any]:
    (found,) = group["template"]["spec"]["containers"]
    return dict(found)


def environment(group: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container(group)["env"]}


@pytest.mark.parametrize("arguments", [[], MANY])
@pytest.mark.parametrize("kind", ["rayclusters", "rayjobs"])
def test_kuberay_takes_the_manifest(kind: str, arguments: list[str]) -> None:
    kube = pods(*arguments)
    given = (
        raycluster(SHIPPED_CLUSTER, kube) if kind == "rayclusters" else rayjob(SHIPPED_CLUSTER, kube, ENTRYPOINT)
    )
    text = yaml.safe_dump(given)
    assert "&id" not in text  # nothing in it points elsewhere
    made = yaml.safe_load(text)
    assert f"{made['kind'].lower()}s" == kind
    jsonschema.validate(made, crd(kind))


@pytest.mark.parametrize("place", ["job", "cluster", "worker", "container"])
def test_a_misspelt_key_is_refused_wherever_it_stands(place: str) -> None:
    made = rayjob(SHIPPED_CLUSTER, pods(), ENTRYPOINT)
    worker = spec(made)["workerGroupSpecs"][0]
    (ray,) = worker["template"]["spec"]["containers"]
    {"job": made["spec"], "cluster": spec(made), "worker": worker, "container": ray}[place]["misspelt"] = 5
    with pytest.raises(jsonschema.ValidationError, match="'misspelt' was unexpected"):
        jsonschema.validate(made, crd("rayjobs"))


def test_pods_have_what_ray_is_told_that_they_have() -> None:
    for name, group in groups(raycluster(SHIPPED_CLUSTER, pods(*MANY))).items():
        there = CONTENT["available_node_types"][name]
        has = dict(there["resources"])
        cpus, gpus = str(has.pop("CPU")), str(has.pop("GPU", 0))
        told, some = group["rayStartParams"], container(group)["resources"]
        assert (told["num-cpus"], told.get("num-gpus", "0")) == (cpus, gpus)
        assert (some["limits"]["cpu"], some["limits"].get("nvidia.com/gpu", "0")) == (cpus, gpus)
        assert some["limits"]["memory"] == {"trainer": "180Gi", "reader": "512Mi"}.get(name, f"{3 * int(cpus)}Gi")
        assert some["requests"] == some["limits"] | {"cpu": f"{875 * int(cpus)}m"}
        shell = ["bash", "-c", f"printf %s --resources={told['resources']}"]  # KubeRay's is one, too
        said = subprocess.run(shell, capture_output=True, text=True, check=True).stdout
        assert json.loads(said.removeprefix("--resources=")) == has
        if name != "head":
            least, most = there["min_workers"], there["max_workers"]
            assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (least, least, most)


def test_rays_autoscaler_reads_the_node_types_of_the_file(tmp_path: Path) -> None:
    more = {"available_node_types.scorer.min_workers": 2, "idle_timeout_minutes": 0.5}
    made = raycluster(cluster(tmp_path, more), pods())
    made["metadata"]["namespace"] = "default"
    read = _derive_autoscaling_config_from_ray_cr(made)
    types = {"head" if name == "headgroup" else name: one for name, one in read["available_node_types"].items()}
    assert set(types) == set(CONTENT["available_node_types"])
    for name, one in types.items():
        there = CONTENT["available_node_types"][name]
        memory = one["resources"].pop("memory")
        assert one["resources"] == there["resources"]
        assert memory == 3 * there["resources"]["CPU"] * 2**30
        if name != "head":
            assert (one["min_workers"], one["max_workers"]) == (2 * (name == "scorer"), there["max_workers"])
    assert read["idle_timeout_minutes"] == 0.5
    assert read["upscaling_speed"] > 100


def test_resources_that_ray_has_flags_for_are_told_by_them(tmp_path: Path) -> None:
    has = {"CPU": 4, "memory": 10**11, "object_store_memory": 10**10, "reader": 1, "disk": 3}
    made = groups(raycluster(cluster(tmp_path, {"available_node_types.reader.resources": has}), pods()))
    assert made["reader"]["rayStartParams"] == {
        "num-cpus": "4",
        "memory": "100000000000",
        "object-store-memory": "10000000000",
        "resources": '\'{"disk": 3, "reader": 1}\'',
    }


def test_a_cluster_lets_nobody_in_and_grows_and_shrinks() -> None:
    made = spec(raycluster(SHIPPED_CLUSTER, pods()))
    assert made["authOptions"] == {"mode": "token"}
    assert made["enableInTreeAutoscaling"] is True
    assert made["autoscalerOptions"] == {"version": "v2", "idleTimeoutSeconds": 300, "upscalingMode": "Default"}
    assert made["rayVersion"] == "2.60.0"


def test_pods_have_the_environment_of_the_files_machines() -> None:
    made = groups(raycluster(SHIPPED_CLUSTER, pods()))
    every = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "xlnu.serve.proxies:middlewares",
    }
    head = {"XLNU_STORE": "s3://your-bucket/xlnu", "XLNU_CLUSTER": "/home/ray/xlnu/cluster/xlnu.yaml"}
    for name, group in made.items():
        assert environment(group) == (every | head if name == "head" else every)
        assert container(group)["workingDir"] == FOLDER  # where the image has the jobs
        assert group["template"]["spec"]["terminationGracePeriodSeconds"] == GRACE > 30


@pytest.mark.parametrize(
    ("commands", "found"),
    [
        (["ray start"], {}),
        (["export A=1 B='two words'; ray start --head --x=y"], {"A": "1", "B": "two words"}),
        (
            ["ray stop", "export A=s3://b/x?region=y && export B=2; C=3 ray start"],
            {"A": "s3://b/x?region=y", "B": "2"},
        ),
        (["export RAY_AUTH_MODE=token XLNU_CLUSTER=~/here A=1"], {"A": "1"}),
        (["export RAY_USAGE_STATS_ENABLED=1"], {"RAY_USAGE_STATS_ENABLED": "1"}),
    ],
)
def test_start_commands_are_read_as_a_shell_reads_them(
    commands: list[str], found: dict[str, str], tmp_path: Path
) -> None:
    made = groups(raycluster(cluster(tmp_path, {"worker_start_ray_commands": commands}), pods()))
    assert environment(made["reader"]) == environment(groups(raycluster(SHIPPED_CLUSTER, pods()))["reader"]) | found


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("export A=$HOME/x", "head_start_ray_commands: A=$HOME/x: no pod knows"),
        ("export A=~/x", "A=~/x: no pod knows"),
        ("export A='x", "head_start_ray_commands: no shell command: No closing quotation"),
    ],
)
def test_what_a_pod_cannot_know_is_refused(command: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        raycluster(cluster(tmp_path, {"head_start_ray_commands": [command]}), pods())


def test_a_file_that_pods_would_not_find_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cluster").mkdir()
    within, beside = shipped.cluster(tmp_path / "cluster", {}), shipped.cluster(tmp_path, {})
    monkeypatch.chdir(tmp_path)
    for there in (within, file.read("cluster/mine.yaml")):
        made = groups(raycluster(there, pods()))
        assert environment(made["head"])["XLNU_CLUSTER"] == f"{FOLDER}/cluster/mine.yaml"
    for there in (beside, SHIPPED_CLUSTER):
        with pytest.raises(UserError, match=f"^{there.path}: pods have the folder cluster/"):
            raycluster(there, pods())


def test_spot_machines_are_spot_nodes() -> None:
    made = groups(raycluster(SHIPPED_CLUSTER, pods(*MANY)))
    spot = {"cloud.google.com/gke-spot": "true", "pool": "cheap"}
    tolerated = [{"key": key, "operator": "Equal", "value": value} for key, value in spot.items()]
    gpu = {"key": "nvidia.com/gpu", "operator": "Exists"}
    selected = {name: group["template"]["spec"].get("nodeSelector") for name, group in made.items()}
    assert selected == {
        "head": None,
        "reader": spot,
        "generator": spot | {"gpu": "l40s", "zone": "a"},
        "translator": spot,
        "scorer": spot,
        "trainer": {"gpu": "l4"},
        "server": None,
    }
    borne = {name: group["template"]["spec"].get("tolerations") for name, group in made.items()}
    assert borne == {
        "head": None,
        "reader": tolerated,
        **{name: [gpu, *tolerated] for name in ("generator", "translator", "scorer")},
        "trainer": [gpu],
        "server": [gpu],
    }


def test_credentials_come_from_a_secret_or_from_the_service_account() -> None:
    for group in groups(raycluster(SHIPPED_CLUSTER, pods(*MANY))).values():
        assert container(group)["envFrom"] == [{"secretRef": {"name": "store"}}]
        assert group["template"]["spec"]["serviceAccountName"] == "jobs"
        assert container(group)["image"] == "registry/xlnu:1"
    for group in groups(raycluster(SHIPPED_CLUSTER, pods())).values():
        assert "envFrom" not in container(group)
        assert not {"serviceAccountName", "nodeSelector"} & set(group["template"]["spec"])


def test_the_job_runs_on_the_same_cluster_and_is_started_again() -> None:
    made, alone = rayjob(SHIPPED_CLUSTER, pods(), ENTRYPOINT), raycluster(SHIPPED_CLUSTER, pods())
    assert (made["metadata"]["name"], alone["metadata"]["name"]) == ("xlnu-job", "xlnu")
    assert json.loads(json.dumps(spec(made)).replace('"xlnu-job"', '"xlnu"')) == alone["spec"]
    assert {name: value for name, value in made["spec"].items() if name != "rayClusterSpec"} == {
        "entrypoint": ENTRYPOINT,
        "submissionMode": "K8sJobMode",
        "backoffLimit": 3,
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": 600,
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["kube.memory={gpu: 5Gi}"], "kube.memory: gpu: no such node type"),
        (["kube.nodes={gpu: a=b}"], "kube.nodes: gpu: no such node type"),
        (["kube.memory={reader: much}"], "kube.memory: .*'much' is no amount of memory"),
        (["kube.nodes={reader: spot}"], "kube.nodes: .*'spot' is no label"),
        (["kube.name=My_Cluster"], "kube.name: got My_Cluster .*Kubernetes takes"),
        ([f"kube.name={'x' * 41}"], "kube.name: .*40 at most"),
    ],
)
def test_settings_that_cannot_be_are_named(arguments: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        raycluster(SHIPPED_CLUSTER, pods(*arguments))


def test_names_that_kubernetes_does_not_take_are_named(tmp_path: Path) -> None:
    types = CONTENT["available_node_types"]
    for name in ("big_gpu", "Scorer", "headgroup"):
        there = cluster(tmp_path, {"available_node_types": {**types, name: types["scorer"]}})
        with pytest.raises(UserError, match=f"available_node_types.{name}: pods are named by it"):
            raycluster(there, pods())
    there = cluster(tmp_path, {"cluster_name": "My_Cluster"})
    with pytest.raises(UserError, match=r"cluster_name: My_Cluster: Kubernetes takes .*kube.name"):
        raycluster(there, pods())
    assert raycluster(there, pods("kube.name=mine"))["metadata"]["name"] == "mine"
    coreless = cluster(tmp_path, {"available_node_types.scorer.resources": {"GPU": 1, "scorer": 1}})
    with pytest.raises(UserError, match=r"scorer\.resources: a pod must have CPU"):
        raycluster(coreless, pods())


def test_one_ray_everywhere() -> None:
    assert f"ray=={RAY}" in (TOP / "constraints.txt").read_text().splitlines()
    image = CONTENT["docker"]["image"]
    assert image == f"rayproject/ray:{RAY}-py311-gpu"
    assert f"FROM {image}" in (TOP / "cluster" / "Dockerfile").read_text().splitlines()
