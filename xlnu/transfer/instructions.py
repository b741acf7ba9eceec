"""The step `instructions`: what the source holds, as rows; what is malformed in it among them, with the reason."""

from itertools import islice

import pyarrow as pa

from xlnu.rows import INSTRUCTIONS
from xlnu.steps import Work
from xlnu.transfer.sources import Source

ROWS_PER_PART = 1024


def write(work: Work, source: Source) -> int:
    """Two passes: how many there are is known before the first part is written, and no pass holds them all."""
    total = sum(1 for _ in source.records())
    records, at = source.records(), 0
    for part in work.todo(total, ROWS_PER_PART):
        rows = list(islice(records, part.start - at, part.stop - at))
        at = part.stop
        work.write(part, pa.Table.from_pylist(rows, schema=INSTRUCTIONS))
    return total
