"""What a job says while it works: a live line on a terminal, plain timed lines in a log.

It goes to stderr; stdout is for what a job's caller reads, its last line the path of the report.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

EVERY = 10.0  # seconds between the plain lines of one task


@dataclass
class Past:
    """When a task was, and which roles' machines worked for it."""

    name: str
    began: float
    first: float = 0.0  # when something of it was done
    ended: float = 0.0
    roles: list[str] = field(default_factory=list)


class Task:
    """A step under way. `begin` says how much there is and how much of it was there already."""

    def __init__(self, name: str, display: "Display") -> None:
        self.name, self.display = name, display
        self.total = self.at = self.found = self.tokens = 0
        self.unit = "rows"
        self._began = self._told = time.monotonic()
        self.past = Past(name, time.time())

    def begin(self, total: int, done: int, unit: str = "rows", of: str = "") -> None:
        """Once for each of the steps that are done together, named by `of`."""
        self.total, self.at, self.found, self.unit = self.total + total, self.at + done, self.found + done, unit
        self._began = self._told = time.monotonic()
        if done:
            self.display.say(f"{of or self.name}: going on from {done:,} of {total:,} {unit}")
        self.display.show(self)

    def advance(self, rows: int, tokens: int = 0) -> None:
        self.at += rows
        self.tokens += tokens
        self.past.first = self.past.first or time.time()
        if self.display.live:
            self.display.show(self)
        elif time.monotonic() - self._told >= EVERY:
            self._told = time.monotonic()
            self.display.say(f"{self.name}: {self.state()}")

    def works(self, role: str) -> None:
        if role not in self.past.roles:
            self.past.roles.append(role)

    def state(self) -> str:
        spent = max(1e-9, time.monotonic() - self._began)
        rate = (self.at - self.found) / spent
        left = (self.total - self.at) / rate if rate else float("inf")
        tokens = f", {self.tokens / spent:,.0f} tokens/s" if self.tokens else ""
        ahead = f", {rate:,.1f} {self.unit}/s{tokens}, {_duration(left)} left" if self.at > self.found else ""
        return f"{self.at:,} of {self.total:,} {self.unit}{ahead}"


class Display:
    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self._began = time.monotonic()
        self._status: Any = None
        self.past: list[Past] = []
        self._said: set[str] = set()

    def say(self, text: str) -> None:
        line = f"[{time.monotonic() - self._began:7.1f} s] {text}"
        if self._status is not None:
            self._status.console.print(line, markup=False, highlight=False)
        else:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    def once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self.say(text)

    def show(self, task: Task) -> None:
        if self._status is not None:
            share = task.at / task.total if task.total else 1.0
            bar = "━" * round(24 * share) + "╌" * (24 - round(24 * share))
            self._status.update(f"{task.name} {bar} {share:.0%}  {task.state()}")

    @contextlib.contextmanager
    def task(self, name: str) -> Iterator[Task]:
        task = Task(name, self)
        self.past.append(task.past)
        try:
            with self._shown(name):
                yield task
        finally:
            task.past.ended = time.time()

    @contextlib.contextmanager
    def _shown(self, name: str) -> Iterator[None]:
        if not self.live:
            yield
            return
        from rich.console import Console

        with Console(stderr=True).status(name) as self._status:
            try:
                yield
            finally:
                self._status = None


def _duration(seconds: float) -> str:
    if seconds == float("inf"):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
