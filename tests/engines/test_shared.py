"""Models on object storage; and those that only the driver has, on their way to other machines by it."""

import pickle
import shutil
from pathlib import Path

import pytest

from xlnu.engines import checkpoint
from xlnu.engines.checkpoint import Checkpoint, files, find
from xlnu.engines.shared import share
from xlnu.errors import Halt, UserError
from xlnu.evaluate.models import Model, parents
from xlnu.progress import Display
from xlnu.store import Store, beside
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


def test_a_stacks_parents_are_found_where_they_were_brought(there: Checkpoint) -> None:
    share(Display())
    shutil.rmtree(there.name)
    stack = Model("a stack", "stack", there, about={"llm": {"name": there.name, "content": there.content}})
    found = parents(stack, {})["llm"]
    assert isinstance(found, Checkpoint)
    assert Path(found.local()).name == there.content
    gone = Model("a stack", "stack", there, about={"llm": {"name": there.name, "content": "0" * 32}})
    assert parents(gone, {}) == {}


def test_what_nobody_brought_is_one_line(there: Checkpoint) -> None:
    shutil.rmtree(there.name)
    with pytest.raises(
        UserError, match=rf"{there.name}: there is no such folder on .*: put it where every machine"
    ):
        there.local()


def test_another_model_in_its_place_is_not_taken_for_it(there: Checkpoint, tiny: Built) -> None:
    (Path(there.name) / "config.json").write_text("{}")
    checkpoint.folders.clear()  # as a worker, which was told of none
    with pytest.raises(
        UserError, match=rf"{there.name}: is not what the job was told of on .*: put it where every machine"
    ):
        there.local()
    shutil.rmtree(there.name)
    shutil.copytree(tiny.qe, there.name)
    checkpoint.folders[there.content] = there
    share(Display())
    (Path(there.name) / "config.json").write_text("{}")
    checkpoint.folders.clear()
    assert Path(there.local()).name == there.content, "it was brought there"


@pytest.mark.usefixtures("there")
def test_a_model_that_is_one_file_comes_along_too(tmp_path: Path) -> None:
    (tmp_path / "lid.bin").write_bytes(b"languages")
    found = pickle.loads(pickle.dumps(checkpoint.of_file(tmp_path / "lid.bin")))
    assert found.local() == str(tmp_path / "lid.bin")
    share(Display())
    (tmp_path / "lid.bin").unlink()
    assert Path(found.local()).read_bytes() == b"languages"


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


def test_a_model_on_object_storage_is_the_model_it_is_here(
    tiny: Built, tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    uri, store = beside(s3, "some/model"), Store(beside(s3, "some/model"))
    with pytest.raises(UserError, match=r"^english.model: s3://.+: there is no such folder of a Hugging Face"):
        find("english.model", uri)
    for path in files(tiny.llm):
        store.put(path.relative_to(tiny.llm).as_posix(), path)
    store.write("README.md", b"---\nlicense: mit\n---\n")
    store.write("states.pt", b"of no use to anybody who opens it")
    found, here = find("english.model", uri), find("english.model", str(tiny.llm))
    assert (found.content, found.parameters, found.licence) == (here.content, here.parameters, "mit")
    assert found.short == f"model@{here.content[:12]}"
    shutil.rmtree(tmp_path / "cache")  # as on another machine
    place = Path(pickle.loads(pickle.dumps(found)).local())
    assert [path.read_bytes() for path in files(place)] == [path.read_bytes() for path in files(tiny.llm)]
    assert not (place / "states.pt").exists()
    store.write("config.json", store.read("config.json") + b"\n")
    with pytest.raises(Halt, match=r"^s3://.+: has changed since the job began"):
        found.local()
    assert find("english.model", uri).content != here.content
