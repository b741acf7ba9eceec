"""What KubeRay takes, by the schemas that it publishes."""

import functools
import gzip
import os
from pathlib import Path
from typing import Any

import pytest
import yaml


@functools.cache
def crd(kind: str) -> Any:
    """The schema of rayclusters, rayjobs or rayservices."""
    folder = os.environ.get("XLNU_REAL_DATA")
    if not folder:
        pytest.skip("XLNU_REAL_DATA names no folder of real data")
    text = gzip.decompress((Path(folder) / "kuberay_crds" / f"ray.io_{kind}.yaml.gz").read_bytes())
    (content,) = [one for one in yaml.safe_load_all(text) if one]
    (version,) = [one for one in content["spec"]["versions"] if one["name"] == "v1"]
    return closed(version["schema"]["openAPIV3Schema"])


def closed(schema: Any) -> Any:
    """As the API server has it, which drops what the schema does not name: here that is an error."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    made = {name: closed(one) for name, one in schema.items() if name != "format"}
    if isinstance(made.get("properties"), dict) and "type" in made and "additionalProperties" not in made:
        made["additionalProperties"] = made.get("x-kubernetes-preserve-unknown-fields", False)
        if set(made["properties"]) >= {"apiVersion", "kind", "metadata"}:
            made["additionalProperties"] = True
    return made
