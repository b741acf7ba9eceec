"""Steps done at once, rows read piece by piece, parts of several tables, files fetched."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from xlnu import lock, manifest, steps
from xlnu.plan import plan
from xlnu.progress import Display
from xlnu.rows import ROW, row_id
from xlnu.steps import Result, Step, Together, Work
from xlnu.store import Store

SCHEMA = pa.schema([*ROW, pa.field("n", pa.int64())])


def table(start: int, stop: int) -> pa.Table:
    """Numbers; those that end in 7 are rejected."""
    rows = [{"id": row_id(n), "reject": "ends in 7" if n % 10 == 7 else None, "n": n} for n in range(start, stop)]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def write(work: Work, rows: int, size: int) -> int:
    for part in work.todo(rows, size):
        work.write(part, table(part.start, part.stop))
    return rows


def group(names: list[str], calls: list[list[str]], rows: int = 20) -> list[Step]:
    def run(works: dict[str, Work]) -> dict[str, int]:
        calls.append(sorted(works))
        return {name: write(work, rows, 8) for name, work in works.items()}

    together = Together("group", run)
    return [Step(name, {"of": name}, together) for name in names]


def do(todo: list[Step], folder: Path) -> dict[str, Result]:
    return steps.named(steps.run(todo, Store(str(folder)), Display()), todo)


def test_steps_that_share_a_run_are_done_at_once_and_each_has_its_own_result(tmp_path: Path) -> None:
    calls: list[list[str]] = []
    made = do(group(["a", "b", "c"], calls), tmp_path)
    assert calls == [["a", "b", "c"]]
    assert [one.manifest.rows_out for one in made.values()] == [18, 18, 18]
    assert len({one.manifest.address for one in made.values()}) == 3


def test_one_more_step_does_only_itself(tmp_path: Path) -> None:
    calls: list[list[str]] = []
    do(group(["a", "c"], calls), tmp_path)
    made = do(group(["a", "b", "c"], calls), tmp_path)
    assert calls == [["a", "c"], ["b"]]
    assert {name: one.skipped for name, one in made.items()} == {"a": True, "b": False, "c": True}
    assert list(made) == ["a", "b", "c"], "results come in the order of the steps"


def test_a_group_that_is_interrupted_goes_on_where_each_was(tmp_path: Path) -> None:
    def run(works: dict[str, Work]) -> dict[str, int]:
        write(works["a"], 20, 8)
        raise KeyboardInterrupt

    calls: list[list[str]] = []
    with pytest.raises(KeyboardInterrupt):
        do([Step(name, {"of": name}, Together("group", run)) for name in ("a", "b")], tmp_path)
    assert not list(tmp_path.rglob("*~*")), "the locks are given back"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    assert len(before) == 3
    do(group(["a", "b"], calls), tmp_path)
    assert all(path.stat().st_mtime_ns == when for path, when in before.items()), "no part is made twice"


def test_locks_are_taken_in_one_order_by_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    held = lock.held

    def record(store: Store, folder: str, waiting: Callable[[str], None]) -> object:
        taken.append(folder)
        return held(store, folder, waiting)

    monkeypatch.setattr(lock, "held", record)
    do(group(["a", "b", "c"], []), tmp_path / "one")
    do(group(["c", "a", "b"], []), tmp_path / "other")
    assert taken[:3] == taken[3:] == sorted(taken[:3])


@pytest.mark.parametrize("rejected", [False, True])
def test_rows_read_in_any_cut_are_the_table(tmp_path: Path, rejected: bool) -> None:
    made = do([Step("numbers", {}, lambda work: write(work, 50, 8))], tmp_path)["numbers"]
    rows = pickle.loads(pickle.dumps(made.rows(rejected=rejected)))
    expected = [n for n in range(50) if rejected or n % 10 != 7]
    assert len(rows) == len(expected)
    for start in range(len(expected) + 1):
        for stop in range(start, len(expected) + 1):
            assert rows.read(start, stop, ["n"])["n"].to_pylist() == expected[start:stop]
    assert rows.read(3, 9).schema == SCHEMA


def test_no_rows_can_be_read_too(tmp_path: Path) -> None:
    rows = do([Step("numbers", {}, lambda work: write(work, 0, 8))], tmp_path)["numbers"].rows()
    assert len(rows) == 0
    assert rows.read(0, 0, ["n"]).num_rows == 0


def test_a_part_of_several_tables_is_there_when_its_last_one_is(tmp_path: Path) -> None:
    given: list[list[int]] = []

    def run(work: Work) -> int:
        todo = work.todo(20, 10, folder="good")
        given.append([part.index for part in todo])
        for part in todo:
            whole = table(part.start, part.stop)
            bad = pa.compute.is_valid(whole["reject"])
            work.write(part, {"bad": whole.filter(bad), "good": whole.filter(pa.compute.invert(bad))})
        return 20

    (made,) = do([Step("split", {}, run)], tmp_path).values()
    assert (made.manifest.rows_out, made.manifest.rejected) == (18, {"ends in 7": 2})
    assert [path.rpartition("/")[0].rpartition("/")[2] for path in made.paths()] == ["bad", "bad", "good", "good"]
    assert len(made.paths("good")) == 2
    folder = tmp_path / made.manifest.address
    for lost in ("manifest.json", "good/000001.parquet"):
        (folder / lost).unlink()
    assert "50% done" in plan([Step("split", {}, run)], Store(str(tmp_path)), 0)
    do([Step("split", {}, run)], tmp_path)
    assert given == [[0, 1], [1]]
    assert "50% done" not in plan([Step("split", {}, run)], Store(str(tmp_path)), 0)


def test_files_of_a_step_lie_in_a_folder_wherever_the_store_is(
    store_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "weights").write_bytes(b"123")

    def run(work: Work) -> int:
        work.write_part.store.put(f"{work.write_part.address}/deep/weights.bin", tmp_path / "weights")
        return 0

    store = Store(store_uri)
    step = Step("model", {}, run)
    files = steps.run([step], store, Display())[step.address].files()
    for _ in range(2):  # fetched, then found
        folder = pickle.loads(pickle.dumps(files)).local()
        assert (folder / "deep" / "weights.bin").read_bytes() == b"123"
    assert manifest.read(store, files.address) is not None
    if not store.local:
        store.delete_folder(files.address)
        (tmp_path / "weights").write_bytes(b"456")
        again = steps.run([step], store, Display())[step.address].files()
        assert (again.local() / "deep" / "weights.bin").read_bytes() == b"456", "not what was there before"
    assert not list((tmp_path / "cache").rglob(".unfinished*"))
