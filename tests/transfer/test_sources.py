"""Sources of rows as the settings open them, from files to ids, and what they refuse."""

import gzip
import json
import lzma
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset

from xlnu.errors import UserError
from xlnu.rows import INSTRUCTIONS, row_id
from xlnu.tiny.files import write_all
from xlnu.tiny.sizes import SIZES
from xlnu.tiny.world import World
from xlnu.transfer.records import Row
from xlnu.transfer.sources import SourceConfig, open_source

RECORDS = [
    {"instruction": "Name a colour.", "input": "", "output": "Red."},
    {"instruction": "Translate.", "input": "the sea, 海 and 😀", "output": "la mer\n"},
    {"instruction": " Count\tto two. ", "input": "", "output": "1\n2"},
]
PLAIN = [{**record, "input": ""} for record in RECORDS]  # of chats, which have no input


def read(path: Path | str, turns: Any = "single", at_most: int = 0) -> list[Row]:
    """All rows, which must be such as the step can write, and the same the second time."""
    source = open_source(SourceConfig(path=str(path), turns=turns, at_most=at_most))
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


def refusal(path: Path | str) -> str:
    with pytest.raises(UserError) as caught:
        read(path)
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


CHAT = ("role", "user", "assistant", "content")
CHATS = {
    "messages": [{"prompt": "other", "messages": chat(r, *CHAT)} for r in PLAIN],
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


# Records


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


def test_of_a_longer_chat_the_settings_take_the_first_exchange_or_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", lines([{"messages": chat(PLAIN[0], *CHAT) + chat(PLAIN[1], *CHAT)}]))
    assert reasons(read(path)) == ["more than one exchange"]
    assert texts(read(path, "first")) == PLAIN[:1]


def test_no_more_than_the_first_records_are_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", json.dumps(RECORDS)[:-1])
    assert texts(read(path, at_most=2)) == RECORDS[:2]
    assert "before its array does" in refusal(path)


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


def test_a_path_that_names_nothing_is_one_line() -> None:
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
