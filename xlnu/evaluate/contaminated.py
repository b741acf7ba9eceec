"""The step `contaminated`: which texts that a model was trained on share text with the tests, a row each file.

What counts as sharing is in xlnu/transfer/contamination.py: 13 words in a row, or the whole of a shorter line.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import pyarrow as pa

from xlnu.evaluate.asked import Benchmark
from xlnu.report.document import Finding
from xlnu.rows import ROW, row_id
from xlnu.steps import NOBODY_KNOWS, Part, Result, Step, Work
from xlnu.transfer.contamination import Benchmarks, fingerprint, texts

CONTAMINATED = pa.schema(
    [
        *ROW,
        pa.field("file", pa.string(), nullable=False, metadata={"meaning": "of what was trained on"}),
        pa.field("texts", pa.int64(), nullable=False),
        pa.field("shared", pa.int64(), nullable=False, metadata={"meaning": "of them that share a test's text"}),
        pa.field("test", pa.string(), metadata={"meaning": "the test file that most of them share with"}),
        pa.field("example", pa.string(), metadata={"meaning": "one of them"}),
    ]
)


def step(training: Sequence[str], benchmarks: Sequence[Benchmark]) -> Step:
    tests = sorted({str(path) for one in benchmarks for path in one.task.files.values()})
    about = {"training": fingerprint(training), "tests": fingerprint(tests)}

    def run(work: Work) -> int:
        look = _Look(training, tests)
        for part in work.todo(len(look.files), 1):
            work.write(part, look(part))
        return len(look.files)

    return Step("contaminated", about, run, estimate=NOBODY_KNOWS)


class _Look:
    """On the driver, for other machines may not have these files."""

    def __init__(self, training: Sequence[str], tests: Sequence[str]) -> None:
        self.tests, self.files = Benchmarks.read(tests), [*texts(training)]

    def __call__(self, part: Part) -> pa.Table:
        made = [self._row(at, *self.files[at]) for at in range(part.start, part.stop)]
        return pa.Table.from_pylist(made, schema=CONTAMINATED)

    def _row(self, at: int, name: str, lines: Sequence[str]) -> dict[str, object]:
        found = [(test, line) for line in lines if (test := self.tests.found_in(line))]
        most = Counter(test for test, _ in found).most_common(1)
        return {
            "id": row_id("contaminated", name, at),
            "reject": None,
            "file": name,
            "texts": len(lines),
            "shared": len(found),
            "test": most[0][0] if most else None,
            "example": found[0][1][:200] if found else None,
        }


def findings(result: Result) -> Iterator[Finding]:
    rows = result.table().to_pylist()
    for row in rows:
        if row["shared"]:
            told = (
                f"{row['shared']:,} of {row['texts']:,} texts share text with {row['test']}, as: {row['example']}"
            )
            yield Finding("contamination", row["file"], told, serious=True)
    if not any(row["shared"] for row in rows):
        total = sum(row["texts"] for row in rows)
        yield Finding("contamination", f"{len(rows)} training files", f"none of {total:,} texts is a test's", False)
