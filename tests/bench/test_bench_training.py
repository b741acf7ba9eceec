"""The training benches at a shape of seconds: that all learn the same, and that only real tokens count."""

from dataclasses import replace
from statistics import mean, median

import pytest

from xlnu.bench import training
from xlnu.bench.frame import measure
from xlnu.bench.training import Shape, Steps, Work, World, in_all, made_examples, step_by_step

SHAPE = Shape(
    hidden=32, layers=1, heads=2, feed_forward=64, vocabulary=500, examples=28, median=20, shortest=8, length=64,
    batch=4, padded=5,
)  # fmt: skip
pytestmark = pytest.mark.timeout(600)


class Told(World):
    """Which keeps what its runs did."""

    def __init__(self) -> None:
        super().__init__(SHAPE)
        self.runs = dict[str, Steps]()

    def run(self, way: str) -> Steps:
        self.runs[way] = super().run(way)
        return self.runs[way]


@pytest.fixture(scope="module")
def world() -> Told:
    """Each process takes seconds, most of them to import: all tests look at the same."""
    world = Told()
    bare, trainer = world.benches()
    assert bare.theirs()[0] > 0
    result = measure(trainer, repeats=1, warmup=0)  # refuses unequal work
    assert result.bound.startswith("the model's matrix products alone: ")
    return world


@pytest.fixture(scope="module")
def runs(world: Told) -> dict[str, Steps]:
    return world.runs


@pytest.mark.parametrize("way", ["ours", "bare", "trainer"])
def test_every_token_that_is_no_padding_counts_once(runs: dict[str, Steps], way: str) -> None:
    examples, done = made_examples(SHAPE), runs[way]
    assert sum(done.tokens) == sum(len(one.ids) for one in examples)
    assert sum(done.learned) == sum(len(one.ids) - one.prompt for one in examples)
    assert len(done.ends) == len(done.tokens) == len(done.learned) == len(done.losses) == 3
    assert done.ends == sorted(done.ends)


def test_ours_and_the_bare_loop_go_through_the_same_steps(runs: dict[str, Steps]) -> None:
    assert step_by_step(runs["ours"])[1] == step_by_step(runs["bare"])[1]
    assert len(set(runs["ours"].tokens)) == 3, "steps of one size would make this easy"


def test_trainer_sees_the_same_in_another_order(runs: dict[str, Steps]) -> None:
    assert in_all(runs["ours"])[1] == in_all(runs["trainer"])[1]
    assert runs["ours"].tokens != runs["trainer"].tokens


def test_a_loop_that_does_not_learn_does_other_work(world: Told, runs: dict[str, Steps]) -> None:
    idle = training._bare(world.folder, replace(SHAPE, lr=0.0))
    assert idle.losses[0] == pytest.approx(runs["bare"].losses[0], abs=1e-6), "nothing is learned before it"
    assert step_by_step(idle)[1] != step_by_step(runs["bare"])[1]
    assert in_all(idle)[1] == in_all(runs["bare"])[1], "so little that the order may differ"


def test_work_is_the_same_when_counts_are_and_losses_nearly() -> None:
    work = Work([5, 6], [2, 3], [7.0, 7.1], same=1e-3)
    assert work == Work([5, 6], [2, 3], [7.0009, 7.0991], same=1e-3)
    assert work != Work([5, 6], [2, 3], [7.0011, 7.1], same=1e-3)
    assert work != Work([6, 5], [2, 3], [7.0, 7.1], same=1e-3)
    assert work != Work([5, 6], [3, 2], [7.0, 7.1], same=1e-3)


def test_the_mean_is_over_tokens_not_over_steps() -> None:
    done = Steps([1.0, 2.0], [30, 20], [1, 3], [8.0, 4.0])
    assert in_all(done)[1] == Work([50], [4], [5.0], same=1e-9)


def test_the_first_step_counts_for_nothing() -> None:
    done = Steps([100.0, 101.0, 104.0], [999, 10, 30], [1, 1, 1], [1.0, 1.0, 1.0])
    assert done.rate == step_by_step(done)[0] == in_all(done)[0] == 10


def test_a_few_examples_are_long() -> None:
    lengths = [len(one.ids) for one in made_examples(Shape(examples=1000))]
    assert (min(lengths), max(lengths)) == (20, 512)
    assert 75 < median(lengths) < 85
    assert mean(lengths) > 1.4 * median(lengths)


def test_what_is_packed_is_hardly_padded(world: Told) -> None:
    packs, order = training._packs(world.folder, SHAPE)
    assert packs.tokens.sum() > 0.9 * len(packs) * SHAPE.length
    assert len(packs) == order.steps * SHAPE.batch, "a last step of fewer packs would cost as much of AdamW"
