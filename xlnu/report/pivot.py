"""Scores as people compare them: a table a metric, a row a system, a column a language."""

from collections.abc import Sequence
from dataclasses import dataclass

from xlnu.report.document import Score
from xlnu.report.readable import readable


@dataclass(frozen=True)
class Cell:
    value: str
    spread: str  # one seed: the 95 % interval; several: the lowest and the highest of them


@dataclass(frozen=True)
class Table:
    title: str
    about: str
    columns: list[tuple[str, str]]  # language, resource
    rows: list[tuple[str, list[Cell | None]]]


def tables(scores: Sequence[Score]) -> list[Table]:
    groups: dict[tuple[str, str, str], list[Score]] = {}
    for score in scores:
        groups.setdefault((score.benchmark, score.task, score.metric), []).append(score)
    return [_table(*place, some) for place, some in groups.items()]


def _table(benchmark: str, task: str, metric: str, scores: Sequence[Score]) -> Table:
    languages = {score.language: score.resource for score in scores}
    cells: dict[str, dict[str, list[Score]]] = {}
    objectives = {score.objective for score in scores if score.objective}
    for score in scores:
        several = len(objectives) > 1 and score.objective
        system = f"{score.mode} ({score.objective})" if several else score.mode
        cells.setdefault(system, {}).setdefault(score.language, []).append(score)
    rows = [
        (system, [_cell(found[code]) if code in found else None for code in languages])
        for system, found in cells.items()
    ]
    seeds = sorted({score.seed for score in scores if score.seed is not None})
    examples = sorted({score.n for score in scores})
    of = f"{examples[0]:,}" + (f" to {examples[-1]:,}" if len(examples) > 1 else "")
    about = [f"{task}; {of} examples a language"]
    if seeds:
        about.append(f"{'seeds' if len(seeds) > 1 else 'seed'} {', '.join(map(str, seeds))}")
    if len(objectives) == 1:
        about.append(f"objective {objectives.pop()}")
    return Table(f"{benchmark}: {metric.replace('_', ' ')}", "; ".join(about), list(languages.items()), rows)


def _cell(scores: Sequence[Score]) -> Cell:
    values = [score.value for score in scores]
    low, high = (scores[0].ci_low, scores[0].ci_high) if len(scores) == 1 else (min(values), max(values))
    spread = "" if low is None or high is None else f"{readable(low)} to {readable(high)}"
    return Cell(readable(sum(values) / len(values)), spread)
