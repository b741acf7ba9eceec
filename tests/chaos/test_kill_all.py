"""Whatever goes wrong in the middle of SDRRL or of MT-LLM, on the shipped cluster file's machines and a store that
speaks S3: run again, they end as if nothing had been. The same rows, each once; the same weights; the same scores.

CI has one fault of one method, drawn anew each time; XLNU_FAULTS=8 goes round all of them, of both, and prints a
table. XLNU_KINDS names some.
"""

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load

from tests.chaos.faults import KILLS, Gate, gate
from tests.cluster.clusters import TOP, machines
from tests.mtllm.worlds import ONE_TASK
from xlnu import manifest
from xlnu.cluster.fake import Fake
from xlnu.steps import Result
from xlnu.store import Store
from xlnu.tiny.build import Built

pytestmark = pytest.mark.timeout(7200)

FAULTS = int(os.environ.get("XLNU_FAULTS", "1"))
KINDS = os.environ.get("XLNU_KINDS", "actor,trainer,machine,agent,driver,stop,refuse,drop").split(",")
TURN = random.choice(["sdrrl", "mtllm"])
AWAY = 8.0  # seconds that the store is away
SDRRL = [
    "tiny.size=xs", "languages=[qaa_Latn,qab_Cyrl]", "instructions.at_most=60", "english.rows_per_part=15",
    "english.reject=[]", "english.max_new_tokens=8", "translator.sentences_per_part=30", "translator.max_tokens=20",
    "quality.rows_per_part=15", "transfer.parallel.pairs=20", "transfer.flags=[]", "transfer.tau=0",
    "transfer.held_out=0.2", "train.epochs=1", "train.least_steps=24", "train.batch=4", "train.micro=4",
    "train.evaluate_every=4", "evaluate.at_most=5", "evaluate.max_new_tokens=8", "evaluate.flores=''",
    "probes.flores=''",
]  # fmt: skip
MTLLM = [
    "tiny.size=xs", "languages=[qaa_Latn]", *ONE_TASK, "modes=[stacked]", "align.batch=8", "align.micro=8",
    "align.epochs=3", "align.evaluate_every=4", "teacher.batch=8", "teacher.micro=8", "teacher.least_steps=24",
    "teacher.evaluate_every=4", "distil.batch=8", "distil.micro=8", "distil.least_steps=24",
    "distil.evaluate_every=4",
]  # fmt: skip
METHODS = {"sdrrl": SDRRL, "mtllm": MTLLM}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fake]:
    with machines(tmp_path_factory.mktemp("cluster"), idle=20.0) as made:
        yield made


class Runs:
    """Of one job, each on a prefix of its own."""

    def __init__(self, method: str, made: Fake, entrance: Gate, tiny: Built, folder: Path) -> None:
        self.method, self.made, self.entrance, self.tiny, self.folder = method, made, entrance, tiny, folder

    def uri(self, name: str, address: str) -> str:
        return f"s3://chaos/{self.method}/{name}?endpoint_override={address}&scheme=http&region=us-east-1"

    def start(self, name: str) -> "subprocess.Popen[str]":
        config = ["--config", str(TOP / "configs" / "tiny" / f"{self.method}.yaml")]
        places = [f"run.store={self.uri(name, self.entrance.address)}", f"run.dir={self.folder}/{name}"]
        command = [sys.executable, str(TOP / "jobs" / f"{self.method}.py"), *config, *places]
        return subprocess.Popen(
            [*command, *METHODS[self.method], f"tiny.cache={self.tiny.data.parent}"],
            env={**self.made.environment, "RAY_ADDRESS": self.made.address},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )


