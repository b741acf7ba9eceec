"""The steps `examples` and `tests`: what a task is learned from, in the source language, and tested on."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from xlnu.cache import hash_file
from xlnu.config import setting
from xlnu.errors import UserError
from xlnu.evaluate.benchmarks import formats
from xlnu.evaluate.benchmarks.items import Item, Kind
from xlnu.languages import Language
from xlnu.mtllm.estimate import of_texts
from xlnu.mtllm.schemas import EXAMPLES
from xlnu.rows import row_id
from xlnu.steps import NOBODY_KNOWS, Step, Work

ROWS_PER_PART = 8192


@dataclass
class TasksConfig:
    """Tasks by name, as {topic: sib200}: the format of a task's files, and where they are. In a path {language} is
    filled in by a language's code, {iso3}, {iso1} and {name} by its others.
    """

    format: dict[str, str] = setting(
        {}, "of each task's files: sib200, nusax, afrisenti, xnli (AmericasNLI, too), belebele, xcopa, conll, "
        "kardes_nli, kardes_sts, kardes_copa; or your own: text, pair, choice, regression, tokens"
    )  # fmt: skip
    train: dict[str, str] = setting({}, "path of each task's training examples, in the source language")
    validation: dict[str, str] = setting({}, "path of those that a model is selected by, in the source language")
    test: dict[str, str] = setting({}, "path of those it is tested on; {language} stands for each language's code")
    at_most: int = setting(0, "only the first n examples of each file; 0: all", at_least=0)


@dataclass(frozen=True)
class Task:
    """One task, its files found."""

    name: str
    kind: Kind
    format: str
    labels: tuple[str, ...]  # of texts, pairs and words; the numbers that rows hold are their places here
    files: dict[tuple[str, str], Path]  # by split and language's label
    size: tuple[int, float] = (0, 0.0)  # examples to learn from, and letters of one


def found(config: TasksConfig, source: Language, languages: Sequence[Language]) -> list[Task]:
    if not config.format:
        raise UserError("tasks.format: name at least one task, as tasks.format={topic: sib200}")
    for key in ("train", "validation", "test"):
        odd = getattr(config, key).keys() ^ config.format.keys()
        if odd:
            raise UserError(f"tasks.{key}: {', '.join(sorted(odd))}: each task of tasks.format needs its path here")
    return [_task(config, name, source, languages) for name in config.format]


def _task(config: TasksConfig, name: str, source: Language, languages: Sequence[Language]) -> Task:
    kind, files = formats.with_a_head(config.format[name]).kind, dict[tuple[str, str], Path]()
    for split in ("train", "validation"):
        files[split, source.label] = formats.place(getattr(config, split)[name], source)
    for language in (source, *languages):
        files["test", language.label] = formats.place(config.test[name], language)
    for (split, label), path in files.items():
        if not path.is_file():
            raise UserError(f"tasks.{split}: {name}, {label}: there is no file {path}")
    labels = set[str]()
    items = formats.read(config.format[name], files["train", source.label], source)
    if kind in ("text", "pair", "tokens"):
        for item in items:
            labels |= set(item.label) if isinstance(item.label, tuple) else {str(item.label)}
        if len(labels) < 2:
            raise UserError(f"tasks.train: {name}: all examples have one label, {', '.join(labels)}")
    return Task(
        name, kind, config.format[name], tuple(sorted(labels)), files, _size(items[: config.at_most or None])
    )


def _size(items: Sequence[Item]) -> tuple[int, float]:
    return len(items), sum(len(segment) for item in items for segment in item.segments) / max(1, len(items))


def steps(config: TasksConfig, task: Task, source: Language, languages: Sequence[Language]) -> tuple[Step, Step]:
    """What is learned from, and what is tested on."""
    made = list[Step]()
    for name, splits, some in (
        (f"examples_{task.name}", ("train", "validation"), [source]),
        (f"tests_{task.name}", ("test",), [source, *languages]),
    ):
        hashes = {
            f"{split} {label}": hash_file(path) for (split, label), path in task.files.items() if split in splits
        }
        about: dict[str, Any] = {
            "format": task.format,
            "files": hashes,
            "labels": list(task.labels),
            "at_most": config.at_most,
        }
        run = functools.partial(write, at_most=config.at_most, task=task, splits=splits, languages=some)
        takes = of_texts(*task.size) if "train" in splits else NOBODY_KNOWS
        made.append(Step(name, about, run, estimate=takes))
    return made[0], made[1]


def write(work: Work, at_most: int, task: Task, splits: Sequence[str], languages: Sequence[Language]) -> int:
    rows = list(_rows(at_most, task, splits, languages))
    for part in work.todo(len(rows), ROWS_PER_PART):
        work.write(part, pa.Table.from_pylist(rows[part.start : part.stop], schema=EXAMPLES))
    return len(rows)


def _rows(
    at_most: int, task: Task, splits: Sequence[str], languages: Sequence[Language]
) -> Iterator[dict[str, Any]]:
    for split in splits:
        for language in languages:
            items = formats.read(task.format, task.files[split, language.label], language)
            for item in items[: at_most or None]:
                yield {
                    "id": row_id(task.name, split, language.label, item.key),
                    "reject": item.reject,
                    "task": task.name,
                    "split": split,
                    "language": language.label,
                    "key": item.key,
                    "segments": list(item.segments),
                    "gold": [] if item.reject else _gold(task, item),
                }


def _gold(task: Task, item: Item) -> list[float]:
    if task.kind == "regression":
        assert isinstance(item.label, int | float)
        return [float(item.label)]
    if task.kind == "choice":
        assert isinstance(item.label, int)
        return [float(item.label)]
    given = item.label if isinstance(item.label, tuple) else (str(item.label),)
    for label in given:
        if label not in task.labels:
            raise UserError(
                f"{item.origin}: the label {label!r} stands nowhere in the training examples of {task.name}: there "
                f"are {', '.join(task.labels)}"
            )
    return [float(task.labels.index(label)) for label in given]
