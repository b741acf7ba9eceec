"""Scores as people compare them: by metric, the languages best first, and in each what every system came to."""

from collections.abc import Sequence
from dataclasses import dataclass

from xlnu.languages import all_languages
from xlnu.report.document import Score
from xlnu.report.metric import Metric, metric
from xlnu.report.systems import System, Systems


@dataclass(frozen=True)
class Cell:
    value: float
    low: float | None  # one seed: the 95 % interval; several: the lowest and the highest of them
    high: float | None
    note: str = ""  # the letter of a note below the table


@dataclass(frozen=True)
class Line:
    """A language."""

    code: str
    name: str
    resource: str
    cells: list[Cell | None]  # a system each


@dataclass(frozen=True)
class Table:
    benchmark: str
    task: str
    metric: Metric
    about: str
    several_seeds: bool
    systems: list[System]
    lines: list[Line]
    notes: list[tuple[str, str]]  # letter, text
    signatures: list[str]

    @property
    def title(self) -> str:
        return f"{self.benchmark}: {self.metric.label}"

    @property
    def points(self) -> int:
        return sum(cell is not None for line in self.lines for cell in line.cells)

    @property
    def spread_means(self) -> str:
        """What stands around a value."""
        if not any(cell and cell.low is not None for line in self.lines for cell in line.cells):
            return ""
        seeds = "the lowest and the highest of the seeds, around their mean"
        return seeds if self.several_seeds else "the 95 % interval"


def tables(scores: Sequence[Score], systems: Systems) -> list[Table]:
    groups: dict[tuple[str, str, str], list[Score]] = {}
    for score in scores:
        groups.setdefault((score.benchmark, score.task, score.metric), []).append(score)
    names = {language.code: language.name for language in all_languages()}
    return [_table(some, systems, names) for some in groups.values()]


def _table(scores: Sequence[Score], systems: Systems, names: dict[str, str]) -> Table:
    first = scores[0]
    found: dict[str, dict[System, list[Score]]] = {}
    for score in scores:
        found.setdefault(score.language, {}).setdefault(systems.of(score), []).append(score)
    columns = list(dict.fromkeys(systems.of(score) for score in scores))
    letters = {note: letter(number) for number, note in enumerate(dict.fromkeys(s.note for s in scores if s.note))}
    lines = [
        Line(
            code,
            names.get(code, ""),
            next(iter(by.values()))[0].resource,
            [_cell(by[system], letters) if system in by else None for system in columns],
        )
        for code, by in found.items()
    ]
    of = metric(first.metric, (score.value for score in scores))
    lines.sort(key=lambda line: _place(line.cells, smaller_is_better=of.smaller_is_better))
    return Table(
        benchmark=first.benchmark,
        task=first.task,
        metric=of,
        about=_about(scores),
        several_seeds=any(len(some) > 1 for by in found.values() for some in by.values()),
        systems=columns,
        lines=lines,
        notes=[(sign, note) for note, sign in letters.items()],
        signatures=list(dict.fromkeys(score.signature for score in scores if score.signature)),
    )


def _place(cells: Sequence[Cell | None], *, smaller_is_better: bool) -> tuple[bool, float]:
    """By the first system, the best above; languages that it has not come last."""
    first = cells[0]
    if first is None:
        return True, 0.0
    return False, first.value if smaller_is_better else -first.value


def _about(scores: Sequence[Score]) -> str:
    examples = sorted({score.n for score in scores})
    of = f"{examples[0]:,}" + (f" to {examples[-1]:,}" if len(examples) > 1 else "")
    about = [scores[0].task, f"{of} examples a language"]
    seeds = sorted({score.seed for score in scores if score.seed is not None})
    if seeds:
        about.append(f"{'seeds' if len(seeds) > 1 else 'seed'} {', '.join(map(str, seeds))}")
    objectives = {score.objective for score in scores if score.objective}
    if len(objectives) == 1:
        about.append(f"objective {objectives.pop()}")
    return "; ".join(about)


def _cell(scores: Sequence[Score], letters: dict[str, str]) -> Cell:
    values = [score.value for score in scores]
    low, high = (scores[0].ci_low, scores[0].ci_high) if len(scores) == 1 else (min(values), max(values))
    notes = dict.fromkeys(letters[score.note] for score in scores if score.note)
    return Cell(sum(values) / len(values), low, high, " ".join(notes))


def letter(number: int) -> str:
    """a to z, then aa, ab, ..."""
    return (letter(number // 26 - 1) if number >= 26 else "") + chr(ord("a") + number % 26)
