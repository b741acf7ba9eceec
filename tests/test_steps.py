import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xlnu import manifest, steps
from xlnu.errors import Halt
from xlnu.plan import plan
from xlnu.progress import Display
from xlnu.rows import ROW, row_id
from xlnu.steps import Estimate, Part, Step, Work
from xlnu.store import UNFINISHED, Store

SCHEMA = pa.schema([*ROW, pa.field("n", pa.int64())])


def table(part: Part) -> pa.Table:
    """Numbers; those that end in 7 are rejected."""
    numbers = range(part.start, part.stop)
    rows = [{"id": row_id(n), "reject": "ends in 7" if n % 10 == 7 else None, "n": n} for n in numbers]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def numbers(
    rows: int = 100, size: int = 10, before: Callable[[Part], None] = lambda _: None, **settings: Any
) -> Step:
    def run(work: Work) -> int:
        for part in work.todo(rows, rows_per_part=size):
            before(part)
            work.write(part, table(part))
        return rows

    return Step("numbers", {"rows": rows, **settings}, run)


def do(step: Step, store: Store) -> steps.Result:
    return steps.run([step], store, Display())[step.address]


def files(store: Store, step: Step) -> dict[str, bytes]:
    return {entry.name: store.read(entry.name) for entry in manifest.data_files(store, step.address)}


class Interrupted(Exception):
    pass


def stop_at(index: int) -> Callable[[Part], None]:
    def before(part: Part) -> None:
        if part.index == index:
            raise Interrupted

    return before


# ------------------------------------------------------------------------------------------------- address


def test_the_address_is_made_of_what_the_result_depends_on() -> None:
    step = numbers(tau=0.8, p=0.1)
    assert step.address == numbers(p=0.1, tau=0.8).address
    assert step.address == replace(step, run=lambda _: 0, estimate=Estimate(3)).address
    other = [numbers(tau=0.81, p=0.1), replace(step, version=2), replace(step, name="other")]
    other += [replace(step, inputs=(numbers(),)), replace(step, inputs=(numbers(), numbers()))]
    assert len({step.address, *(one.address for one in other)}) == 6


