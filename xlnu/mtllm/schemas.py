"""What flows between the steps of MT-LLM."""

import pyarrow as pa

from xlnu.rows import ROW

TRAIN, HELD_OUT, REJECTED = "train", "held_out", "rejected"  # folders of a step with tokens

EXAMPLES = pa.schema(
    [
        *ROW,
        pa.field("task", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False, metadata={"meaning": "train, validation or test"}),
        pa.field("language", pa.string(), nullable=False, metadata={"meaning": "label, a fallback visible in it"}),
        pa.field("key", pa.string(), nullable=False, metadata={"meaning": "of an example in all its languages"}),
        pa.field("segments", pa.list_(pa.string()), nullable=False),
        pa.field(
            "gold",
            pa.list_(pa.float32()),
            nullable=False,
            metadata={"meaning": "the number of a label or of the right choice, a value, or a label a word"},
        ),
    ]
)

_IDS, _GROUPS = pa.list_(pa.int32()), pa.list_(pa.int16())
TOKENS = pa.schema(
    [
        *ROW,
        pa.field("language", pa.string(), nullable=False),
        pa.field("content", pa.string(), nullable=False, metadata={"meaning": "hash of what the LLM reads of it"}),
        pa.field("encoder_ids", _IDS, nullable=False),
        pa.field("encoder_groups", _GROUPS, nullable=False, metadata={"meaning": "what each is pooled into"}),
        pa.field("llm_ids", _IDS, nullable=False),
        pa.field("llm_groups", _GROUPS, nullable=False),
        pa.field("gold", pa.list_(pa.float32()), nullable=False),
        pa.field(
            "encoder_at",
            pa.list_(pa.int32()),
            nullable=False,
            metadata={"meaning": "places of tokens that are one in both tokenizers"},
        ),
        pa.field("llm_at", pa.list_(pa.int32()), nullable=False, metadata={"meaning": "theirs in the LLM's"}),
    ]
)

EMBEDDINGS = pa.schema(
    [
        *ROW,
        pa.field("content", pa.string(), nullable=False, metadata={"meaning": "hash of the text that was read"}),
        pa.field(
            "embedding",
            pa.list_(pa.float16()),
            nullable=False,
            metadata={"meaning": "the pooled states of its groups, one after another"},
        ),
    ]
)
