"""One run of a job: its store, its display, and what it leaves in its folder."""

import hashlib
import math
import os
import sys
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from xlnu import machine, steps
from xlnu.cluster import cost, file, used
from xlnu.cluster.file import STORE
from xlnu.cluster.pools import Kind, asks, here, kinds, of_type, place, pools, settle
from xlnu.cluster.watch import USED, Seen, Watch, drivers
from xlnu.config import setting, settings
from xlnu.engines.shared import share
from xlnu.errors import Halt, UserError
from xlnu.evaluate.measured import Measured, averages
from xlnu.plan import Standing, planned, standing
from xlnu.progress import Display
from xlnu.report.document import Claim, Comparison, Finding, Plot, Report, Sample, StepLine, Tiny
from xlnu.report.in_markdown import markdown
from xlnu.report.latex import latex
from xlnu.report.write import write
from xlnu.spread import connect
from xlnu.steps import Result, Step
from xlnu.store import Store, beside


@dataclass
class FolderConfig:
    """Where a job leaves what it is for."""

    dir: str = setting(
        "",
        "where the report and the resolved settings go: a folder or a URI; empty: runs/JOB, on a cluster below "
        "XLNU_STORE",
    )
    latex: bool = setting(False, "leave the report's tables as tables.tex, too")


@dataclass
class RunConfig(FolderConfig):
    """Where a job of steps keeps things. None of it changes a result."""

    store: str = setting(
        "",
        "where the results of steps are kept: a folder, or s3://bucket/prefix; empty: what the cluster has in "
        "XLNU_STORE, else runs/store",
    )
    price: float = setting(0.0, "money an hour of this machine, for the cost that --plan shows", at_least=0)
    cluster: str = setting(
        "",
        "a cluster file, as cluster/xlnu.yaml: --plan and the report reckon with its machines; on one, its own is",
    )
    prices: str = setting("cluster/prices.yaml", "what a machine of the cluster costs an hour: a table to edit")


def _briefly(names: set[str]) -> str:
    """Those that begin with the same word together: of a study there are hundreds."""
    alike = Counter(name.partition("_")[0] for name in names)
    first = {name.partition("_")[0]: name for name in names}
    return ", ".join(f"{of}_... ({n})" if n > 1 else first[of] for of, n in sorted(alike.items()))


def _all(addresses: Iterable[str]) -> str:
    """What is the same for each try of a run, and another for other settings."""
    return hashlib.sha256(" ".join(sorted(set(addresses))).encode()).hexdigest()[:16]


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

    def __init__(self, name: str, config: Any, plan: bool) -> None:
        """`config`: the job's own, whose `run` is a FolderConfig."""
        self.name, self.of, self.plan = name, config, plan
        self.config: FolderConfig = config.run
        self.display = Display()
        # before any work, and before the settings are saved: what is wrong with a place, such as keys in its URI
        of_cluster, folder = os.environ.get(STORE, ""), self.config
        folder.dir = folder.dir or beside(of_cluster, f"runs/{name}")
        self.folder = self._open("run.dir", folder.dir)
        self.store: Store | None = None
        self.cluster: file.Cluster | None = None
        self.prices: cost.Prices | None = None
        if isinstance(folder, RunConfig):
            folder.store = folder.store or beside(of_cluster, "store" if of_cluster else "runs/store")
            self.store = self._open("run.store", folder.store)
            # what is wrong with them is told now, not when all is done
            self.cluster = file.read(folder.cluster) if folder.cluster else file.of_environment()
            if self.cluster and (Path(folder.prices).exists() or folder.prices != RunConfig().prices):
                self.prices = cost.read(folder.prices)
            settle(config, self._machines())
        self.settings = settings(config)

    def _machines(self) -> list[Kind]:
        """That the job is known to run on: of a cluster without a file, only when it is connected to."""
        there = os.environ.get("RAY_ADDRESS")
        if self.cluster and (there or self.plan):
            return [of_type(one) for one in self.cluster.types]
        return [] if there else [here()]

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
            stand = standing(todo, self.store)
            print_out(planned(stand, self.config.price))
            self._plan_of_cluster(stand)
            raise SystemExit(0)
        if not os.environ.get("RAY_ADDRESS"):
            return steps.run(todo, self.store, self.display)
        connect(self.display)
        there, idle = kinds(), []
        for key, pool in pools(self.of):
            try:
                place(pool, there)
            except UserError as error:
                raise UserError(f"{key}: {error}") from None
            own = [kind.gpus for kind in there if pool.role in kind.roles]
            idle += [key] if own and all(own) and not pool.gpus_each else []
        if idle:
            self.display.say(
                f"no GPU is used by {', '.join(idle)}, though all machines of their roles have some, which cost: "
                "gpus=1 uses them"
            )
        share(self.display)
        name = f"{USED}/{uuid.uuid4().hex[:12]}.json"

        def keep(seen: Seen) -> None:
            seen.steps = list(self.display.past)
            self.put(name, seen.to_json())

        with Watch(self.name, keep, _all(step.address for step in todo)):
            return steps.run(todo, self.store, self.display)

    def _plan_of_cluster(self, stand: Sequence[Standing]) -> None:
        if self.cluster is None:
            return
        needs, unknown = dict[int, cost.Need](), set()
        for one in (one for one in stand if one.rows is None):
            about = one.step.estimate
            if about and about.role:
                asks(about.role, [of_type(each) for each in self.cluster.types])  # a role that there is not
                effort = None if about.effort is None else about.effort * one.left
                wide = None if about.wide is None else math.ceil(about.wide * one.left)
                need, at_once = cost.Need(about.role, effort, wide), id(one.step.run)
                needs[at_once] = needs[at_once].beside(need) if at_once in needs else need
            if about and about.hours is None and about.effort is None:
                unknown.add(one.step.name)
        prices = self.prices or cost.Prices("", {})
        print_out(f"\n{cost.table(cost.told([*needs.values()], self.cluster, prices), self.cluster, prices)}")
        if unknown:
            print_out(f"not in it, for nobody knows what they take: {_briefly(unknown)}")

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

    def _of_cluster(self, made: Report, of: str) -> Report:
        seen = drivers(self.folder, of)
        if not seen:
            return made
        types = self.cluster.types if self.cluster else ()
        had = used.machines(seen, types, self.prices)
        return replace(made, machines=had, plots=[*made.plots, used.plot(seen[-1], types)])

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
        made = self._of_cluster(made, _all(results))
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
