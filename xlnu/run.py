"""One run of a job: its store, its display, and what it leaves in its folder."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from xlnu import machine, steps
from xlnu.config import setting
from xlnu.errors import Halt, UserError
from xlnu.evaluate.measured import Measured, averages
from xlnu.progress import Display
from xlnu.report.document import Claim, Comparison, Finding, Plot, Report, Sample, StepLine, Tiny
from xlnu.report.in_markdown import markdown
from xlnu.report.latex import latex
from xlnu.report.write import write
from xlnu.steps import Result, Step
from xlnu.store import Store


@dataclass
class FolderConfig:
    """Where a job leaves what it is for."""

    dir: str = setting("", "where the report and the resolved settings go: a folder or a URI; empty: runs/JOB")
    latex: bool = setting(False, "leave the report's tables as tables.tex, too")


@dataclass
class RunConfig(FolderConfig):
    """Where a job of steps keeps things. None of it changes a result."""

    store: str = setting("runs/store", "where the results of steps are kept: a folder, or s3://bucket/prefix")
    price: float = setting(0.0, "money an hour of this machine, for the cost that --plan shows", at_least=0)


@dataclass(frozen=True)
class Found:
    """What a method came to: measures, claims, the same as tables to read, and the models it leaves."""

    measured: Sequence[Measured]
    claims: Sequence[Claim]
    tables: str
    models: Sequence[Result]
    tiny: Tiny | None
    plots: Sequence[Plot] = ()
    samples: Sequence[Sample] = ()
    findings: Sequence[Finding] = ()
    comparisons: Sequence[Comparison] = ()


class Method(Protocol):
    """Steps to be done, and what is read off them."""

    @property
    def name(self) -> str: ...

    @property
    def todo(self) -> Sequence[Step]: ...

    def found(self, results: dict[str, Result]) -> Found: ...


def print_out(text: str) -> None:
    """stdout is for what was asked for; what happens on the way goes to stderr (progress.py)."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Run:
    """What a job's work is given. `plan` is set when nothing may be done or written."""

    def __init__(self, name: str, config: FolderConfig, settings: dict[str, Any], plan: bool) -> None:
        self.name, self.config, self.settings, self.plan = name, config, settings, plan
        self.display = Display()
        # before any work, and before the settings are saved: what is wrong with a place, such as keys in its URI
        self.folder = self._open("run.dir", config.dir)
        self.store = self._open("run.store", config.store) if isinstance(config, RunConfig) else None

    def _open(self, key: str, uri: str) -> Store:
        try:
            store = Store(uri)
            if not store.local:
                self.display.say(f"{key}: {store.label}")  # a server that does not answer is waited for
            store.check(writable=not self.plan)
        except Halt as halt:
            raise UserError(f"{key}: {halt}") from None
        return store

    def put(self, name: str, data: bytes) -> None:
        self.folder.write(name, data)

    def steps(self, todo: Sequence[Step]) -> dict[str, Result]:
        """Do the steps, or print what would be done and end the job."""
        assert isinstance(self.config, RunConfig), "a job of steps has a RunConfig"
        assert self.store is not None
        if self.plan:
            print_out(steps.plan(todo, self.store, self.config.price))
            raise SystemExit(0)
        return steps.run(todo, self.store, self.display)

    def report_of(self, methods: Sequence[Method]) -> None:
        """Do the steps of all, and leave one report of them, their tables, and the places of their models."""
        results = self.steps([step for method in methods for step in method.todo])
        found = [method.found(results) for method in methods]
        several = len(methods) > 1
        titled = [
            f"# {method.name}\n\n{one.tables}" if several else one.tables
            for method, one in zip(methods, found, strict=True)
            if one.tables
        ]
        tiny = next((one.tiny for one in found if one.tiny), None)
        self.report(
            results,
            "\n".join(titled),
            [model for one in found for model in one.models],
            tiny=tiny,
            scores=[one.score() for each in found for one in each.measured],
            claims=[claim for each in found for claim in each.claims],
            averages=[average for each in found for average in averages(each.measured)],
            comparisons=[one for each in found for one in each.comparisons],
            plots=[plot for each in found for plot in each.plots],
            samples=[sample for each in found for sample in each.samples],
            findings=[finding for each in found for finding in each.findings],
        )

    def _named(self, model: Result, models: Sequence[Result]) -> str:
        """The place of a model that is left: where both are folders, by its step's name, for an address cannot be
        known beforehand. Of several seeds' the addresses tell which.
        """
        name, address = model.manifest.name, model.manifest.address
        if not (self.folder.local and model.store.local):
            return model.store.place(address)
        several = sum(one.manifest.name == name for one in models) > 1
        link = Path(self.folder.root, "models", address if several else name)
        link.parent.mkdir(parents=True, exist_ok=True)
        beside = link.with_name(f".{link.name}")
        beside.unlink(missing_ok=True)
        beside.symlink_to(os.path.relpath(Path(model.store.root, address), link.parent))
        beside.replace(link)
        return self.folder.place(f"models/{link.name}")

    def report(
        self, results: dict[str, Result], tables: str = "", models: Sequence[Result] = (), **found: Any
    ) -> None:
        """Write report.json, report.html and tables.md, and name what is left, the page as the last line of the
        job. `tables`: to read instead of those of the report.
        """
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
        made = Report(self.name, self.settings, machine.versions(), steps=lines, **found)
        if made.scores:
            self.put("tables.md", (tables or markdown(made)).encode())
            print_out(self.folder.place("tables.md"))
        for model in models:
            print_out(self._named(model, models))
        if self.config.latex:
            self.put("tables.tex", latex(made).encode())
        write(made, self.put)
        if results and all(made.skipped for made in results.values()):
            self.display.say("nothing was left to do: every step was done before")
        print_out(self.folder.place("report.html"))
