"""One run of a job: its store, its display, and what it leaves in its folder."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from xlnu import machine, steps
from xlnu.config import setting
from xlnu.errors import Halt, UserError
from xlnu.progress import Display
from xlnu.report.document import Report, StepLine
from xlnu.report.write import write
from xlnu.steps import Result, Step
from xlnu.store import Store

CONFIG_FILE = "config.yaml"


@dataclass
class RunConfig:
    """Where a job keeps things. None of it changes a result."""

    dir: str = setting("", "where the report and the resolved config go: a folder or a URI; empty: runs/JOB")
    store: str = setting("runs/store", "where the results of steps are kept: a folder, or s3://bucket/prefix")
    price: float = setting(0.0, "money an hour of this machine, for the cost that --plan shows", at_least=0)


def print_out(text: str) -> None:
    """stdout is for what was asked for; what happens on the way goes to stderr (progress.py)."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Run:
    """What a job's work is given. `plan` is set when nothing may be done or written."""

    def __init__(self, name: str, config: RunConfig, resolved: str, plan: bool) -> None:
        self.name, self.config, self.plan = name, config, plan
        self.display = Display()
        self.folder = Store(config.dir)
        if not plan:
            self._put_first(resolved)

    def _put_first(self, resolved: str) -> None:
        """Save the config, and find out before any work whether both places can be written."""
        try:
            self.folder.write(CONFIG_FILE, resolved.encode())
        except Halt as halt:
            raise UserError(f"run.dir: {halt}") from None

    def put(self, name: str, data: bytes) -> None:
        self.folder.write(name, data)

    def steps(self, todo: Sequence[Step]) -> dict[str, Result]:
        """Do the steps, or print what would be done and end the job."""
        store = Store(self.config.store)
        try:
            store.check(writable=not self.plan)
        except Halt as halt:
            raise UserError(f"run.store: {halt}") from None
        if self.plan:
            print_out(steps.plan(todo, store, self.config.price))
            raise SystemExit(0)
        return steps.run(todo, store, self.display)

    def report(self, results: dict[str, Result]) -> None:
        """Write report.json and report.html, and name the page as the last line of the job."""
        lines = [
            StepLine(
                name=made.manifest.name,
                address=made.manifest.address,
                rows_in=made.manifest.rows_in,
                rows_out=made.manifest.rows_out,
                rejected=made.manifest.rejected,
                seconds=made.manifest.seconds,
                skipped=made.skipped,
            )
            for made in results.values()
        ]
        write(Report(job=self.name, versions=machine.versions(), steps=lines), self.put)
        if all(made.skipped for made in results.values()):
            self.display.say("nothing was left to do: every step was done before")
        print_out(self.folder.place("report.html"))
