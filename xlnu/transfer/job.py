"""What `python jobs/transfer.py` does: the steps of a transfer set, its report, and a page of samples to read."""

from dataclasses import dataclass

from xlnu.config import section, setting
from xlnu.errors import Halt
from xlnu.run import Run, RunConfig, print_out
from xlnu.steps import Result, named
from xlnu.tiny.build import TinyConfig
from xlnu.tiny.embed import embed
from xlnu.transfer.build import SetConfig, TransferSet
from xlnu.transfer.describe import samples
from xlnu.transfer.samples import page
from xlnu.transfer.score import COMET, ROUND_TRIP


@dataclass
class ShownSetConfig(SetConfig):
    samples: int = setting(12, "samples a language on the page for a human reader", at_least=0)


@dataclass
class TransferJobConfig(ShownSetConfig):
    tiny: TinyConfig = section(TinyConfig)
    run: RunConfig = section(RunConfig)


def work(config: TransferJobConfig, run: Run) -> None:
    built, declared = embed(config, config.tiny, run.display, run.plan)
    made = TransferSet(config, declared, run.plan)
    results = run.steps(made.steps)
    show_samples(config, run, made, results)
    run.report(results, tiny=built.report() if built else None)
    if not results[made.transfer.address].manifest.rows_out:
        raise Halt(f"the set is empty: {_why(named(results, made.steps))}")


def show_samples(config: ShownSetConfig, run: Run, made: TransferSet, results: dict[str, Result]) -> None:
    """The page for a human reader."""
    if config.samples and made.chain.bitext:
        transfer, given = config.transfer, made.ingredients(named(results, made.steps))
        taus = {COMET: transfer.tau, ROUND_TRIP: transfer.tau_round_trip}
        shown = samples(transfer, given, config.samples)
        run.put("samples.html", page(shown, made.source, taus, f"Samples of {len(given.languages)} languages"))
        print_out(run.folder.place("samples.html"))


def _why(results: dict[str, Result]) -> str:
    """Where the rows went: the first step of those that all rows go through which let none through."""
    manifests = (results[name].manifest for name in ("instructions", "english", "transfer"))
    first = next(each for each in manifests if each.name == "transfer" or not each.rows_out)
    reasons = "; ".join(f"{n:,} {reason}" for reason, n in first.rejected.items())
    return f"{first.name} rejected all of its {first.rows_in:,} rows ({reasons or 'no family has any'})"
