"""What flows between steps: the Arrow schemas, and the ids of rows. The one place for both.

Every table of every step has the columns of ROW. `reject` says why a row goes no further; null means it does. Rows
are never dropped: they are counted, and stay readable beside the others.
"""

import hashlib
import json

import pyarrow as pa

ROW = [
    pa.field("id", pa.string(), nullable=False, metadata={"meaning": "row_id() of what makes the row this row"}),
    pa.field("reject", pa.string(), metadata={"meaning": "why the row goes no further; null: it does"}),
]

INSTRUCTIONS = pa.schema(
    [
        *ROW,
        pa.field("origin", pa.string(), nullable=False, metadata={"meaning": "file and line it was read from"}),
        pa.field("system", pa.string(), metadata={"meaning": "a system message; null: none"}),
        pa.field("instruction", pa.string(), nullable=False),
        pa.field("input", pa.string(), nullable=False, metadata={"meaning": "what it is about; may be empty"}),
        pa.field("output", pa.string(), metadata={"meaning": "the answer that the source gives; null: none"}),
    ]
)

_FLAGS = pa.field(
    "flags", pa.list_(pa.string()), nullable=False, metadata={"meaning": "what looks wrong; see gates"}
)

ENGLISH = pa.schema(
    [
        *INSTRUCTIONS,
        pa.field("answer", pa.string(), metadata={"meaning": "what the LLM answers in the source language"}),
        pa.field("tokens", pa.int32(), nullable=False, metadata={"meaning": "of the answer"}),
        _FLAGS,
        pa.field("engine", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False, metadata={"meaning": "name and hash of its content"}),
    ]
)

SENTENCES = pa.schema(
    [
        *ROW,
        pa.field("text", pa.string(), nullable=False),
        pa.field(
            "row",
            pa.int64(),
            nullable=False,
            metadata={"meaning": "number of the one row that has it; -1: several"},
        ),
    ]
)

TRANSLATED = pa.schema(
    [
        *ROW,
        pa.field("text", pa.string(), nullable=False),
        pa.field("tokens", pa.int32(), nullable=False),
        _FLAGS,
    ]
)

RETURNED = pa.schema(
    [
        *ROW,
        pa.field("text", pa.string(), nullable=False, metadata={"meaning": "the translation, translated back"}),
        pa.field(
            "round_trip", pa.float32(), nullable=False, metadata={"meaning": "its chrF against the source, 0 to 1"}
        ),
    ]
)

_PLACE = [
    *ROW,
    pa.field("parent", pa.string(), nullable=False, metadata={"meaning": "id of the instruction"}),
    pa.field("language", pa.string(), nullable=False, metadata={"meaning": "label, a fallback visible in it"}),
]

BITEXT = pa.schema(
    [
        *_PLACE,
        pa.field("instruction", pa.string()),
        pa.field("input", pa.string()),
        pa.field("answer", pa.string()),
        pa.field("question_flags", pa.list_(pa.string()), nullable=False),
        pa.field("answer_flags", pa.list_(pa.string()), nullable=False),
        pa.field("question_round_trip", pa.float32(), metadata={"meaning": "null: not asked for"}),
        pa.field("answer_round_trip", pa.float32()),
        pa.field("engine", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("beam", pa.int32(), nullable=False),
    ]
)

QUALITY = pa.schema(
    [
        *_PLACE,
        pa.field("question_score", pa.float32()),
        pa.field("answer_score", pa.float32()),
        pa.field("gate", pa.string(), nullable=False, metadata={"meaning": "what gave the scores"}),
    ]
)

SWITCHED = pa.schema(
    [
        *_PLACE,
        pa.field(
            "source_question", pa.string(), metadata={"meaning": "in the source language, some words switched"}
        ),
        pa.field("source_words", pa.int32(), nullable=False),
        pa.field("source_known", pa.int32(), nullable=False),
        pa.field("source_switched", pa.int32(), nullable=False),
        pa.field("question", pa.string(), metadata={"meaning": "the translation, some words switched back"}),
        pa.field("words", pa.int32(), nullable=False),
        pa.field("known", pa.int32(), nullable=False),
        pa.field("switched", pa.int32(), nullable=False),
    ]
)

PAIRS = pa.schema(
    [
        *ROW,
        pa.field("language", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("target", pa.string(), nullable=False),
    ]
)

TRANSFER = pa.schema(
    [
        *_PLACE,
        pa.field(
            "messages",
            pa.list_(pa.struct([pa.field("role", pa.string()), pa.field("content", pa.string())])),
            nullable=False,
        ),
        pa.field(
            "teacher_question",
            pa.string(),
            metadata={"meaning": "in the source language, to an answer in it: what the LLM itself would be asked"},
        ),
        pa.field("family", pa.string(), nullable=False),
        pa.field("origin", pa.string(), nullable=False, metadata={"meaning": "where the instruction was read"}),
        pa.field(
            "words", pa.int32(), nullable=False, metadata={"meaning": "of the question that could be switched"}
        ),
        pa.field("known", pa.int32(), nullable=False, metadata={"meaning": "of them that the dictionary has"}),
        pa.field("switched", pa.int32(), nullable=False, metadata={"meaning": "of them that were"}),
        pa.field("question_score", pa.float32()),
        pa.field("answer_score", pa.float32()),
        pa.field("gate", pa.string()),
        pa.field("llm", pa.string(), metadata={"meaning": "engine and model of the answer; null: not generated"}),
        pa.field("translator", pa.string(), metadata={"meaning": "engine, model and beam; null: not translated"}),
    ]
)


def row_id(*content: str | int) -> str:
    """The id of a row, from what makes it this row and no other: never from its position.

    128 bits: 100 million rows in 200 languages would hold some ten pairs of equal 64-bit ids.
    """
    text = json.dumps(content, ensure_ascii=False)  # quoted, so that ("ab", "c") is not ("a", "bc")
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
