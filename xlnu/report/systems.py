"""What answered, and how it is drawn: one name, shape and colour a system, the same all over the page."""

from dataclasses import dataclass
from typing import Protocol

from xlnu.report.document import Report

GUESSES = ("majority", "random")  # the level of chance: drawn as a grey stroke, whatever else there is
SHAPES = COLOURS = 8  # in style.html and marks.html; their pairs repeat after 64 systems


class Measured(Protocol):
    @property
    def mode(self) -> str: ...
    @property
    def objective(self) -> str | None: ...
    @property
    def model(self) -> str | None: ...


@dataclass(frozen=True)
class System:
    name: str
    shape: str  # id of a mark
    colour: str  # class


class Systems:
    """All systems of a report. What training minimised is named only where a mode minimised several things."""

    def __init__(self, report: Report) -> None:
        measured: list[Measured] = [*report.scores, *report.averages]
        keys = list(dict.fromkeys(_key(one) for one in measured))
        objectives: dict[tuple[str | None, str], set[str | None]] = {}
        for model, mode, objective in keys:
            objectives.setdefault((model, mode), set()).add(objective)
        self._of: dict[tuple[str | None, str, str | None], System] = {}
        self._whole: dict[str, System] = {}
        drawn = 0
        for key in keys:
            model, mode, objective = key
            if mode in GUESSES:
                shape, colour = f"g{GUESSES.index(mode)}", "guess"
            else:
                shape, colour = look(drawn)
                drawn += 1
            name = named(model, mode, objective if len(objectives[model, mode]) > 1 else None)
            self._of[key] = System(name, shape, colour)
            self._whole[named(*key)] = self._of[key]

    def of(self, one: Measured) -> System:
        return self._of[_key(one)]

    def called(self, name: str) -> str:
        """A system's name here, of the name that comparisons give it, which always tells the objective."""
        return self._whole[name].name if name in self._whole else name


def look(number: int) -> tuple[str, str]:
    """Shape and colour of the nth thing drawn: neither repeats before it must, and never both."""
    return f"m{(number + number // COLOURS) % SHAPES}", f"c{number % COLOURS}"


def named(model: str | None, mode: str, objective: str | None) -> str:
    return " ".join(filter(None, (model, mode, f"({objective})" if objective else "")))


def _key(one: Measured) -> tuple[str | None, str, str | None]:
    return one.model, one.mode, one.objective
