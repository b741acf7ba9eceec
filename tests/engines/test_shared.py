"""A model that only the driver has, on its way to other machines by object storage."""

import pickle
import shutil
from pathlib import Path

import pytest

from xlnu.engines.checkpoint import Checkpoint, find
from xlnu.engines.shared import share
from xlnu.errors import UserError
from xlnu.progress import Display
from xlnu.tiny.build import Built


@pytest.fixture
def there(tiny: Built, tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    """On a cluster; as a worker gets it."""
    monkeypatch.setattr("xlnu.engines.checkpoint.folders", {})
    monkeypatch.setenv("RAY_ADDRESS", "there:1")
    monkeypatch.setenv("XLNU_STORE", s3)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(tiny.qe, tmp_path / "model")
    found: Checkpoint = pickle.loads(pickle.dumps(find("quality.model", str(tmp_path / "model"))))
    return found


def test_it_is_copied_once_and_found_where_the_folder_is_not(
    there: Checkpoint, tiny: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    share(Display())
    said = capsys.readouterr().err
    assert f"{there.name}: copied to " in said
    assert said.count("\n") == 1
    share(Display())
    assert capsys.readouterr().err == ""
    assert there.local() == there.name, "where it is, it is not fetched"
    shutil.rmtree(there.name)
    place = Path(there.local())
    assert place.name == there.content
    for path in (path for path in place.rglob("*") if path.is_file()):
        assert path.read_bytes() == (tiny.qe / path.relative_to(place)).read_bytes()
    assert find("quality.model", str(place)).content == there.content, "and nothing is missing"


def test_what_nobody_brought_is_one_line(there: Checkpoint) -> None:
    shutil.rmtree(there.name)
    with pytest.raises(
        UserError, match=rf"{there.name}: there is no such folder on .*: put it where every machine"
    ):
        there.local()


def test_what_lies_on_the_stores_own_disk_stays(
    tiny: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("xlnu.engines.checkpoint.folders", {})
    monkeypatch.setenv("RAY_ADDRESS", "there:1")
    monkeypatch.setenv("XLNU_STORE", str(tmp_path / "store"))
    shutil.copytree(tiny.llm, tmp_path / "model")
    find("english.model", str(tmp_path / "model"))
    share(Display())
    assert not (tmp_path / "store" / "checkpoints").exists()
    assert capsys.readouterr().err == ""
