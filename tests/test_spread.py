"""Parts made by actors on a real Ray: whole, once, whatever dies."""

import functools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from xlnu import steps
from xlnu.cluster.pools import Placed, PoolConfig, place
from xlnu.errors import Halt, UserError
from xlnu.progress import Display, Task
from xlnu.rows import ROW, row_id
from xlnu.spread import LIVES, call, spread
from xlnu.steps import Part, Result, Step, Together, Work
from xlnu.store import Store

pytestmark = pytest.mark.usefixtures("ray_here")

SCHEMA = pa.schema([*ROW, pa.field("n", pa.int64())])


class Numbers:
    """A stage: it notes each call in a folder, and dies, halts or fails where it is told to, once."""

    def __init__(self, folder: str, at: int, how: str, placed: Placed) -> None:
        self.folder, self.at, self.how, self.placed = Path(folder), at, how, placed
        if how == "no model":
            raise UserError("model: there is none")

    def __call__(self, step: str, part: Part) -> tuple[pa.Table, int]:
        first = not (self.folder / f"{step}-{part.index}").exists()
        with (self.folder / f"{step}-{part.index}").open("a") as file:
            file.write(f"{os.getpid()}\n")
        if first and part.index == self.at and step == "a":
            if self.how == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.how == "always die":
                (self.folder / f"{step}-{part.index}").unlink()
                with (self.folder.parent / "deaths").open("a") as file:
                    file.write("one more\n")
                os.kill(os.getpid(), signal.SIGKILL)
            if self.how == "halt":
                raise Halt("the server is gone")
        rows = [{"id": row_id(n), "reject": None, "n": n} for n in range(part.start, part.stop)]
        return pa.Table.from_pylist(rows, schema=SCHEMA), 3


def do(folder: Path, how: str = "", actors: int = 1, size: int = 5, names: str = "ab") -> dict[str, Result]:
    calls = folder / "calls"
    calls.mkdir(exist_ok=True)
    pool = PoolConfig()
    pool.actors, pool.cpus = actors, 1

    def run(works: dict[str, Work]) -> dict[str, int]:
        stage = functools.partial(Numbers, str(calls), 3, how)
        return spread(works, dict.fromkeys(works, 40), size, stage, pool)

    together = Together("numbers", run)
    todo = [Step(name, {}, together) for name in names]
    return steps.named(steps.run(todo, Store(str(folder / "store")), Display()), todo)


def content(made: dict[str, Result]) -> list[list[int]]:
    return [one.table(["n"])["n"].to_pylist() for one in made.values()]


def calls(folder: Path) -> dict[str, int]:
    return {path.name: len(path.read_text().split()) for path in sorted((folder / "calls").iterdir())}


@pytest.mark.parametrize(("actors", "size"), [(1, 5), (2, 5), (2, 3), (1, 100)])
def test_actors_and_the_size_of_parts_change_nothing(tmp_path: Path, actors: int, size: int) -> None:
    assert content(do(tmp_path, actors=actors, size=size)) == [list(range(40))] * 2
    assert set(calls(tmp_path).values()) == {1}
    workers = {pid for path in (tmp_path / "calls").iterdir() for pid in path.read_text().split()}
    assert len(workers) <= actors


def test_the_death_of_an_actor_costs_the_part_under_way_and_no_other(tmp_path: Path) -> None:
    assert content(do(tmp_path, "die")) == [list(range(40))] * 2
    assert calls(tmp_path) == {f"{step}-{i}": 2 if (step, i) == ("a", 3) else 1 for step in "ab" for i in range(8)}


def test_an_actor_that_always_dies_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(Halt, match=r"^a: an actor died 10 times, most often for want of memory"):
        do(tmp_path, "always die")
    assert len((tmp_path / "deaths").read_text().splitlines()) == LIVES + 1, "it lived, and ten times again"


