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
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict, load_dataset

from xlnu.errors import UserError
from xlnu.rows import INSTRUCTIONS, row_id
from xlnu.store import Store
from xlnu.tiny.files import write_all
from xlnu.tiny.sizes import SIZES
from xlnu.tiny.world import World
from xlnu.transfer import reading
from xlnu.transfer.records import Row
from xlnu.transfer.sources import SourceConfig, open_source

RECORDS = [
    {"instruction": "Name a colour.", "input": "", "output": "Red."},
    {"instruction": "Translate.", "input": "the sea, 海 and 😀", "output": "la mer\n"},
    {"instruction": " Count\tto two. ", "input": "", "output": "1\n2"},
]
PLAIN = [{**record, "input": ""} for record in RECORDS]  # of chats, which have no input


def read(path: Path | str, turns: Any = "single", at_most: int = 0, split: str = "train") -> list[Row]:
    """All rows, which must be such as the step can write, and the same the second time."""
    source = open_source(SourceConfig(path=str(path), split=split, turns=turns, at_most=at_most))
    rows = list(source.records())
    pa.Table.from_pylist(rows, schema=INSTRUCTIONS).validate(full=True)
    assert all(row.keys() == set(INSTRUCTIONS.names) for row in rows)
    assert len({row["id"] for row in rows}) == len(rows)
    assert list(source.records()) == rows
    return rows


