"""The steps `tests`: what benchmarks ask, read from their official files, a row an example and language."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from xlnu.cache import hash_file
from xlnu.errors import UserError
from xlnu.evaluate import questions
from xlnu.evaluate.benchmarks import formats, official
from xlnu.evaluate.benchmarks.items import GENERATED, Item
from xlnu.evaluate.benchmarks.official import Official
from xlnu.evaluate.questions import FLORES, MKQA, QUESTIONS, ROWS_PER_PART, EvaluateConfig
from xlnu.languages import Language
from xlnu.mtllm import tasks
from xlnu.mtllm.tasks import Task
from xlnu.rows import row_id
from xlnu.steps import NOBODY_KNOWS, Step, Work
from xlnu.transfer.ask import AskConfig


@dataclass(frozen=True)
class Benchmark:
    """One of them, its files found. `task` holds what is known of its kind and its labels."""

    name: str
    official: Official
    place: Path
    task: Task
    languages: tuple[Language, ...]  # that it has, the source language among them if it has that

    @property
    def generated(self) -> bool:
        """Whether its answers are written."""
        return self.task.kind in GENERATED or self.name == FLORES


def found(given: str, source: Language, languages: Sequence[Language]) -> Benchmark:
    """Of one entry of `benchmarks`. Without `languages` all that it has."""
    name, _, where = given.partition("=")
    about = official.named(name)
    place = official.folder(name, where, ("test",))
    wanted = [source, *(languages or official.covered(name, place, "test"))]
    wanted = list({one.label: one for one in wanted}.values())
    files = {one.label: path for one in wanted if (path := official.find(name, place, "test", one))}
    there = tuple(one for one in wanted if one.label in files)
    if not there or (languages and all(one.label == source.label for one in there)):
        asked = ", ".join(one.label for one in languages[:5]) or "any language"
        raise UserError(f"benchmarks: {name}: {place}: holds no test file for {asked}")
    by_split = {("test", label): path for label, path in files.items()}
    if name == FLORES:
        return Benchmark(name, about, place, Task(about.task, "summary", name, (), by_split), there)
    kind, labels = formats.named(about.format).kind, set[str]()
    if kind in ("text", "pair", "tokens"):
        for one in there:
            labels |= _labels(formats.read(about.format, files[one.label], one))
    return Benchmark(
        name, about, place, Task(about.task, kind, about.format, tuple(sorted(labels)), by_split), there
    )


def _labels(items: Sequence[Item]) -> set[str]:
    each = (
        item.label if isinstance(item.label, tuple) else (str(item.label),) for item in items if not item.reject
    )
    return {label for some in each for label in some}


def step(benchmark: Benchmark, source: Language, at_most: int, ask: AskConfig, summarise: str) -> Step:
    """EXAMPLES of what a head can answer, and QUESTIONS of what is answered in words."""
    task, languages = benchmark.task, benchmark.languages
    if benchmark.name in (FLORES, MKQA):
        return questions.step(_config(benchmark, at_most), ask, source, _targets(languages, source))
    about: dict[str, Any] = {
        "format": task.format,
        "files": {label: hash_file(path) for (_, label), path in task.files.items()},
        "labels": list(task.labels),
        "at_most": at_most,
    }
    name = f"tests_{benchmark.name}"
    if not benchmark.generated:
        run = functools.partial(tasks.write, at_most=at_most, task=task, splits=["test"], languages=languages)
        return Step(name, about, run, estimate=NOBODY_KNOWS)

    def write(work: Work) -> int:
        rows = list(_questions(benchmark, at_most, summarise))
        for part in work.todo(len(rows), ROWS_PER_PART):
            work.write(part, pa.Table.from_pylist(rows[part.start : part.stop], schema=QUESTIONS))
        return len(rows)

    return Step(name, about | {"summarise": summarise}, write, estimate=NOBODY_KNOWS)


def _config(benchmark: Benchmark, at_most: int) -> EvaluateConfig:
    path = next(iter(benchmark.task.files.values()))
    if benchmark.name == MKQA:
        return EvaluateConfig(mkqa=str(path), at_most=at_most)
    folder, split = path.parent.parent, "dev" if path.parent.name == "dev" else "devtest"
    return EvaluateConfig(flores=str(folder), split=split, at_most=at_most)  # type: ignore[arg-type]


def _targets(languages: Sequence[Language], source: Language) -> list[Language]:
    return [one for one in languages if one.label != source.label]


def _questions(benchmark: Benchmark, at_most: int, summarise: str) -> Iterator[dict[str, Any]]:
    task = benchmark.task
    for language in benchmark.languages:
        items = formats.read(task.format, task.files["test", language.label], language)
        for item in items[: at_most or None]:
            text = "\n".join(filter(None, item.segments))
            prompt = summarise.format(language=language.name, text=text) if task.kind == "summary" else text
            yield {
                "id": row_id(benchmark.name, language.label, item.key),
                "reject": item.reject,
                "benchmark": benchmark.name,
                "task": task.name,
                "kind": task.kind,
                "language": language.label,
                "key": item.key,
                "segments": list(item.segments),
                "prompt": prompt,
                "right": list(item.label) if isinstance(item.label, tuple) else [str(item.label)],
            }
