"""Files that are asked for again and again."""

from pathlib import Path

import pyarrow as pa
import pytest

from xlnu.errors import Halt
from xlnu.rows import ROW
from xlnu.steps import Part, Rows, Writer
from xlnu.store import Store
from xlnu.train.held import Held

COLUMNS = pa.schema([*ROW, pa.field("number", pa.int64(), nullable=False), pa.field("more", pa.int64())])


def files(folder: Path, n: int) -> Rows:
    """Of three rows each; the second is rejected."""
    store = Store(str(folder))
    for file in range(n):
        rows = [
            {"id": f"{file}-{i}", "reject": "no" if i == 1 else None, "number": 3 * file + i, "more": i}
            for i in range(3)
        ]
        Writer(store, "set")(Part(file, 3 * file, 3 * file + 3), pa.Table.from_pylist(rows, schema=COLUMNS))
    paths = tuple(f"{store.root}/set/{Part(file, 3 * file, 3 * file + 3).name}" for file in range(n))
    return Rows(store, paths, tuple(range(3, 3 * n + 1, 3)), rejected=True)


def test_places_are_among_all_rows_of_a_file(tmp_path: Path) -> None:
    held = Held(files(tmp_path, 2), ["id", "number"], 1)
    assert held.slice(1, 1, 2).to_pylist() == [{"id": "1-1", "number": 4}]
    assert held.slice(0, 0, 3)["number"].to_pylist() == [0, 1, 2]


def test_those_asked_for_last_are_held(tmp_path: Path) -> None:
    rows = files(tmp_path, 3)
    held = Held(rows, ["number"], 2)
    for file in (0, 1, 0, 2):  # 1 is the one that was not asked for longest
        held.slice(file, 0, 1)
    for path in rows.paths:
        Path(path).unlink()
    assert [held.slice(file, 0, 1)["number"].to_pylist() for file in (0, 2)] == [[0], [6]]
    with pytest.raises(Halt):
        held.slice(1, 0, 1)