def written(path: Path, data: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def lines(records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def texts(rows: list[Row]) -> list[dict[str, Any]]:
    assert [row["reject"] for row in rows] == [None] * len(rows)
    return [{key: row[key] for key in RECORDS[0]} for row in rows]


def reasons(rows: list[Row]) -> list[str | None]:
    return [row["reject"] for row in rows]


def origins(rows: list[Row]) -> list[str]:
    return [row["origin"] for row in rows]


def refusal(path: Path | str, **settings: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(path, **settings)
    message = str(caught.value)
    assert "\n" not in message
    return message


# Forms


FILES = {
    "an array": json.dumps(RECORDS, indent=4),
    "an array on one line": json.dumps(RECORDS, ensure_ascii=False),
    "an array of Windows": "\ufeff\r\n" + json.dumps(RECORDS, indent=1).replace("\n", "\r\n"),
    "lines": lines(RECORDS),
    "lines of Windows, blank ones among them": "\ufeff\r\n" + lines(RECORDS).replace("\n", "\r\n \r\n\r\n"),
    "lines that do not end": lines(RECORDS).rstrip("\n"),
    "Dolly": lines(
        {"instruction": r["instruction"], "context": r["input"], "response": r["output"]} for r in RECORDS
    ),
    "instances": lines(
        {"id": "x", "instruction": r["instruction"], "instances": [{"input": r["input"], "output": r["output"]}]}
        for r in RECORDS
    ),
}


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize("name", ["of.json", "of.jsonl", "any name"])
def test_a_file_is_told_by_its_content(tmp_path: Path, form: str, name: str) -> None:
    rows = read(written(tmp_path / name, FILES[form]))
    assert texts(rows) == RECORDS
    assert [row["id"] for row in rows] == [row_id(r["instruction"], r["input"]) for r in RECORDS]


def chat(record: dict[str, str], role: str, user: str, answers: str, content: str) -> list[dict[str, str]]:
    return [{role: user, content: record["instruction"]}, {role: answers, content: record["output"]}]


CHATS = {
    "messages": [{"prompt": "other", "messages": chat(r, "role", "user", "assistant", "content")} for r in PLAIN],
    "ShareGPT": [{"id": 1, "conversations": chat(r, "from", "human", "gpt", "value")} for r in PLAIN],
    "completion": [{"instruction": None, "prompt": r["instruction"], "completion": r["output"]} for r in PLAIN],
    "response": [{"messages": None, "prompt": r["instruction"], "response": r["output"]} for r in PLAIN],
}


@pytest.mark.parametrize("form", CHATS)
@pytest.mark.parametrize("parquet", [False, True])
def test_chats_and_prompts_are_read_from_json_and_parquet(tmp_path: Path, form: str, parquet: bool) -> None:
    if parquet:
        pq.write_table(pa.Table.from_pylist(CHATS[form]), path := tmp_path / "a.parquet")
    else:
        path = written(tmp_path / "a.jsonl", lines(CHATS[form]))
    assert texts(read(path)) == PLAIN


def zst(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue())


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zst])
@pytest.mark.parametrize("form", ["an array", "lines"])
def test_what_is_compressed_is_read_under_any_name(tmp_path: Path, pack: Any, form: str) -> None:
    rows = read(written(tmp_path / "a.json", pack(FILES[form].encode())))
    assert texts(rows) == RECORDS


def test_parquet_is_read_in_order_with_other_columns_left_out_and_told_without_its_name(tmp_path: Path) -> None:
    many = [{"instruction": f"Say {n}.", "input": None, "output": None, "image": b"\xff"} for n in range(2000)]
    pq.write_table(pa.Table.from_pylist(many), tmp_path / "any name", row_group_size=700)
    rows = read(tmp_path / "any name")
    assert [row["instruction"] for row in rows] == [record["instruction"] for record in many]
    assert (origins(rows)[0], origins(rows)[-1]) == ("any name:1", "any name:2000")
    assert (rows[0]["input"], rows[0]["output"]) == ("", None)


def test_bytes_that_are_no_text_cost_one_row_of_parquet(tmp_path: Path) -> None:
    column = pa.array([b"Say a.", b"Say \xff.", b"Say c."]).view(pa.string())
    pq.write_table(pa.table({"instruction": column}), tmp_path / "a.parquet")
    rows = read(tmp_path / "a.parquet")
    assert reasons(rows) == [None, "not valid Unicode", None]
    assert rows[2]["instruction"] == "Say c."


def test_a_dataset_saved_on_disk_is_read_and_of_several_the_split(tmp_path: Path) -> None:
    some, other = Dataset.from_list(RECORDS), Dataset.from_list(RECORDS[:1])
    some.save_to_disk(tmp_path / "one", num_shards=2)
    DatasetDict({"train": some, "test": other}).save_to_disk(str(tmp_path / "two"))
    assert texts(read(tmp_path / "one")) == texts(read(tmp_path / "two")) == RECORDS
    assert origins(read(tmp_path / "one")) == ["one:1", "one:2", "one:3"]
    assert origins(read(tmp_path / "two", split="test")) == ["test:1"]
    assert refusal(tmp_path / "two", split="dev") == (
        f"{tmp_path}/two: has no split dev; give one of its splits: test, train"
    )
    Dataset.from_dict({"text": ["a"]}).save_to_disk(tmp_path / "three")
    message = f"{tmp_path}/three: none of its columns holds instructions (text); give Alpaca "
    assert refusal(tmp_path / "three").startswith(message)


def test_a_folder_is_its_data_files_by_name_and_what_is_hidden_is_none(tmp_path: Path) -> None:
    written(tmp_path / "b" / "x.jsonl.gz", gzip.compress(lines(RECORDS[:1]).encode()))
    written(tmp_path / "a.json", json.dumps(RECORDS[1:2]))
    pq.write_table(pa.Table.from_pylist(RECORDS[2:]), tmp_path / "b" / "c.PARQUET")
    for aside in ("README.md", "LICENSE", "b/.cache/x.json", ".x.json"):
        written(tmp_path / aside, "{}")
    rows = read(tmp_path)
    assert origins(rows) == ["a.json:1", "b/c.PARQUET:1", "b/x.jsonl.gz:1"]
    assert texts(rows) == [RECORDS[1], RECORDS[2], RECORDS[0]]


def test_files_on_object_storage_are_read(s3: str) -> None:
    store, some = Store(s3), lines(RECORDS[:1]).encode()
    for name, data in (("a.json", FILES["an array"].encode()), ("b.jsonl.gz", gzip.compress(some * 2))):
        with store.fs.open_output_stream(f"{store.root}/{name}", compression=None) as file:
            file.write(data)
    assert texts(read(s3.replace("?", "/a.json?"))) == RECORDS
    rows = read(s3)
    assert origins(rows)[2:] == ["a.json:12", "b.jsonl.gz:1", "b.jsonl.gz:2"]
    assert Counter(reasons(rows)) == {None: 3, "duplicate": 2}
    message = refusal(s3.replace("?", "/none?"))
    assert "/some/prefix/none: no such file or folder" in message
    assert "?" not in message


# Records


USER, ANSWER = {"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Yes."}
SYSTEM, IMAGE = {"role": "system", "content": "Be brief."}, {"type": "image", "image": "a.png"}


@pytest.mark.parametrize(
    ("messages", "single", "first"),
    [
        ([USER], (None, None), (None, None)),
        ([USER, ANSWER], (None, "Yes."), (None, "Yes.")),
        ([USER, {"role": "assistant", "content": None}], (None, None), (None, None)),
        ([USER, ANSWER, USER], "more than one exchange", (None, "Yes.")),
        ([USER, ANSWER, USER, {"role": "user", "content": [IMAGE]}], "more than one exchange", (None, "Yes.")),
        ([SYSTEM, USER, ANSWER], ("Be brief.", "Yes."), ("Be brief.", "Yes.")),
        ([SYSTEM, SYSTEM, USER], ("Be brief.\nBe brief.", None), ("Be brief.\nBe brief.", None)),
        ([{"role": "system", "content": ""}, USER], (None, None), (None, None)),
        ([SYSTEM, ANSWER], "no user turn", "no user turn"),
        ([], "no user turn", "no user turn"),
        ([ANSWER, USER], "answer before the user turn", "answer before the user turn"),
        ([USER, USER, ANSWER], "user turn without an answer", "user turn without an answer"),
        ([USER, SYSTEM], "user turn without an answer", "user turn without an answer"),
        ([USER, {"role": "tool", "content": "1"}], "unknown role", "unknown role"),
        ([USER, {"content": "1"}], "unknown role", "unknown role"),
        ([{"role": "user", "content": [IMAGE, {"type": "text", "text": "Hi?"}]}], "not only text", "not only text"),
        ([{"role": "user", "content": None}, ANSWER], "no instruction", "no instruction"),
        ([{"role": "user", "content": 1}, ANSWER], "instruction is not text", "instruction is not text"),
        ("Hi?", "not a chat", "not a chat"),
        (["Hi?"], "not a chat", "not a chat"),
    ],
)
def test_a_chat_is_its_only_or_its_first_exchange(tmp_path: Path, messages: Any, single: Any, first: Any) -> None:
    path = written(tmp_path / "a.jsonl", lines([{"messages": messages}]))
    for turns, expected in (("single", single), ("first", first)):
        (row,) = read(path, turns)
        if isinstance(expected, str):
            assert row["reject"] == expected
        else:
            system, output = expected
            assert row["id"] == (row_id("Hi?", "", system) if system else row_id("Hi?", ""))
            assert (row["system"], row["instruction"], row["output"]) == (system, "Hi?", output)


@pytest.mark.parametrize("parquet", [False, True])
def test_parts_of_text_are_one_text(tmp_path: Path, parquet: bool) -> None:
    parts = [{"type": "text", "text": "Name "}, {"type": "text", "text": "a colour."}]
    record = {"system": "Be brief.", "messages": [{"role": "user", "content": parts}]}
    if parquet:
        pq.write_table(pa.Table.from_pylist([record]), path := tmp_path / "a.parquet")
    else:
        path = written(tmp_path / "a.json", json.dumps([record]))
    (row,) = read(path)
    assert (row["instruction"], row["system"]) == ("Name a colour.", "Be brief.")


def test_each_malformed_line_is_a_row_with_its_reason_and_place(tmp_path: Path) -> None:
    expected = {
        '{"instruction": "Go.", "input": "there"}': None,
        '{"instruction": "Go.", "input": ': "not JSON",
        "": None,  # blank: no record
        "Go.": "not JSON",
        '{"instruction": "Go\t."}': "not JSON",
        '{"instruction": "a"}{"instruction": "b"}': "not JSON",
        "[" * 100_000: "not JSON",
        "42": "not an object",
        '["Go."]': "not an object",
        "{}": "no instruction",
        '{"text": "Go."}': "no instruction",
        '{"instruction": " \\n"}': "no instruction",
        '{"instruction": null, "input": "there"}': "no instruction",
        '{"instruction": 42}': "instruction is not text",
        '{"instruction": ["Go."]}': "instruction is not text",
        '{"instruction": "Go.", "input": {"a": 1}}': "input is not text",
        '{"instruction": "Go.", "output": ' + "4" * 5000 + "}": "output is not text",
        '{"instruction": "Go.", "output": false}': "output is not text",
        '{"instruction": "Go.", "system": 1}': "system is not text",
        '{"instruction": "Go.", "output": "\\ud83d"}': "not valid Unicode",
        '{"instruction": "Go.", "input": "\udcff"}': "not valid Unicode",  # a byte that is not UTF-8
        '{"instruction": "Go\\u0000."}': "holds NUL",
        '{"instruction": "Go.", "instances": []}': "no instance",
        '{"instruction": "Go.", "instances": ["a"]}': "no instance",
        '{"instruction": "Go.", "input": "there", "output": "no"}': "duplicate",
        '{"instruction": "Go.", "input": "there", "system": "Now."}': None,
    }
    data = "\n".join(expected).encode("utf-8", "surrogateescape")
    rows = read(written(tmp_path / "a.jsonl", data))
    found = {row["origin"]: row["reject"] for row in rows}
    assert found == {f"a.jsonl:{n}": why for n, (line, why) in enumerate(expected.items(), 1) if line}
    duplicate = rows[-2]
    assert duplicate["id"] == row_id("rejected", duplicate["origin"])
    assert (duplicate["input"], duplicate["output"]) == ("there", "no")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        *((none, "") for none in ("", " \n", "<noinput>", "Noinput", "No input", "<no input>", " noinput\n")),
        *((text, text) for text in ("None", "no inputs", "No input is given here.", " a  b \n")),
        *((text, "a\nb\rc") for text in ("a\r\nb\rc",)),
    ],
)
def test_what_is_no_input_is_empty_and_all_else_stays(tmp_path: Path, given: str, kept: str) -> None:
    (row,) = read(written(tmp_path / "a.json", json.dumps([{"instruction": " Go  on.\r\n", "input": given}])))
    assert (row["instruction"], row["input"]) == (" Go  on.\n", kept)
    assert row["id"] == row_id(" Go  on.\n", kept)