def test_an_address_stays_what_it_is() -> None:
    """A change of this breaks every store there is: work that cost money would be done again."""
    assert (
        Step("english", {"tau": 0.8, "languages": ["swh_Latn"]}, lambda _: 0).address == "english-5d54bda93a74715d"
    )


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, Path("x"), object()])
def test_what_has_no_one_text_is_no_config(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        _ = numbers(value=value).address


# ------------------------------------------------------------------------------------------------- run


def test_rows_and_reasons_are_counted_and_kept(store_uri: str) -> None:
    made = do(numbers(95), Store(store_uri))
    assert (made.manifest.rows_in, made.manifest.rows_out) == (95, 86)
    assert made.manifest.rejected == {"ends in 7": 9}
    assert made.table(["n"])["n"].to_pylist() == list(range(95))
    assert sum(file.rows or 0 for file in made.manifest.files) == 95
    assert made.manifest.versions["ray"] == "2.60.0"


def test_a_finished_step_is_not_done_again(store_uri: str) -> None:
    store = Store(store_uri)
    first = do(numbers(), store)
    again = do(numbers(before=stop_at(0)), store)
    assert (first.skipped, again.skipped) == (False, True)
    assert again.manifest == first.manifest


def test_an_interrupted_step_goes_on_and_ends_the_same(store_uri: str, tmp_path: Path) -> None:
    store, seen = Store(store_uri), []
    with pytest.raises(Interrupted):
        do(numbers(before=stop_at(6)), store)
    made = do(numbers(before=lambda part: seen.append(part.index)), store)
    assert seen == [6, 7, 8, 9]
    undisturbed = Store(str(tmp_path / "undisturbed"))
    do(numbers(), undisturbed)
    assert files(store, numbers()) == files(undisturbed, numbers())
    assert made.manifest.rows_out == 90


def test_another_part_size_does_not_cut_across_what_is_done(tmp_path: Path) -> None:
    store, seen = Store(str(tmp_path)), []
    with pytest.raises(Interrupted):
        do(numbers(before=stop_at(6)), store)
    do(numbers(size=33, before=lambda part: seen.append(part.stop - part.start)), store)
    assert seen == [10, 10, 10, 10]


def test_what_a_killed_write_left_is_cleared_away(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.write(f"{numbers().address}/{UNFINISHED}abc", b"half")
    store.write(f"{numbers().address}/_lock/{UNFINISHED}abc", b"of another driver, under way")
    do(numbers(), store)
    assert [path.parent.name for path in tmp_path.rglob(UNFINISHED + "*")] == ["_lock"]


def test_inputs_are_handed_over(tmp_path: Path) -> None:
    first = numbers(20)

    def double(work: Work) -> int:
        rows = work.inputs["numbers"].table().to_pylist()
        for part in work.todo(len(rows), rows_per_part=50):
            doubled = [{**row, "n": 2 * row["n"]} for row in rows]
            work.write(part, pa.Table.from_pylist(doubled, schema=SCHEMA))
        return len(rows)

    second = Step("doubled", {}, double, inputs=(first,))
    todo = [first, second]
    results = steps.named(steps.run(todo, Store(str(tmp_path)), Display()), todo)
    assert results["doubled"].table(["n"])["n"].to_pylist() == list(range(0, 40, 2))
    assert results["doubled"].manifest.parents == [first.address]


def test_a_step_without_rows_keeps_its_files(tmp_path: Path) -> None:
    def run(work: Work) -> int:
        work.write_part.store.write(f"{work.write_part.address}/model/weights.bin", b"123")
        return 0

    made = do(Step("model", {}, run), Store(str(tmp_path)))
    assert made.manifest.files == [manifest.File("model/weights.bin", 3, None)]


def test_no_rows_are_a_table_too(tmp_path: Path) -> None:
    made = do(numbers(0), Store(str(tmp_path)))
    assert (made.manifest.rows_in, made.manifest.rows_out, made.manifest.rejected) == (0, 0, {})
    assert made.table().schema.names == ["id", "reject", "n"]


def test_parts_of_another_folder_and_other_parquet_are_not_our_parts(tmp_path: Path) -> None:
    store, seen = Store(str(tmp_path)), []
    foreign = tmp_path / numbers().address / "model"
    foreign.mkdir(parents=True)
    pq.write_table(pa.table({"x": [1]}), foreign / "table.parquet")
    (foreign / "weights.bin").write_bytes(b"x")
    made = do(numbers(before=lambda part: seen.append(part.index)), store)
    assert seen == list(range(10))
    assert [file.rows for file in made.manifest.files] == [*[10] * 10, None, None]


def test_a_damaged_plan_is_named(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    for text in (b"", b"{}", b"null", b"[1]", b"[100, 0]", b'["a", 1]', b"[100,"):
        store.write(f"{numbers().address}/{steps.PLAN}", text)
        with pytest.raises(Halt, match=r"_plan\.json: damaged; delete this one file and run again with the same"):
            do(numbers(), store)
        with pytest.raises(Halt, match="damaged"):
            plan([numbers()], store, 0)


def test_lost_and_doubled_rows_do_not_finish(tmp_path: Path) -> None:
    def loses(work: Work) -> int:
        for part in work.todo(30, rows_per_part=10)[1:]:
            work.write(part, table(part))
        return 30

    def doubles(work: Work) -> int:
        for part in work.todo(30, rows_per_part=10):
            work.write(part, table(Part(part.index, 0, 10)))
        return 30

    for run, wrote in (loses, "wrote 20, 20 of them"), (doubles, "wrote 30, 10 of them"):
        step = Step(run.__name__, {}, run)
        with pytest.raises(AssertionError, match=f"it was given 30 rows and {wrote} with an id of their own"):
            do(step, Store(str(tmp_path)))
        assert not (tmp_path / step.address / manifest.NAME).exists()


def test_ids_that_are_alike_in_few_bits_are_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xlnu.steps._short", lambda name: int(name[:1], 16))
    assert do(numbers(), Store(str(tmp_path / "a"))).manifest.rows_out == 90

    def doubles(work: Work) -> int:
        for part in work.todo(30, rows_per_part=10):
            work.write(part, table(Part(part.index, 0, 10)))
        return 30

    with pytest.raises(AssertionError, match="wrote 30, 10 of them with an id of their own"):
        do(Step("doubles", {}, doubles), Store(str(tmp_path / "b")))


def test_a_part_has_a_row_for_each_it_was_given(tmp_path: Path) -> None:
    def run(work: Work) -> int:
        for part in work.todo(30, rows_per_part=10):
            work.write(part, table(part).slice(1))
        return 30

    with pytest.raises(AssertionError, match="one row an id"):
        do(Step("short", {}, run), Store(str(tmp_path)))


def test_workers_of_ray_write_parts(store_uri: str, ray_here: Any) -> None:
    """What later steps do: parts made anywhere, the driver only counting."""

    def run(work: Work) -> int:
        make = ray_here.remote(lambda part, write: write(part, table(part)))
        pending = {make.remote(part, work.write_part): part for part in work.todo(100, rows_per_part=10)}
        while pending:
            for ready in ray_here.wait(list(pending))[0]:
                ray_here.get(ready)
                work.wrote(pending.pop(ready))
        return 100

    store = Store(store_uri)
    by_ray = replace(numbers(), run=run)
    assert do(by_ray, store).manifest.rows_out == 90
    there = files(store, by_ray)
    for name in [*there, f"{by_ray.address}/{manifest.NAME}"]:
        store.delete(name)
    do(numbers(), store)
    assert files(store, numbers()) == there


# ------------------------------------------------------------------------------------------------- damage


def damaged(store: Store, step: Step) -> str:
    with pytest.raises(Halt) as caught:
        do(replace(step, run=stop_at(0)), store)  # type: ignore[arg-type]
    assert caught.value.exit_code == 1
    return str(caught.value)


def test_a_manifest_cut_anywhere_is_noticed_and_named(tmp_path: Path) -> None:
    store, step = Store(str(tmp_path)), numbers()
    do(step, store)
    place = tmp_path / step.address / manifest.NAME
    whole = place.read_bytes()
    for length in range(0, len(whole) - 1, 7):
        place.write_bytes(whole[:length])
        assert damaged(store, step).startswith(f"{place}: damaged manifest: ")
    place.write_bytes(b"")
    assert damaged(store, step) == (
        f"{place}: damaged manifest: it is empty; "
        "delete this one file and run again: the parts beside it are kept, checked and counted anew"
    )


def test_any_changed_byte_of_a_manifest_is_noticed(tmp_path: Path) -> None:
    store, step = Store(str(tmp_path)), numbers()
    do(step, store)
    place = tmp_path / step.address / manifest.NAME
    whole = place.read_bytes()
    for at in range(0, len(whole), 11):
        changed = bytearray(whole)
        changed[at] ^= 1
        if json.loads(whole) != _json(bytes(changed)):  # a space that became an exclamation mark is not JSON
            place.write_bytes(changed)
            assert "damaged manifest" in damaged(store, step)


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def test_a_manifest_from_elsewhere_is_not_believed(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    do(numbers(20), store)
    foreign = store.read(f"{numbers(20).address}/{manifest.NAME}")
    store.write(f"{numbers(30).address}/{manifest.NAME}", foreign)
    assert f"it belongs to {numbers(20).address};" in damaged(store, numbers(30))


def test_following_the_advice_mends_a_manifest_without_work(store_uri: str) -> None:
    store, step = Store(store_uri), numbers()
    made = do(step, store).manifest
    store.write(f"{step.address}/{manifest.NAME}", b"{")
    damaged(store, step)
    store.delete(f"{step.address}/{manifest.NAME}")
    again = do(numbers(before=stop_at(0)), store).manifest  # no part is made, or it would raise
    assert replace(again, seconds=made.seconds, finished=made.finished) == made


def test_a_lost_or_cut_part_is_named_and_only_it_is_made_again(store_uri: str) -> None:
    store, step, seen = Store(store_uri), numbers(), []
    made = do(step, store)
    whole = files(store, step)
    for harm in (b"", None):
        name = f"{step.address}/000003.parquet"
        store.delete(name)
        if harm is not None:
            store.write(name, harm)
        message = damaged(store, step)
        assert message.startswith(f"{store.place(name)}: ")
        assert "only this part is made again" in message
        store.delete(name)
        store.delete(f"{step.address}/{manifest.NAME}")
        again = do(numbers(before=lambda part: seen.append(part.index)), store)
        assert files(store, step) == whole
        assert again.manifest.rejected == made.manifest.rejected
    assert seen == [3, 3]


def test_a_cut_part_of_an_unfinished_step_is_named(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with pytest.raises(Interrupted):
        do(numbers(before=stop_at(6)), store)
    part = tmp_path / numbers().address / "000002.parquet"
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(Halt, match=r"000002\.parquet: damaged .*; delete it and any .* only this part"):
        do(numbers(), store)


def test_a_changed_byte_of_a_row_is_noticed_when_it_is_read(store_uri: str) -> None:
    store = Store(store_uri)
    made = do(numbers(), store)
    name = f"{numbers().address}/000002.parquet"
    whole = store.read(name)
    assert made.table().num_rows == 100
    store.write(name, whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])  # within the ids
    with pytest.raises(Halt, match=r"000002\.parquet: damaged \(.*; delete it and any manifest\.json beside it"):
        made.table()


# ------------------------------------------------------------------------------------------------- plan


def test_the_plan_says_what_is_done_and_what_the_rest_takes(store_uri: str) -> None:
    store = Store(store_uri)
    first, half, last = (
        replace(numbers(100, before=before, name=name), name=name, estimate=Estimate(100, 5000, 2.0))
        for name, before in (("first", stop_at(99)), ("half", stop_at(4)), ("last", stop_at(0)))
    )
    do(first, store)
    with pytest.raises(Interrupted):
        do(half, store)
    lines = [line.split("  ") for line in plan([first, half, last], store, price=3.0).splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert cells == [
        ["step", "address", "state", "rows", "tokens", "hours", "cost"],
        ["first", first.address, "done", "90"],
        ["half", half.address, "40% done", "60", "3,000", "1.2000", "3.60"],
        ["last", last.address, "to do", "100", "5,000", "2.0000", "6.00"],
        ["left to do", "160", "8,000", "3.2000", "9.60"],
    ]
    assert store.list(last.address) == [], "a plan writes nothing"
