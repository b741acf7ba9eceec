"""What one record means: chats, texts, and why it is none."""

from typing import Any

import pyarrow as pa
import pytest

from xlnu.rows import INSTRUCTIONS, row_id
from xlnu.transfer.records import Row, apart, as_row


def rows(record: Any, turns: str = "single") -> list[Row]:
    """Of one record, which must be such as the step can write."""
    found = [as_row(origin, one, turns) for origin, one in apart("a.jsonl:1", record)]
    pa.Table.from_pylist(found, schema=INSTRUCTIONS).validate(full=True)
    assert all(row.keys() == set(INSTRUCTIONS.names) for row in found)
    return found


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
def test_a_chat_is_its_only_or_its_first_exchange(messages: Any, single: Any, first: Any) -> None:
    for turns, expected in (("single", single), ("first", first)):
        (row,) = rows({"messages": messages}, turns)
        if isinstance(expected, str):
            assert row["reject"] == expected
        else:
            system, output = expected
            assert row["id"] == (row_id("Hi?", "", system) if system else row_id("Hi?", ""))
            assert (row["system"], row["instruction"], row["output"]) == (system, "Hi?", output)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        *((none, "") for none in ("", " \n", "<noinput>", "Noinput", "No input", "<no input>", " noinput\n")),
        *((text, text) for text in ("None", "no inputs", "No input is given here.", " a  b \n")),
        *((text, "a\nb\rc") for text in ("a\r\nb\rc",)),
    ],
)
def test_what_is_no_input_is_empty_and_all_else_stays(given: str, kept: str) -> None:
    (row,) = rows({"instruction": " Go  on.\r\n", "input": given})
    assert (row["instruction"], row["input"]) == (" Go  on.\n", kept)
    assert row["id"] == row_id(" Go  on.\n", kept)
