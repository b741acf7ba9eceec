"""The files by which others start the same server."""

from typing import Any

import jsonschema
import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from tests.cluster.crds import crd
from tests.serve.serving import TOP
from xlnu import config
from xlnu.errors import UserError
from xlnu.serve.job import ServeJobConfig, ours
from xlnu.serve.manifest import KubeConfig, rayservice, serve_file
from xlnu.serve.settings import ServeConfig

SHIPPED = TOP / "configs" / "serve.yaml"
MANY = ["models={topic: /models/a, nli: /models/b}", "replicas.least=0", "replicas.most=3", "replicas.gpus=0.5",
        "limits.wait=3", "api.replicas=2"]  # fmt: skip


@pytest.mark.parametrize("arguments", [["models={topic: org/name}"], MANY])
def test_kuberay_takes_the_manifest(arguments: list[str]) -> None:
    given = config.load(ServeJobConfig, None, arguments)
    text = yaml.safe_dump(rayservice(given, given.kube))
    assert "&id" not in text  # nothing in it points elsewhere
    made = yaml.safe_load(text)
    schema = crd("rayservices")
    jsonschema.validate(made, schema)
    made["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["maxReplica"] = 5
    with pytest.raises(jsonschema.ValidationError, match="maxReplica"):
        jsonschema.validate(made, schema)


def test_the_manifest_is_the_same_server() -> None:
    given = config.load(ServeJobConfig, None, MANY)
    made = rayservice(given, KubeConfig(name="mine", image="registry/xlnu:1"))
    inside = yaml.safe_load(made["spec"]["serveConfigV2"])
    assert inside["http_options"]["host"] == "0.0.0.0"
    again = config.load(ServeJobConfig, None, [])
    for name, value in config.settings(config.of(ServeConfig, inside["applications"][0]["args"], "args")).items():
        assert value == config.settings(given)[name], name
        assert name in config.settings(again)
    group = made["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
    assert (group["minReplicas"], group["maxReplicas"]) == (0, 6)
    container = group["template"]["spec"]["containers"][0]
    assert container["image"] == "registry/xlnu:1"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    (keys,) = (one for one in container["env"] if one["name"] == "XLNU_API_KEYS")
    assert keys["valueFrom"]["secretKeyRef"]["key"] == "keys"
    assert group["rayStartParams"] == {"num-cpus": "2", "num-gpus": "1", "resources": "'{\"server\": 1}'"}
    head = made["spec"]["rayClusterConfig"]["headGroupSpec"]
    assert head["rayStartParams"] == {"num-cpus": "0", "resources": "'{\"head\": 1}'"}
    assert head["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "2"
    assert made["spec"]["rayClusterConfig"]["authOptions"] == {"mode": "token"}


def test_serve_takes_the_files() -> None:
    given = config.load(ServeJobConfig, None, MANY)
    for content in (serve_file(given, "127.0.0.1", 8000), yaml.safe_load(SHIPPED.read_text())):
        read = ServeDeploySchema.model_validate(content)
        assert read.http_options.host == "127.0.0.1"
        assert read.applications[0].import_path == "xlnu.serve.app:build"


def test_the_job_reads_serves_file() -> None:
    given = config.load(ServeJobConfig, str(SHIPPED), ["port=8001"], ours)
    assert list(given.models) == ["topic", "aligned"]
    assert (given.host, given.port, given.replicas.most) == ("127.0.0.1", 8001, 2)
    with pytest.raises(UserError, match="no more, has the import_path"):
        ours({"applications": []})


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"model": {}}, "args"),
        ({"models": {"a b": "x"}}, "'a b' is no name"),
        ({"replicas": {"most": 0}}, "replicas.most: got 0"),
        ({"api": {"keys": {"me": "secret"}}}, "is not the SHA-256 of a key"),
        ({"numbers": "int3"}, "allowed: one of auto, float32"),
    ],
)
def test_what_is_wrong_in_args_is_told(args: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        config.of(ServeConfig, args, "args")


def test_numbers_of_another_reader_are_read() -> None:
    args = {
        "models": {"a": "x"},
        "limits": {"wait": 2.5, "body": 5000},
        "api": {"texts_in_log": True},
        "detect": None,
    }
    found = config.of(ServeConfig, args, "args")
    assert (found.limits.wait, found.limits.body, found.api.texts_in_log, found.detect) == (2.5, 5000, True, "")
