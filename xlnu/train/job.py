"""What `python jobs/sdrrl.py` does: a transfer set of the LLM's own answers, and the LLM trained on it."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from xlnu.config import section, settings
from xlnu.engines.checkpoint import Checkpoint
from xlnu.errors import UserError
from xlnu.run import Run, print_out
from xlnu.steps import Work
from xlnu.tiny.embed import embed
from xlnu.train.build import TrainConfig, clear, steps
from xlnu.train.card import card
from xlnu.train.packs import NONE
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

    def told(work: Work, trained: Trained) -> str:
        counts = Counter[str]()
        for batch in (work.inputs["packs"].table(["language", "pack"]).to_pylist(),):
            counts.update(row["language"] for row in batch if row["pack"] != NONE)
        licences = {"the model it was": found.licence} | config.licences
        return card(found, trained, [made.source, *made.languages], settings(config.train), counts, licences)

    logs = Path(run.folder.root, "tensorboard") if run.folder.local else None
    training = steps(config.train, found, made.transfer, told, logs)
    results = run.steps([*made.steps, *training])
    clear(results["model"])
    show_samples(config, run, made, results)
    curve = results["model"].files().local() / "training.json"
    run.put("training.json", json.dumps(json.loads(curve.read_text())).encode())
    print_out(results["model"].store.place(results["model"].manifest.address))
    run.report(results, built.report() if built else None)
