"""The scoring benches at a shape of seconds: that all ways give the same scores, of pairs that differ."""

import time
from collections.abc import Callable, Iterator
from statistics import pstdev

import pytest

from xlnu.bench.frame import measure
from xlnu.bench.scoring import SAME, Scores, Shape, World, benches

SHAPE = Shape(hidden=64, layers=1, vocabulary=1000, pairs=100, batch=16, batch_tokens=500)
WAYS = [World.ours, World.predict, World.forward]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    import torch

    threads = torch.get_num_threads()
    yield World(SHAPE)
    torch.set_num_threads(threads)


def test_all_ways_give_the_same_scores_in_the_order_of_the_pairs(world: World) -> None:
    ours, predicted, bare = (way(world)[1] for way in WAYS)
    assert ours == predicted == bare
    assert len(ours.values) == 100
    assert pstdev(ours.values) > 10 * SAME, "scores that hardly differ would make this easy"
    assert ours != Scores(sorted(ours.values))


def test_scores_are_the_same_when_each_is_nearly() -> None:
    assert Scores([0.5, 0.7]) == Scores([0.50009, 0.69991])
    assert Scores([0.5, 0.7]) != Scores([0.5, 0.7002])
    with pytest.raises(ValueError, match="shorter"):
        _ = Scores([0.5, 0.7]) == Scores([0.5])


@pytest.mark.parametrize("way", WAYS)
def test_the_rate_is_the_pairs_of_one_run_a_second(
    world: World, way: Callable[[World], tuple[float, Scores]]
) -> None:
    way(world)  # opens what it needs
    shares = []
    for _ in range(3):  # of which two may not be held up by others in the few lines that are not measured
        start = time.perf_counter()
        rate = way(world)[0]
        shares.append(100 / rate / (time.perf_counter() - start))
    assert 0.5 < sorted(shares)[1] < 1


def test_sources_and_translations_are_of_mixed_lengths(world: World) -> None:
    lengths = [(len(source.split()), len(said.split())) for source, said in world.pairs]
    assert {5, 30} <= {source for source, _ in lengths}
    assert all(0.7 < said / source < 1.3 for source, said in lengths)
    assert len({said / source for source, said in lengths}) > 20


def test_both_benches_can_be_measured() -> None:
    for bench in benches(SHAPE):
        result = measure(bench, repeats=1, warmup=0)  # refuses unequal scores
        assert result.ours.median > 0