def test_null_and_nan_are_nothing_and_an_empty_output_is_one(tmp_path: Path) -> None:
    made = '{"instruction": "%s", "input": %s, "output": %s}'
    data = [made % ("a", "null", "null"), made % ("b", "NaN", "NaN"), made % ("c", '"x"', '""')]
    rows = read(written(tmp_path / "a.jsonl", "\n".join(data)))
    assert [(each["input"], each["output"]) for each in texts(rows)] == [("", None), ("", None), ("x", "")]


def test_origins_differ_for_records_of_one_line(tmp_path: Path) -> None:
    bad = {"instruction": "Go.", "instances": [{"input": "a"}, {"input": 1}, {"input": 2}]}
    path = written(tmp_path / "a.json", f'[\n{{"instruction": 1}}, {{"instruction": 2}},\n {json.dumps(bad)}]')
    rows = read(path)
    assert origins(rows) == ["a.json:2", "a.json:2:21", "a.json:3#1", "a.json:3#2", "a.json:3#3"]
    assert reasons(rows)[2:] == [None, "input is not text", "input is not text"]


def test_no_more_than_the_first_records_are_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", json.dumps(RECORDS)[:-1])
    assert texts(read(path, at_most=2)) == RECORDS[:2]
    assert "before its array does" in refusal(path)


