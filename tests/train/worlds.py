"""A small transfer set and a small model, for tests of training."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from xlnu import steps
from xlnu.cluster.pools import Placed
from xlnu.engines.checkpoint import find
from xlnu.progress import Display
from xlnu.rows import TRANSFER, row_id
from xlnu.steps import Part, Result, Rows, Step, Work, Writer
from xlnu.store import Store
from xlnu.tiny.build import Built
from xlnu.train.build import TrainConfig
from xlnu.train.build import steps as train_steps
from xlnu.train.packs import Index, _Encode, index
from xlnu.transfer.assemble import HELD_OUT, REJECTED, TRAIN

SMALL: dict[str, Any] = {
    "method": "full", "numbers": "fp32", "length": 96, "batch": 4, "epochs": 1, "lr": 1e-3, "evaluate_every": 4,
    "patience": 0, "keep": 2,
}  # fmt: skip


def rows(built: Built, n: int) -> list[dict[str, Any]]:
    """Instructions of the tiny world with their answers, as rows of a transfer set."""
    given = json.loads((built.data / "instructions" / "train.json").read_text(encoding="utf-8"))
    given = [one for one in given if isinstance(one, dict) and one.get("instruction") and one.get("output")]
    empty = dict.fromkeys(TRANSFER.names)
    found: dict[str, dict[str, Any]] = {}
    for number in range(n):
        one, again = given[number % len(given)], number // len(given)
        question, name = f"{one['instruction']} {one.get('input') or ''}".strip(), row_id(number, str(one))
        found[name] = {
            **empty, "id": name, "parent": name, "language": "qaa_Latn", "family": "tgt_en", "origin": "a test",
            "words": 0, "known": 0, "switched": 0, "teacher_question": question if len(found) % 2 else None,
            "messages": [
                {"role": "user", "content": f"{question} please{' please' * again}"},
                {"role": "assistant", "content": one["output"]},
            ],
        }  # fmt: skip
    return list(found.values())


def transfer(built: Built, n: int) -> Step:
    """A finished transfer set's step, its rows put where the real one puts them."""

    def write(work: Work) -> int:
        made = rows(built, n)
        held = made[: n // 8]
        for part in work.todo(len(made), len(made), TRAIN):
            tables = {REJECTED: [], HELD_OUT: held, TRAIN: made[n // 8 :]}
            work.write(part, {name: pa.Table.from_pylist(some, schema=TRANSFER) for name, some in tables.items()})
        return len(made)

    return Step("transfer", {"n": n, "of": str(built.data)}, write)


def packs(built: Built, folder: Path, length: int) -> tuple[Index, Index]:
    """Training's packs in files of some ten rows, and those of held-out rows: the step's stage, called."""
    store, given = Store(str(folder)), rows(built, 120)
    Writer(store, "set")(Part(0, 0, len(given)), pa.Table.from_pylist(given, schema=TRANSFER))
    read = Rows(store, (f"{store.root}/set/000000.parquet",), (len(given),), rejected=True)
    stage = _Encode({"packs": read}, find("english.model", str(built.llm)), length, 0, Placed(1, 1, 0))
    paths, ends = list[str](), list[int]()
    for number, start in enumerate(range(0, len(given), 20)):
        part = Part(number, start, min(start + 20, len(given)))
        Writer(store, "packs")(part, stage("packs", part)[0])
        paths.append(f"{store.root}/packs/{part.name}")
        ends.append(part.stop)
    train = Rows(store, tuple(paths[:-1]), tuple(ends[:-1]), rejected=True)
    held = Rows(store, (paths[-1],), (ends[-1] - ends[-2],), rejected=True)
    return index(train), index(held)


def train(built: Built, store: Path | str, n: int = 120, **settings: Any) -> dict[str, Result]:
    config = TrainConfig(**{**SMALL, **settings})
    given = transfer(built, n)
    made = train_steps(config, find("english.model", str(built.llm)), given, lambda _packs, _progress: "# A test's")
    todo = [given, *made]
    return steps.named(steps.run(todo, Store(str(store)), Display()), todo)


def weights(result: Result) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(Path(result.files().local(), "model.safetensors"))