def test_what_stops_a_stage_stops_the_run_in_its_words_and_the_rest_is_kept(tmp_path: Path) -> None:
    with pytest.raises(Halt, match=r"^the server is gone$") as caught:
        do(tmp_path, "halt")
    assert not isinstance(caught.value, UserError)
    before = calls(tmp_path)
    assert content(do(tmp_path)) == [list(range(40))] * 2
    again = {name for name, n in calls(tmp_path).items() if n > before.get(name, 0)}
    kept = {name for name in before if name not in again}
    assert kept >= {"a-0", "a-1", "a-2"}


def test_a_users_mistake_that_shows_in_an_actor_stays_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^model: there is none$"):
        do(tmp_path, "no model")


def test_one_execution_after_another_makes_the_same_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xlnu.spread.WAVE", 5)  # of sixteen
    assert content(do(tmp_path)) == [list(range(40))] * 2
    assert set(calls(tmp_path).values()) == {1}
    workers = {pid for path in (tmp_path / "calls").iterdir() for pid in path.read_text().split()}
    assert len(workers) == 4


def test_a_step_of_many_rows_has_no_more_files_than_a_store_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xlnu.steps.PARTS", 4)
    assert content(do(tmp_path)) == [list(range(40))] * 2
    assert len(list((tmp_path / "store").glob("a-*/0*.parquet"))) == 4


def test_an_actor_that_fits_nowhere_is_refused_at_once() -> None:
    pool = PoolConfig()
    pool.cpus = 1000
    with pytest.raises(UserError, match=r"an actor with 1000 cores fits on no machine here \(\d+ cores, 0 GPUs\)"):
        place(pool)
    pool.cpus, pool.gpus = 0, 1
    with pytest.raises(UserError, match="an actor with 1 cores and 1 GPUs fits on no machine here"):
        place(pool)


def _refuse(why: str) -> None:
    raise UserError(why)


def test_a_function_called_elsewhere_halts_here() -> None:
    with pytest.raises(UserError, match=r"^not a model$"):
        call(_refuse, "not a model", task=Task("refused", Display()))


def _dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_function_whose_worker_always_dies_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xlnu.spread.LIVES", 1)
    with pytest.raises(Halt, match=r"^converted: a worker died again and again, most often for want of memory"):
        call(_dies, task=Task("converted", Display()))


ASKED = """
import logging, sys
from pathlib import Path
from tests.test_spread import do
from xlnu.progress import Display
from xlnu.spread import connect

connect(Display())
import ray.data
log = logging.getLogger("ray.data._internal.cluster_autoscaler.rate_based_cluster_autoscaler")
log.addHandler(logging.FileHandler(sys.argv[1]))
log.setLevel(logging.DEBUG)
do(Path(sys.argv[2]))
"""


def test_ray_data_asks_for_no_machines(tmp_path: Path) -> None:
    """It asks without a role: what can do nothing is then started, or kept."""
    own = {"RAY_DATA_MIN_GAP_BETWEEN_AUTOSCALING_REQUESTS": "0", "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", ASKED, str(tmp_path / "log"), str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=240, env={**os.environ, **own}
    )
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "log").read_text()
    never = " ".join(f"{of}=1000000000.00" for of in ("CPU", "GPU", "Memory", "ObjStore"))
    assert f"Threshold: {never}" in said, "of the use from which it asks"
    assert "Sending resource request" not in said


OWN = """
import sys
from xlnu import spread
from xlnu.progress import Display
spread.connect(Display())
import ray
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""
STRANGER = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False); print('in')"


def test_nobody_else_gets_into_a_ray_of_ones_own() -> None:
    """Ray listens where the whole network can reach it, and runs what it is given."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    own = subprocess.Popen(
        [sys.executable, "-c", OWN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=bare,
    )  # fmt: skip
    assert own.stdout is not None
    try:
        address = own.stdout.readline().strip()
        for asked in ({"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}):
            done = subprocess.run(
                [sys.executable, "-c", STRANGER, address], capture_output=True, text=True, check=False,
                env={**bare, **asked}, timeout=120,
            )  # fmt: skip
            assert (done.returncode != 0, done.stdout) == (True, "")
            assert "Failed to connect" in done.stderr
    finally:
        _, said = own.communicate("")
    assert "oken" not in said, "and nothing is said of it"
