"""Records from files, arrays, Parquet, datasets and the hub, and how much of them is held."""

import bz2
import gzip
import io
import json
import lzma
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict, load_dataset

from xlnu.errors import UserError
from xlnu.store import Store
from xlnu.transfer import reading
from xlnu.transfer.reading import Array, Files, of_dataset, saved
from xlnu.transfer.records import Reject
from xlnu.transfer.sources import SourceConfig, open_source

RECORDS = [
    {"instruction": "Name a colour.", "input": "", "output": "Red."},
    {"instruction": "Translate.", "input": "the sea, 海 and 😀", "output": "la mer\n"},
    {"instruction": " Count\tto two. ", "input": "", "output": "1\n2"},
]


def read(path: Path | str) -> dict[str, Any]:
    """The records by their origins, in order; the same the second time."""
    files = Files(str(path))
    assert files.content() == Files(str(path)).content()
    found = list(files.read())
    assert len(dict(found)) == len(found)
    assert list(files.read()) == found
    return dict(found)


def written(path: Path, data: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def lines(records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def refusal(path: Path | str) -> str:
    with pytest.raises(UserError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def zst(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue())


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zst])
@pytest.mark.parametrize("data", [json.dumps(RECORDS, indent=4), lines(RECORDS)])
def test_what_is_compressed_is_read_under_any_name(tmp_path: Path, pack: Any, data: str) -> None:
    found = read(written(tmp_path / "a.json", pack(data.encode())))
    assert list(found.values()) == RECORDS


def test_parquet_is_read_in_order_with_other_columns_left_out_and_told_without_its_name(tmp_path: Path) -> None:
    many = [{"instruction": f"Say {n}.", "input": None, "output": None, "image": b"\xff"} for n in range(2000)]
    pq.write_table(pa.Table.from_pylist(many), tmp_path / "any name", row_group_size=700)
    expected = [{name: record[name] for name in ("instruction", "input", "output")} for record in many]
    assert read(tmp_path / "any name") == {f"any name:{n}": each for n, each in enumerate(expected, 1)}


def test_bytes_that_are_no_text_cost_one_row_of_parquet(tmp_path: Path) -> None:
    column = pa.array([b"Say a.", b"Say \xff.", b"Say c."]).view(pa.string())
    pq.write_table(pa.table({"instruction": column}), tmp_path / "a.parquet")
    files = Files(str(tmp_path / "a.parquet"))
    first, bad, last = (record for _, record in files.read())
    assert (first, last) == ({"instruction": "Say a."}, {"instruction": "Say c."})
    assert isinstance(bad, Reject)
    assert str(bad) == "not valid Unicode"


def test_a_dataset_saved_on_disk_is_read_and_of_several_the_split(tmp_path: Path) -> None:
    some, other = Dataset.from_list(RECORDS), Dataset.from_list(RECORDS[:1])
    some.save_to_disk(tmp_path / "one", num_shards=2)
    DatasetDict({"train": some, "test": other}).save_to_disk(str(tmp_path / "two"))
    for name, split, records, told in (("one", "train", RECORDS, "one"), ("two", "test", RECORDS[:1], "test")):
        rows = list(open_source(SourceConfig(str(tmp_path / name), split)).records())
        assert [row["origin"] for row in rows] == [f"{told}:{n}" for n, _ in enumerate(records, 1)]
        assert [{key: row[key] for key in RECORDS[0]} for row in rows] == records
    with pytest.raises(UserError) as caught:
        saved(str(tmp_path / "two"), "dev")
    assert str(caught.value) == f"{tmp_path}/two: has no split dev; give one of its splits: test, train"
    Dataset.from_dict({"text": ["a"]}).save_to_disk(tmp_path / "three")
    _, records_of = saved(str(tmp_path / "three"), "train")
    with pytest.raises(UserError) as caught:
        next(records_of())
    message = f"{tmp_path}/three: none of its columns holds instructions (text); give Alpaca "
    assert str(caught.value).startswith(message)


def test_a_folder_is_its_data_files_by_name_and_what_is_hidden_is_none(tmp_path: Path) -> None:
    written(tmp_path / "b" / "x.jsonl.gz", gzip.compress(lines(RECORDS[:1]).encode()))
    written(tmp_path / "a.json", json.dumps(RECORDS[1:2]))
    pq.write_table(pa.Table.from_pylist(RECORDS[2:]), tmp_path / "b" / "c.PARQUET")
    for aside in ("README.md", "LICENSE", "b/.cache/x.json", ".x.json"):
        written(tmp_path / aside, "{}")
    found = read(tmp_path)
    assert list(found) == ["a.json:1", "b/c.PARQUET:1", "b/x.jsonl.gz:1"]
    assert list(found.values()) == [RECORDS[1], RECORDS[2], RECORDS[0]]


def test_files_on_object_storage_are_read(s3: str) -> None:
    store, some = Store(s3), lines(RECORDS[:1]).encode()
    for name, data in (("a.json", json.dumps(RECORDS, indent=4).encode()), ("b.jsonl.gz", gzip.compress(some * 2))):
        with store.fs.open_output_stream(f"{store.root}/{name}", compression=None) as file:
            file.write(data)
    assert list(read(s3.replace("?", "/a.json?")).values()) == RECORDS
    found = read(s3)
    assert list(found)[2:] == ["a.json:12", "b.jsonl.gz:1", "b.jsonl.gz:2"]
    assert list(found.values()) == [*RECORDS, RECORDS[0], RECORDS[0]]
    assert [row["origin"] for row in open_source(SourceConfig(s3)).records()] == list(found)
    message = refusal(s3.replace("?", "/none?"))
    assert "/some/prefix/none: no such file or folder" in message
    assert "?" not in message


def test_an_array_read_in_pieces_of_any_size_is_what_json_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(0)
    odd = ["😀", "\\", '"', "\n", "é", "x" * 30, "]", "},", "\ud83d", "海"]

    def value(depth: int) -> Any:
        kinds: list[Any] = [
            rng.random() * 1e20,
            True,
            None,
            "".join(rng.choices(odd, k=4)),
            float("-inf"),
            -1.5e-300,
            7.0,
        ]
        if depth:
            kinds += [[value(depth - 1) for _ in range(3)], {rng.choice(odd): value(depth - 1) for _ in range(2)}]
        return rng.choice(kinds[-2:] if depth == 3 else kinds)

    made = [value(3) if n % 2 else value(0) for n in range(60)]
    for indent in (None, 2):
        path = written(tmp_path / "a.json", text := " \n" + json.dumps(made, indent=indent) + "\n ")
        for size in range(1, 60):
            monkeypatch.setattr(reading, "PIECE", size)
            with path.open(encoding="utf-8") as file:
                found = list(Array(file, "a.json"))
            assert [one for _, _, one in found] == made
            where = [text.split("\n")[line - 1][column - 1 :] for line, column, _ in found]
            assert all(json.dumps(m)[0] == there[0] for m, there in zip(made, where, strict=True))


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        ('[{"instruction": "a"},\n {"instruction": "b}]', "2:18", "Unterminated string starting at"),
        ('[{"instruction": "a"},\n {"instruction": "b"}', "2:22", "the file ends before its array does"),
        ('[{"instruction": "a"},\n', "2:1", "Expecting value"),
        ('[{"instruction": "a"},\n]', "2:1", "Expecting value"),
        ('[{"instruction": "a"}\n {"instruction": "b"}]', "2:2", "Expecting ',' or ']'"),
        ('[{"instruction": "a"},\r\n  {instruction: "b"}]', "2:4", "Expecting property name"),
        ('[{"instruction": "a\tb"}]', "1:20", "Invalid control character"),
        ('[{"instruction": "a"}]\n[]', "2:1", "something follows the array"),
        ("[" * 100_000, "1:2", "nested too deeply"),
    ],
)
def test_an_array_that_is_none_is_refused_at_its_line_and_column(
    tmp_path: Path, text: str, where: str, why: str
) -> None:
    message = refusal(written(tmp_path / "a.json", text))
    assert message.startswith(f"{tmp_path}/a.json:{where}: not JSON: {why}")
    assert message.endswith("; mend it, or give JSON lines, where only a bad line is lost")


