"""The stacking benches at a shape of seconds: that all read what they say, and that it is counted right."""

from collections.abc import Iterator

import pytest

from xlnu.bench import translation
from xlnu.bench.frame import measure
from xlnu.bench.stacking import ENGLISH, FOREIGN, Shape, World

SHAPE = Shape(
    mt=translation.Shape(hidden=32, layers=1, heads=2, feed_forward=64, vocabulary=2000, sentences=8),
    hidden=32, layers=2, heads=4, kv_heads=2, feed_forward=48, vocabulary=1000, pieces=800,
    at_once=(1, 3, 8), alone=2, length=64, median=12, fewer=4,
)  # fmt: skip


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    import torch

    threads = torch.get_num_threads()
    yield World(SHAPE)
    torch.set_num_threads(threads)


def test_every_bench_can_be_measured(world: World) -> None:
    results = [measure(bench, repeats=1, warmup=0) for bench in world.benches()]  # refuses unequal work
    names = [(one.name, one.baseline) for one in results]
    assert len(set(names)) == len(names) == 10
    assert all("of which ours reaches" in one.bound for one in results if one.baseline != "its parts alone")


def test_the_same_sentences_are_read_by_all(world: World) -> None:
    assert [len(call) for call in world.asked(1)] == [1, 1]
    assert [len(call) for call in world.asked(8)] == [8]
    assert {text for call in world.asked(1) for text in call} < set(world.asked(8)[0])
    for way in (world.read, world.read_foreign, world.translate_test):
        assert [len(way(batch)[1]) for batch in (1, 3, 8)] == [2, 3, 8]


def test_each_reads_as_many_tokens_as_it_says(world: World) -> None:
    words = [len(text.split()) for text in world.asked(8)[0]]
    assert [one.tokens for one in world.read_foreign(8)[1]] == [round(FOREIGN * n) for n in words]
    assert [one.tokens for one in world.translate_test(8)[1]] == [round(ENGLISH * n) for n in words]
    pieces = world.mt.tokenizer(world.asked(8)[0])["input_ids"]
    assert [one.tokens for one in world.read(8)[1]] == [len(ids) for ids in pieces]


def test_a_translation_is_as_long_as_its_source(world: World) -> None:
    (texts,) = world.asked(8)
    pieces = [len(ids) for ids in world.mt.tokenizer(texts, add_special_tokens=False)["input_ids"]]
    written = world.translate(texts)[1]
    assert [one.tokens for one in written] == [round(sum(pieces) / 8)] * 8
    assert len({one.text for one in written}) > 4, "a model that always says the same would make this easy"


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_parts_are_what_the_stack_computes(world: World, batch: int) -> None:
    tokens = sum(int((ids != world.stack.reader.pad).sum()) for ids in world.given(batch))
    assert tokens == sum(one.tokens for one in world.read(batch)[1])


def test_mixed_texts_are_mixed_and_padded_ones_say_the_same(world: World) -> None:
    assert len(set(world.languages)) == 2
    assert len({len(text.split()) for text in world.mixed}) > 3
    assert world.mixed != sorted(world.mixed, key=len)
    ours, theirs = world.read_mixed()[1], world.read_padded()[1]
    assert ours == theirs
    theirs.pooled.reverse()
    assert ours != theirs
