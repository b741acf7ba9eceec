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
        pa.field("instruction", pa.string(), nullable=False),
        pa.field("input", pa.string(), nullable=False, metadata={"meaning": "what it is about; may be empty"}),
    ]
)

REQUESTS = pa.schema(
    [
        *ROW,
        pa.field("parent", pa.string(), nullable=False, metadata={"meaning": "id of the instruction"}),
        pa.field("language", pa.string(), nullable=False, metadata={"meaning": "label, a fallback visible in it"}),
        pa.field("source_code", pa.string(), nullable=False, metadata={"meaning": "the model's code to read from"}),
        pa.field("target_code", pa.string(), metadata={"meaning": "the model's code to write; null: it has none"}),
        pa.field("text", pa.string(), nullable=False),
    ]
)


def row_id(*content: str | int) -> str:
    """The id of a row, from what makes it this row and no other: never from its position.

    128 bits: 100 million rows in 200 languages would hold some ten pairs of equal 64-bit ids.
    """
    text = json.dumps(content, ensure_ascii=False)  # quoted, so that ("ab", "c") is not ("a", "bc")
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
