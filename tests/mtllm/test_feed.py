"""What workers are fed: together all of a step's examples, each once, whoever and however many they are."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.mtllm.worlds import parents, run, settings
from xlnu.errors import Halt
from xlnu.languages import resolve
from xlnu.mtllm import feed, texts
from xlnu.mtllm.feed import Feed, Share
from xlnu.mtllm.schemas import EMBEDDINGS, HELD_OUT, TRAIN
from xlnu.steps import Part, Rows, Writer
from xlnu.store import Store
from xlnu.tiny.build import Built
from xlnu.train.order import Order

BATCH = 8


@pytest.fixture(scope="module")
def made(tiny: Built, ray_here: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    assert ray_here.is_initialized()
    config, _ = settings(tiny)
    todo = texts.steps(config.texts, config.stack, parents(config), resolve("eng_Latn"))
    return run(tmp_path_factory.mktemp("feed"), todo)["texts"]


def order(table: feed.Table, epochs: int = 2) -> Order:
    return Order(len(table), table.per_file, feed.WINDOW, BATCH, epochs, 3)


def shares(table: feed.Table, workers: int, micro: int) -> list[Feed]:
    device = torch.device("cpu")
    return [
        Feed(table, order(table), Share(worker, workers, micro, (1, 0), device), BATCH, 32)
        for worker in range(workers)
    ]


def test_workers_share_what_one_has_alone(made: Any) -> None:
    table = feed.table(made.rows(TRAIN, rejected=True), "encoder")
    (alone,) = shares(table, 1, BATCH)
    seen: dict[str, int] = {}
    for step in range(alone.steps):
        (whole,) = alone.micros(step)
        both = [list(one.micros(step)) for one in shares(table, 2, 2)]
        assert len(both[0]) == len(both[1]) == 2, "always as many as every other's"
        ids = [name for micros in both for micro in micros for name in micro.ids]
        assert sorted(ids) == sorted(whole.ids)
        assert sum(micro.count for micros in both for micro in micros) == alone.learned(step)
        for name in ids:
            seen[name] = seen.get(name, 0) + 1
    assert set(seen.values()) == {2}, "two epochs"
    assert len(seen) == len(table)


def test_a_share_is_sorted_so_that_little_is_padding(made: Any) -> None:
    table = feed.table(made.rows(TRAIN, rejected=True), "encoder")
    (one,) = shares(table, 1, 2)
    for step in range(one.steps):
        widths = [micro.encoder["input_ids"].shape[1] for micro in one.micros(step) if micro.count]
        assert widths == sorted(widths, reverse=True)
        tokens = sum(int(micro.encoder["attention_mask"].sum()) for micro in one.micros(step) if micro.count)
        assert tokens == one.tokens(step)


def test_a_worker_without_rows_computes_one_that_does_not_count(made: Any) -> None:
    table = feed.table(made.rows(HELD_OUT, rejected=True), "encoder")
    assert len(table) < 4
    held_out = [Feed(table, None, Share(i, 4, 1, (1, 0), torch.device("cpu")), 4, 32) for i in range(4)]
    counts = [micro.count for one in held_out for micro in one.micros(0)]
    assert sorted(counts, reverse=True) == [1] * len(table) + [0] * (4 - len(table))
    assert all(len(micro.encoder["input_ids"]) for one in held_out for micro in one.micros(0))


def test_an_embedding_of_another_text_is_refused(made: Any, tmp_path: Path) -> None:
    import pyarrow as pa

    rows = made.rows(TRAIN, rejected=True)
    store = Store(str(tmp_path))
    given = rows.read(0, len(rows), ["id", "content"]).to_pylist()
    table = [one | {"reject": None, "embedding": [0.5] * 32} for one in given]

    def written(name: str) -> Rows:
        Writer(store, name)(Part(0, 0, len(table)), pa.Table.from_pylist(table, schema=EMBEDDINGS))
        return Rows(store, (f"{store.root}/{name}/000000.parquet",), (len(table),), rejected=True)

    whole = feed.table(rows, "llm", written("good"))
    (micro, *_) = shares(whole, 1, BATCH)[0].micros(0)
    assert micro.taught is not None
    assert micro.taught.shape == (BATCH, 1, 32)
    table[0] |= {"content": "another"}
    wrong = feed.table(rows, "llm", written("wrong"))
    with pytest.raises(Halt, match="its embedding is of another text"):
        list(Feed(wrong, None, Share(0, 1, BATCH, (1, 0), torch.device("cpu")), BATCH, 32).micros(0))