# JSON arrays


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
                found = list(reading.Array(file, "a.json"))
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
            list(reading.Array(there, "a.json"))
        assert file.tell() < len(text) / 2


# What is refused, and what a source is known by


TABLE = pa.Table.from_pylist(RECORDS)


def parquet_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.json", b"", "holds no record; give Alpaca "),
        ("a.json", b" \r\n\n", "holds no record; give Alpaca "),
        ("a.json", b"[ ]", "holds no record; give Alpaca "),
        ("a.json", json.dumps(RECORDS).encode("utf-16"), "is neither UTF-8 text nor Parquet; give Alpaca "),
        ("a.json", random.Random(0).randbytes(9000), "is neither UTF-8 text nor Parquet; give Alpaca "),
        ("a.json", b"Name a colour.\nRed.\n", "no record in it is an instruction (a.json:1: not JSON); give "),
        ("a.json", b"[1, 2]", "no record in it is an instruction (a.json:1: not an object); give "),
        (
            "a.jsonl",
            b'{"text": "a", "\\n": 1}\n{"output": "x"}\n',
            "no record in it is an instruction (a.jsonl:1: no instruction; its keys are 'text', '\\n'); give ",
        ),
        (
            "a.json.gz",
            gzip.compress(lines(RECORDS).encode())[:-20],
            "cannot be read: Truncated compressed stream; ",
        ),
        (
            "a.json.xz",
            lzma.compress(lines(RECORDS).encode())[:-20],
            "cannot be read: Compressed file ended before ",
        ),
        ("a.parquet", lines(RECORDS).encode(), "cannot be read: Parquet magic bytes not found in footer. "),
        ("a.parquet", b"", "cannot be read: Parquet file size is 0 bytes; "),
        ("a.parquet", parquet_bytes(TABLE)[:-100], "cannot be read: Parquet magic bytes not found in footer. "),
        ("a.parquet", parquet_bytes(TABLE[:0]), "holds no record; give Alpaca "),
        (
            "a.parquet",
            parquet_bytes(pa.table({"text": ["a"], "output": ["b"]})),
            "none of its columns holds instructions (text, output); give Alpaca ",
        ),
    ],
)
def test_a_file_without_instructions_is_one_line(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    assert refusal(written(tmp_path / name, data)).startswith(f"{tmp_path}/{name}: {message}")


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
    assert refusal(" ").startswith("' ' is no name of a file")
    assert "no such file" in refusal("data/none.jsonl")  # and no name on the hub


def test_a_mistake_is_found_when_the_source_is_opened(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no record"):
        open_source(SourceConfig(str(written(tmp_path / "a.json", "[]"))))


def test_the_same_bytes_elsewhere_are_the_same_source(tmp_path: Path) -> None:
    def known_by(path: Path, **settings: Any) -> dict[str, Any]:
        return open_source(SourceConfig(str(path), **settings)).fingerprint

    for folder in ("x", "y/z"):
        written(tmp_path / folder / "a.jsonl", lines(RECORDS))
        written(tmp_path / folder / "b.jsonl", lines(RECORDS[:1]))
        Dataset.from_list(RECORDS).save_to_disk(tmp_path / folder / "saved")
        Dataset.from_list(RECORDS[:1]).save_to_disk(tmp_path / folder / "other")
    one = tmp_path / "x" / "a.jsonl"
    assert known_by(one) == known_by(tmp_path / "y" / "z" / "a.jsonl")
    assert known_by(tmp_path / "x" / "saved") == known_by(tmp_path / "y" / "z" / "saved")
    assert known_by(one) == known_by(one, split="test")  # which a file has none of
    different = [
        known_by(one),
        known_by(tmp_path / "x" / "b.jsonl"),
        known_by(one, turns="first"),
        known_by(one, at_most=1),
        known_by(tmp_path / "x" / "saved"),
        known_by(tmp_path / "x" / "other"),
    ]
    for each in ("a", "b"):
        different.append(known_by(tmp_path / "x"))
        written(tmp_path / "x" / f"{each}.jsonl", lines(RECORDS[1:]))
    different.append(known_by(tmp_path / "x"))
    assert len({json.dumps(each) for each in different}) == len(different)


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
    found = reading.of_dataset(
        lambda: load_dataset(given, split=split, cache_dir=str(tmp_path / "cache")), "x on the hub", "x/train"
    )
    if why:
        with pytest.raises(UserError, match=f"x on the hub: cannot be read: {why}"):
            list(found)
    else:
        assert list(found) == [(f"x/train:{n}", record) for n, record in enumerate(RECORDS, 1)]


# Memory


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


# The tiny world's file, and real ones


def test_every_kind_of_noise_in_the_tiny_worlds_file_is_borne(tmp_path: Path) -> None:
    amounts = SIZES["xs"].amounts
    write_all(World(0, amounts.people), amounts, tmp_path)
    noise = json.loads((tmp_path / "instructions/noise.json").read_text(encoding="utf-8"))
    rows = read(tmp_path / "instructions/train.json")
    assert len(rows) == noise["records"]
    assert Counter(reasons(rows)) == {
        None: noise["records"] - noise["counts"]["duplicate"],
        "duplicate": noise["counts"]["duplicate"],
    }
    at = {kind: [rows[place] for place in places] for kind, places in noise["at"].items()}
    assert all(at.values())
    assert {row["reject"] for row in at["duplicate"]} == {"duplicate"}
    assert {row["output"] for row in at["missing_output"]} == {None}
    assert {row["output"] for row in at["empty"]} == {""}
    assert {row["input"] for row in at["null_input"]} == {""}
    assert all(row["instruction"].startswith(" ") and row["output"].endswith("  ") for row in at["blanks"])
    assert all(row["output"].endswith("\n") for row in at["newline"])
    assert all("&nbsp;" in row["instruction"] for row in at["entities"])


@pytest.mark.skipif("XLNU_REAL_DATA" not in os.environ, reason="XLNU_REAL_DATA names no folder of real data")
def test_real_files_are_read_whole() -> None:
    folder = Path(os.environ["XLNU_REAL_DATA"]) / "instructions"
    alpaca = read(folder / "llms_from_scratch_instruction-data.json")
    assert Counter(reasons(alpaca)) == {None: 1075, "duplicate": 25}
    original = json.loads((folder / "llms_from_scratch_instruction-data.json").read_text(encoding="utf-8"))
    assert [{key: row[key] for key in original[0]} for row in alpaca] == original
    seeds = read(folder / "self_instruct_seed_tasks.jsonl")
    assert reasons(seeds) == [None] * 175
    assert sum(bool(row["input"]) for row in seeds) == 125
