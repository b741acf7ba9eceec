"""What `python jobs/sdrrl.py` does: a transfer set of the LLM's own answers, and the LLM trained on it."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from xlnu.config import section, settings
from xlnu.engines.checkpoint import Checkpoint
from xlnu.errors import UserError
from xlnu.run import Run, print_out
from xlnu.steps import Work
from xlnu.tiny.embed import embed
from xlnu.train.build import TRAINING, TrainConfig, clear, steps
from xlnu.train.card import card
from xlnu.train.workers import Trained
from xlnu.transfer.build import TransferSet
from xlnu.transfer.job import TransferJobConfig, show_samples


@dataclass
class SdrrlConfig(TransferJobConfig):
    train: TrainConfig = section(TrainConfig)


def work(config: SdrrlConfig, run: Run) -> None:
    built, declared = embed(config, config.tiny, run.display, run.plan)
    made = TransferSet(config, declared, run.plan)
    model = made.llm.checkpoint
    if model is None:
        raise UserError(
            f"english.engine: {config.english.engine} has no checkpoint here to train; take ct2, hf or vllm"
        )
    found: Checkpoint = model
    if not config.transfer.held_out:
        raise UserError("transfer.held_out: 0 leaves nothing to look at while it trains; take 0.02")

    def told(work: Work, trained: Trained) -> str:
        packs = work.inputs["packs"].table(["language", "reject"])
        kept = pc.value_counts(packs.filter(pc.is_null(packs["reject"]))["language"]).to_pylist()
        counts = {each["values"]: each["counts"] for each in kept}
        licences = {"the model it was": found.licence} | config.licences
        return card(found, trained, [made.source, *made.languages], settings(config.train), counts, licences)

    logs = Path(run.folder.root, "tensorboard") if run.folder.local else None
    training = steps(config.train, found, made.transfer, told, logs)
    results = run.steps([*made.steps, *training])
    trained = results["model"]
    clear(trained)
    show_samples(config, run, made, results)
    run.put(TRAINING, trained.store.read(f"{trained.manifest.address}/{TRAINING}"))
    print_out(trained.store.place(trained.manifest.address))
    run.report(results, built.report() if built else None)
