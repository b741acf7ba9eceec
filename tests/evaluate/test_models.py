"""What is evaluated, and where what it is made of lies."""

import shutil
from pathlib import Path

from tests.evaluate.evaluated import a_stack
from xlnu.engines.checkpoint import Checkpoint, find
from xlnu.evaluate.models import opened, parents
from xlnu.tiny.build import Built


def test_a_stacks_parents_that_are_folders_here_come_to_other_machines_as_it_does(
    tiny: Built, tmp_path: Path
) -> None:
    stack = opened("model", str(a_stack(tmp_path, tiny)), "stack_pair", "")
    assert parents(stack, {}) == {"encoder": find("", str(tiny.mt)), "llm": find("", str(tiny.llm))}
    shutil.copytree(tiny.llm, tmp_path / "moved")
    given = {"llm": str(tmp_path / "moved"), "encoder": "some/model"}
    found = parents(stack, given)
    assert found["encoder"] == "some/model"
    assert isinstance(found["llm"], Checkpoint)
    assert found["llm"].local() == given["llm"]
