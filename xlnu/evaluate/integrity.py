"""What a reader must know before believing a score: what is odd in a benchmark's files, which languages it lacks or
reads as others, and models that answer one thing whatever they are asked.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from xlnu.evaluate.asked import Benchmark
from xlnu.evaluate.benchmarks import formats, official
from xlnu.evaluate.benchmarks.items import Item
from xlnu.evaluate.measured import Measured
from xlnu.evaluate.questions import FLORES
from xlnu.languages import Language
from xlnu.report.document import Finding

LOPSIDED = 0.8  # a share of one label: always saying it would look like knowing something


def of_files(benchmarks: Sequence[Benchmark], asked: Sequence[Language]) -> list[Finding]:
    return [finding for one in benchmarks for finding in _of_one(one, asked)]


def _of_one(benchmark: Benchmark, asked: Sequence[Language]) -> Iterator[Finding]:
    there = {one.label for one in benchmark.languages}
    lacking = [one.label for one in asked if one.label not in there]
    if lacking:
        yield Finding("languages", benchmark.name, f"has no file for {', '.join(lacking)}", serious=False)
    for language in benchmark.languages:
        note = official.notes(benchmark.name, language)
        if note:
            yield Finding("languages", f"{benchmark.name}, {language.label}", note, serious=True)
    if benchmark.name == FLORES:
        return
    odd: dict[str, list[str]] = {}
    for language in benchmark.languages:
        path = benchmark.task.files["test", language.label]
        for what in _odd(benchmark, formats.read(benchmark.task.format, path, language)):
            odd.setdefault(what, []).append(language.label)
    for what, labels in odd.items():  # what is so in all languages is said once
        where = "all languages" if len(labels) == len(benchmark.languages) > 1 else ", ".join(labels)
        yield Finding(what.partition(": ")[0], f"{benchmark.name}, {where}", what.partition(": ")[2], serious=False)


def _odd(benchmark: Benchmark, items: Sequence[Item]) -> Iterator[str]:
    usable = [one for one in items if not one.reject]
    twice = len(usable) - len({one.segments for one in usable})
    if twice:
        yield f"duplicates: {twice:,} of {len(usable):,} examples stand there more than once"
    refused = Counter(one.reject for one in items if one.reject)
    for reason, count in refused.items():
        yield f"rejected: {count:,} of {len(items):,} examples: {reason}"
    if benchmark.task.kind in ("text", "pair", "choice"):
        labels = Counter(str(one.label) for one in usable)
        (most, count), total = labels.most_common(1)[0], labels.total()
        if count > LOPSIDED * total:
            yield f"labels: {count / total:.0%} are {most}"
        missing = [label for label in benchmark.task.labels if label not in labels]
        if missing:
            yield f"labels: none is {', '.join(missing)}"


def of_answers(measured: Sequence[Measured]) -> Iterator[Finding]:
    """A system and benchmark each, with the languages in which it gives one answer to all."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for one in measured:
        if one.note and one.is_main:
            found.setdefault((one.benchmark, one.system.name, one.note), []).append(one.language)
    for (benchmark, system, note), labels in found.items():
        where = ", ".join(dict.fromkeys(labels))
        yield Finding("one answer", f"{benchmark}, {system}: {where}", note, serious=True)
