"""The cluster file that comes with xlnu, and the same with a change in it."""

import copy
from pathlib import Path
from typing import Any

import yaml

from xlnu.cluster import file

TOP = Path(__file__).parents[2]
SHIPPED = TOP / "cluster" / "xlnu.yaml"
CONTENT: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
GONE = object()


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """`changes`: values by their dotted names, or GONE."""
    made = copy.deepcopy(CONTENT)
    for name, value in changes.items():
        *above, last = name.split(".")
        inside = made
        for one in above:
            inside = inside[one]
        if value is GONE:
            del inside[last]
        else:
            inside[last] = value
    return made


def cluster(folder: Path, changes: dict[str, Any]) -> file.Cluster:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(changed(changes)))
    return file.read(str(path))
