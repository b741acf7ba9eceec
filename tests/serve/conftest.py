from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import browser
from tests.serve.serving import STACKS, Server, made, serving
from xlnu.tiny.build import Built

__all__ = ["browser"]


@pytest.fixture(scope="session")
def stacks(tiny: Built, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stacks")
    return {name: made(tiny, folder, name, **about) for name, about in STACKS.items()}


@pytest.fixture(scope="session")
def served(stacks: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that leave it as it was."""
    models = ", ".join(f"{name}: {place}" for name, place in stacks.items())
    settings = (f"models={{{models}}}", "replicas.threads=1", "api.texts_in_log=true")
    with serving(tmp_path_factory.mktemp("served"), *settings) as server:
        yield server
