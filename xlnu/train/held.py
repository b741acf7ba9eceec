"""Rows out of the files of a finished step, for who comes back to the same files again and again."""

from collections import OrderedDict
from collections.abc import Sequence

import pyarrow as pa

from xlnu.steps import Rows, read_part


class Held:
    """It holds the files that were asked for last, of the columns that are wanted. Places are among all of a file's
    rows, the rejected too.
    """

    def __init__(self, rows: Rows, columns: Sequence[str], files: int) -> None:
        assert rows.rejected
        self.rows, self.columns, self.files = rows, list(columns), files
        self.held: OrderedDict[int, pa.Table] = OrderedDict()

    def slice(self, file: int, start: int, stop: int) -> pa.Table:
        """Of the file of this number its rows from `start` up to `stop`."""
        return self._file(file).slice(start, stop - start)

    def _file(self, number: int) -> pa.Table:
        if number not in self.held:
            while len(self.held) >= self.files:
                self.held.popitem(last=False)
            self.held[number] = read_part(self.rows.store, self.rows.paths[number], self.columns)
        self.held.move_to_end(number)
        return self.held[number]