def test_an_array_is_read_no_further_than_its_error(tmp_path: Path) -> None:
    records = [{"instruction": f"Say {n}.", "output": "é" * 99} for n in range(20_000)]
    text = json.dumps(records, indent=1).replace('"Say 9000."', '"Say 9000.')
    line = text[: text.index("Say 9000.")].count("\n") + 1
    path = written(tmp_path / "a.json", text)
    assert refusal(path).startswith(f"{path}:{line}:")
    with path.open("rb") as file, io.TextIOWrapper(file, "utf-8") as there:
        with pytest.raises(UserError):
            list(Array(there, "a.json"))
        assert file.tell() < len(text) / 2


def test_what_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a.json") == (
        f"{tmp_path}/a.json: no such file or folder; name one that holds instructions"
    )
    written(tmp_path / "b" / "README.md", "none")
    assert refusal(tmp_path / "b").startswith(
        f"{tmp_path}/b: no data file (.json, .jsonl, .ndjson, .parquet) is in"
    )
    unreadable = "/proc/self/mem"  # even to root
    assert refusal(unreadable).startswith(f"{unreadable}: cannot be read: Input/output error; ")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "a.json").symlink_to(unreadable)
    assert refusal(tmp_path / "c").startswith(f"{tmp_path}/c/a.json: cannot be read: Input/output error; ")


