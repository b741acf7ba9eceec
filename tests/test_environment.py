"""What is installed is what constraints.txt pins: else a fresh machine has something that nobody tested."""

import ast
import importlib.metadata
import re
import sys
from pathlib import Path

from packaging.requirements import Requirement

TOP = Path(__file__).parents[1]
# A CUDA torch brings its own libraries, pinned by torch itself; a CPU torch has none of them.
CUDA = re.compile(r"(nvidia|cuda|triton).*")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _needed(name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> None:
    """All that a package asks for here, and what that asks for in turn."""
    if (name, extras) in seen:
        return
    seen.add((name, extras))
    for requirement in map(Requirement, importlib.metadata.requires(name) or []):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (extras or {""})):
            _needed(_normal(requirement.name), frozenset(requirement.extras), seen)


def test_every_package_that_is_needed_is_installed_as_pinned() -> None:
    lines = (TOP / "constraints.txt").read_text().splitlines()
    pinned = {_normal(name): version for name, version in (line.split("==") for line in lines)}
    needed: set[tuple[str, frozenset[str]]] = set()
    _needed("xlnu", frozenset({"dev"}), needed)
    names = {name for name, _ in needed} - {"xlnu"}
    assert len(names) > 100
    for name in sorted(names):
        version = importlib.metadata.version(name).partition("+")[0]
        if not CUDA.fullmatch(name):
            assert pinned.get(name) == version, f"{name} {version}: add it to constraints.txt, or install its pin"


def test_what_is_asked_for_is_pinned() -> None:
    """A new dependency without a pin sends pip's resolver back through years of releases."""
    lines = (TOP / "constraints.txt").read_text().splitlines()
    pinned = {_normal(line.split("==")[0]) for line in lines}
    for requirement in importlib.metadata.requires("xlnu") or []:
        name = re.split(r"[\[;<>=! ]", requirement)[0]
        assert _normal(name) in pinned, name


# used where they are there; tests have them
THE_USERS_OWN = {"fasttext", "lm_eval", "mlflow", "mteb", "sentence_transformers", "wandb"}


def test_what_is_imported_is_asked_for_by_name() -> None:
    """What comes only with something else is gone when that changes its mind."""
    owners, stated = importlib.metadata.packages_distributions(), Requirement
    asked = {False: set[str](), True: set[str]()}
    for requirement in map(stated, importlib.metadata.requires("xlnu") or []):
        for_tests = requirement.marker is not None
        asked[for_tests].add(_normal(requirement.name))
    for folder, names in (("xlnu", asked[False]), ("jobs", asked[False]), ("tests", asked[False] | asked[True])):
        for path in sorted((TOP / folder).rglob("*.py")):
            for module in _imported(path) - sys.stdlib_module_names - {"xlnu", "tests"}:
                owned = {_normal(owner) for owner in owners[module]}
                known = names | asked[True] if module in THE_USERS_OWN else names
                assert owned & known, f"{path.relative_to(TOP)} imports {module}: add it to pyproject.toml"


def _imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found
