"""The rows of several steps as if they were of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import pyarrow as pa

from xlnu.steps import Rows, Step, Work


@dataclass(frozen=True)
class Chained:
    """It pickles. A column that some steps lack is empty in their rows."""

    parts: tuple[Rows, ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def read(self, start: int, stop: int, columns: Sequence[str] | None = None) -> pa.Table:
        tables = list[pa.Table]()
        for rows, end in zip(self.parts, accumulate(map(len, self.parts)), strict=True):
            begin = end - len(rows)
            if (start < end and begin < stop) or not tables:  # of no rows there still is the schema
                tables.append(rows.read(max(0, start - begin), min(len(rows), stop - begin), columns))
        return pa.concat_tables(tables, promote_options="default")


def chained(work: Work, steps: Sequence[Step]) -> Chained:
    return Chained(tuple(work.inputs[step.name].rows() for step in steps))
