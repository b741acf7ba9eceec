"""The translation benches at a shape of seconds: that all do the same work, and that it is counted right."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from xlnu.bench.frame import measure
from xlnu.bench.translation import Said, Shape, World, benches
from xlnu.engines.ct2 import Ct2Translator, convert
from xlnu.languages import resolve

SHAPE = Shape(
    hidden=64, layers=2, heads=2, feed_forward=128, vocabulary=2000, tokens=6, sentences=40, parts=2, fewer=8
)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    import torch

    threads = torch.get_num_threads()
    yield World(SHAPE)
    torch.set_num_threads(threads)


def test_the_pipeline_says_what_the_bare_engine_says(world: World) -> None:
    ours, theirs = world.pipeline()[1], world.engine()[1]
    assert ours == theirs
    assert len(set(ours)) > 20, "a model that always says the same would make this easy"


def test_every_way_writes_as_many_tokens_as_it_may(world: World) -> None:
    assert [tokens for _, tokens in world.pipeline()[1]] == [6] * 40
    assert [tokens for _, tokens in world.engine()[1]] == [6] * 40
    for batch in (3, 8):
        assert [tokens for _, tokens in world.generate(batch)[1]] == [6] * 8


def test_transformers_says_what_the_engine_says_where_neither_rounds(world: World, tmp_path: Path) -> None:
    convert(str(world.folder / "model"), "float32", tmp_path)
    exact = Ct2Translator(tmp_path, "float32", beam=1, max_tokens=6, batch_tokens=512, threads=1, gpus=0)
    texts = world.stage.rows.read(0, 40)["text"].to_pylist()
    asked = [texts[i] for i in world.chosen]
    assert len({len(text) for text in asked}) == 8, "of all lengths"
    expected = exact.translate(asked, resolve("eng_Latn"), resolve("deu_Latn"))
    assert world.generate(3)[1] == [(one.text, one.tokens) for one in expected]


def test_no_letter_is_unknown_to_the_tokenizer(world: World) -> None:
    assert not any(world.tokenizer.unk_token in tokens for tokens in world.asked)


@pytest.mark.parametrize("way", ["pipeline", "engine", "generate"])
def test_the_rate_is_the_tokens_of_one_run_a_second(world: World, way: str) -> None:
    run: Callable[[], tuple[float, Said]] = (
        (lambda: world.generate(8)) if way == "generate" else getattr(world, way)
    )
    run()  # opens what it needs
    shares = []
    for _ in range(3):  # of which two may not be held up by others in the few lines that are not measured
        start = time.perf_counter()
        rate, said = run()
        shares.append(6 * len(said) / rate / (time.perf_counter() - start))
    assert 0.5 < sorted(shares)[1] < 1


def test_the_parts_are_written(world: World) -> None:
    said = world.pipeline()[1]
    written = [pq.read_table(path) for path in sorted((world.folder / "store" / "translated").iterdir())]
    assert [table.num_rows for table in written] == [20, 20]
    assert [text for table in written for text in table["text"].to_pylist()] == [text for text, _ in said]


def test_the_first_translation_is_the_same_with_ray_and_without(world: World) -> None:
    seconds, text = world.first_part("spread")
    assert text == world.first_part("alone")[1] == world.pipeline()[1][0][0]
    assert 0.1 < seconds < 200
    assert world.first_part("nothing")[1] == ""


def test_all_benches_can_be_measured() -> None:
    fast = benches(SHAPE)[:2]
    for bench in fast:
        result = measure(bench, repeats=1, warmup=0)  # refuses unequal work
        assert result.ours.median > 0