@pytest.mark.parametrize("why", ["offline", "unreachable"])
def test_a_name_that_the_hub_does_not_give_is_one_line_in_time(why: str, tmp_path: Path) -> None:
    script = (
        "from xlnu.transfer.sources import SourceConfig, open_source\n"
        "from xlnu.errors import UserError\n"
        "try: open_source(SourceConfig('someone/some-data'))\n"
        "except UserError as error: print(error)"
    )
    settings = {"offline": {"HF_HUB_OFFLINE": "1"}, "unreachable": {"HF_ENDPOINT": "http://127.0.0.1:9"}}[why]
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **settings},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    begin, end = (
        "someone/some-data: no file or folder here, and the hub does not give it: ",
        "give a file or folder",
    )
    assert re.fullmatch(f"{begin}.+; mend the name, or {end}\n", done.stdout)


@pytest.mark.parametrize(
    ("name", "data", "split", "why"),
    [
        ("a.jsonl", lines(RECORDS), "train", ""),
        ("a.jsonl", lines(RECORDS), "test", 'Unknown split "test". Should be one of '),
        ("a.jsonl", '{"instruction": 1}\n{', "train", "An error occurred while generating the dataset"),
        ("a.py", "import datasets", "train", "Dataset scripts are no longer supported"),
    ],
)
def test_what_the_library_of_the_hub_loads_is_read_and_its_refusals_are_one_line(
    tmp_path: Path, name: str, data: str, split: str, why: str
) -> None:
    there = written(tmp_path / "data" / name, data)
    given = str(there) if name == "a.py" else str(there.parent)
    found = of_dataset(
        lambda: load_dataset(given, split=split, cache_dir=str(tmp_path / "cache")), "x on the hub", "x/train"
    )
    if why:
        with pytest.raises(UserError, match=f"x on the hub: cannot be read: {why}"):
            list(found)
    else:
        assert list(found) == [(f"x/train:{n}", record) for n, record in enumerate(RECORDS, 1)]


GROWTH = """
import sys
from xlnu.transfer.sources import SourceConfig, open_source

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

before = peak()
assert sum(1 for _ in open_source(SourceConfig(sys.argv[1])).records()) == 6000
print((peak() - before) // 1024)
"""


@pytest.mark.parametrize("form", ["array", "array on one line", "lines", "parquet"])
def test_memory_does_not_grow_with_the_source(tmp_path: Path, form: str) -> None:
    """60 MB of text. What is read of Parquet piece by piece takes 70 MB, and no more of twice as much; else 117."""
    rng = random.Random(0)
    records = [{"instruction": f"Say {n}.", "output": rng.randbytes(5000).hex()} for n in range(6000)]
    path = tmp_path / "a"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    else:
        indent = 1 if form == "array" else None
        written(path, lines(records) if form == "lines" else json.dumps(records, indent=indent))
    done = subprocess.run([sys.executable, "-c", GROWTH, path], capture_output=True, text=True, check=True)
    assert int(done.stdout) < (90 if form == "parquet" else 15)
