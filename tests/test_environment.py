"""What is installed is what constraints.txt pins: else a fresh machine has something that nobody tested."""

import importlib.metadata
import re
from pathlib import Path

TOP = Path(__file__).parents[1]
# A CUDA torch brings its own libraries, pinned by torch itself; a CPU torch has none of them.
NOT_PINNED = {"xlnu", "pip"}
CUDA = re.compile(r"(nvidia|cuda|triton).*")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_installed_package_is_pinned_exactly() -> None:
    lines = (TOP / "constraints.txt").read_text().splitlines()
    pinned = {_normal(name): version for name, version in (line.split("==") for line in lines)}
    for found in importlib.metadata.distributions():
        name, version = _normal(found.name), found.version.partition("+")[0]
        if name not in NOT_PINNED and not CUDA.fullmatch(name):
            assert pinned.get(name) == version, f"{name} {version}: add it to constraints.txt, or install its pin"


def test_what_is_asked_for_is_pinned() -> None:
    """A new dependency without a pin sends pip's resolver back through years of releases."""
    lines = (TOP / "constraints.txt").read_text().splitlines()
    pinned = {_normal(line.split("==")[0]) for line in lines}
    for requirement in importlib.metadata.requires("xlnu") or []:
        name = re.split(r"[\[;<>=! ]", requirement)[0]
        assert _normal(name) in pinned, name