def content(uri: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Rows of every step, and the weights of every model, by address."""
    store, rows, weights = Store(uri), dict[str, Any](), dict[str, torch.Tensor]()
    for address in {entry.name.partition("/")[0] for entry in store.list("")} - {"training"}:
        made = manifest.read(store, address)
        assert made is not None, f"{address} is not finished"
        result = Result(store, made, skipped=True)
        for file in made.files:
            if file.path.endswith(".safetensors"):
                found = load(store.read(f"{address}/{file.path}"))
                weights |= {f"{address} {file.path} {name}": tensor.float() for name, tensor in found.items()}
        if result.paths():
            table = result.table().to_pylist()
            assert len({row["id"] for row in table}) == len(table), f"{address}: rows are doubled"
            if not address.startswith(("said", "embeddings")):  # numbers, which may differ in their last bit
                rows[address] = sorted(json.dumps(row) for row in table)
    return rows, weights


def scores(folder: Path) -> Any:
    found = json.loads((folder / "report.json").read_text())["scores"]
    return [{key: one[key] for key in ("mode", "language", "metric", "value", "n")} for one in found]


def parts(uri: str) -> dict[str, float]:
    return {entry.name: entry.written for entry in Store(uri).list("") if entry.name.endswith(".parquet")}


def strike(kind: str, runs: Runs, child: "subprocess.Popen[str]", chance: random.Random) -> bool:
    """Whether there was something to strike."""
    if kind == "driver":
        child.kill()
    elif kind == "stop":
        child.terminate()
    elif kind in ("refuse", "drop"):
        runs.entrance.set(kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(AWAY)
        runs.entrance.set("open")
    else:
        return KILLS[kind](runs.made, chance)
    return True


@pytest.mark.parametrize("method", list(METHODS))
def test_whatever_goes_wrong_it_ends_as_if_nothing_had(
    method: str, tiny: Built, up: Fake, s3_server: str, tmp_path: Path
) -> None:
    if FAULTS == 1 and method != TURN:
        pytest.skip("the other method's turn")
    made = Store(
        f"s3://chaos?endpoint_override={s3_server}&scheme=http&region=us-east-1&allow_bucket_creation=true"
    )
    made.fs.create_dir("chaos")
    seed = int(os.environ.get("XLNU_SEED", random.randrange(2**32)))
    chance, table = random.Random(seed), []
    first = chance.randrange(len(KINDS)) if len(KINDS) > FAULTS else 0
    with gate(s3_server) as entrance:
        runs = Runs(method, up, entrance, tiny, tmp_path)
        began = time.monotonic()
        child = runs.start("calm")
        said = child.communicate(timeout=1200)[1]
        whole = time.monotonic() - began
        assert child.returncode == 0, said
        rows, weights = content(runs.uri("calm", s3_server))
        calm = scores(tmp_path / "calm")
        assert weights
        assert calm
        for fault in range(FAULTS):
            kind, name = KINDS[(first + fault) % len(KINDS)], f"fault{fault}"
            told = f"seed {seed}, fault {fault}, {kind}"
            began, struck, again = time.monotonic(), False, 0
            child = runs.start(name)
            wait = chance.uniform(0.1, 0.8) * whole
            while not struck and child.poll() is None:  # what it is to strike may not be there yet
                try:
                    child.communicate(timeout=wait)
                except subprocess.TimeoutExpired:
                    there, at = parts(runs.uri(name, s3_server)), time.monotonic() - began
                    struck, wait = strike(kind, runs, child, chance), 0.5
            if not struck:
                table.append([method, kind, "came too late", "", "", "", ""])
                continue
            said = child.communicate(timeout=1800)[1]
            while child.returncode and again < 3:
                assert kind in ("driver",) or "Traceback" not in said, f"{told}: {said}"
                again += 1
                child = runs.start(name)
                said = child.communicate(timeout=1800)[1]
            assert child.returncode == 0, f"{told}: {said}"
            found = content(runs.uri(name, s3_server))
            assert found[0] == rows, told
            assert found[1].keys() == weights.keys(), told
            worst = max(float((found[1][key] - one).abs().max()) for key, one in weights.items())
            assert worst <= 1e-6, f"{told}: {worst}"
            assert scores(tmp_path / name) == calm, told
            now = parts(runs.uri(name, s3_server))
            redone = sum(now[part] != written for part, written in there.items() if not part.startswith("training"))
            assert not redone, f"{told}: {redone} parts that were there were made again"
            took = time.monotonic() - began
            table.append([method, kind, f"{at:.0f} s", str(again), "0", "0", f"{max(0.0, took - whole):.0f} s"])
    heads = ["method", "fault", "at", "run again", "rows lost", "rows doubled", "longer by"]
    sys.stderr.write(f"\n{method}: {whole:.0f} s undisturbed; seed {seed}\n")
    sys.stderr.write("\n".join("  ".join(f"{cell:13}" for cell in line) for line in [heads, *table]) + "\n")
