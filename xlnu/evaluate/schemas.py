"""What flows between the steps of an evaluation."""

import pyarrow as pa

from xlnu.rows import ROW

_PLACE = [
    pa.field("benchmark", pa.string(), nullable=False),
    pa.field("task", pa.string(), nullable=False),
    pa.field(
        "kind", pa.string(), nullable=False, metadata={"meaning": "what is asked: text, pair, qa, to_source, ..."}
    ),
    pa.field(
        "language", pa.string(), nullable=False, metadata={"meaning": "that is tested; a fallback visible in it"}
    ),
]

ANSWERED = pa.schema(
    [
        *ROW,
        *_PLACE,
        pa.field("key", pa.string(), nullable=False, metadata={"meaning": "of an example in all its languages"}),
        pa.field(
            "asked", pa.string(), nullable=False, metadata={"meaning": "what the model was given, for reading"}
        ),
        pa.field(
            "right",
            pa.list_(pa.string()),
            nullable=False,
            metadata={
                "meaning": "the label, the right choice's number, a tag a word; or every answer that is right"
            },
        ),
        pa.field(
            "said", pa.list_(pa.string()), nullable=False, metadata={"meaning": "the answer, as `right` has it"}
        ),
        pa.field(
            "logits",
            pa.list_(pa.float32()),
            nullable=False,
            metadata={
                "meaning": "of every label, choice or word, one after another; empty: the answer was written"
            },
        ),
        pa.field("tokens", pa.int32(), nullable=False, metadata={"meaning": "that were read, or written"}),
        pa.field("cut_off", pa.bool_(), nullable=False, metadata={"meaning": "the answer was longer than allowed"}),
        pa.field(
            "judged",
            pa.map_(pa.string(), pa.float64()),
            metadata={"meaning": "metrics of the example as the lm-evaluation-harness has them; null: not by it"},
        ),
        pa.field("prompt", pa.string(), metadata={"meaning": "the harness's task, whose prompt it was"}),
    ]
)

MEASURED = pa.schema(
    [
        *ROW,
        *_PLACE,
        pa.field("metric", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("low", pa.float64(), nullable=False, metadata={"meaning": "lower end of the 95 % interval"}),
        pa.field("high", pa.float64(), nullable=False),
        pa.field(
            "signature", pa.string(), nullable=False, metadata={"meaning": "sacreBLEU's; empty: there is one way"}
        ),
        pa.field("note", pa.string(), nullable=False, metadata={"meaning": "what a reader must know of it"}),
        pa.field("keys", pa.list_(pa.string()), nullable=False),
        pa.field(
            "values",
            pa.list_(pa.float64()),
            nullable=False,
            metadata={"meaning": "what each example is worth, for comparing systems on the same ones"},
        ),
    ]
)
