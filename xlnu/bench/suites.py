"""Which benches there are, and running them. A new family of benches is one line in SUITES."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from xlnu.bench import scoring, serving, stacking, startup, training, translation
from xlnu.bench.document import document
from xlnu.bench.frame import Bench, Result, measure
from xlnu.bench.show import plot, table
from xlnu.config import section, setting
from xlnu.errors import UserError
from xlnu.report.interface import Put, encode
from xlnu.run import FolderConfig, Run, print_out

# A function, not a list: what a suite needs (models, data) is made when it is asked for.
SUITES: dict[str, Callable[[], list[Bench]]] = {
    "startup": startup.benches,
    "translation": translation.benches,
    "scoring": scoring.benches,
    "training": training.benches,
    "stacking": stacking.benches,
    "serving": serving.benches,
}


def known(names: list[str]) -> None:
    for name in names:
        if name not in SUITES:
            nearest = difflib.get_close_matches(name, SUITES, n=1, cutoff=0)[0]
            raise UserError(
                f"no benches are called {name!r}; did you mean {nearest}? There are: {', '.join(SUITES)}"
            )


@dataclass
class BenchConfig:
    only: list[str] = setting([], "families of benches to run, of those there are; empty: all", check=known)
    repeats: int = setting(5, "pairs of runs, ours and the baseline's, that are measured", at_least=1)
    warmup: int = setting(1, "pairs of runs before those, which are not counted", at_least=0)
    run: FolderConfig = section(FolderConfig)


def measure_all(config: BenchConfig, put: Put, say: Callable[[str], None]) -> list[Result]:
    """Measure the suites that are asked for, all if none is named; write bench.png and bench.json."""
    results = []
    for name in config.only or SUITES:
        for bench in SUITES[name]():
            say(f"{name}: {bench.name} against {bench.baseline}")
            results.append(measure(bench, config.repeats, config.warmup))
    data = encode(document(results), "xlnu.bench")
    put("bench.png", plot(results))
    put("bench.json", data)
    return results


def work(config: BenchConfig, run: Run) -> None:
    if run.plan:
        benches = [(name, bench) for name in config.only or SUITES for bench in SUITES[name]()]
        print_out("\n".join(f"{name}: {bench.name} against {bench.baseline}" for name, bench in benches))
        return
    print_out(table(measure_all(config, run.put, run.display.say)))
    print_out(run.folder.place("bench.json"))
