"""How sentences fit their translations, held against numbers worked out by hand and plain loops."""

import math

import pytest
import torch
from torch import Tensor

from xlnu.evaluate.alignment import fvu, mean, mexa, retrieval, weighted


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def cosine(one: Tensor, other: Tensor) -> float:
    """Number by number."""
    a, b = [float(x) for x in one], [float(x) for x in other]
    product = math.fsum(x * y for x, y in zip(a, b, strict=True))
    return product / math.sqrt(math.fsum(x * x for x in a)) / math.sqrt(math.fsum(y * y for y in b))


def at(*degrees: float) -> Tensor:
    return torch.tensor([[math.cos(math.radians(one)), math.sin(math.radians(one))] for one in degrees])


def test_both_ways_count_for_mexa_and_one_for_retrieval() -> None:
    """Each translation is nearest to its own sentence; the first sentence is nearer to the second's translation."""
    source, target = at(0, 40), at(-30, 25)
    assert (retrieval(source, target), mexa(source, target)) == (1.0, 0.5)
    target = at(-20, 25)  # and now to its own
    assert (retrieval(source, target), mexa(source, target)) == (1.0, 1.0)
    target = at(-20, 15)  # which is nearer to the first sentence than to its own
    assert (retrieval(source, target), mexa(source, target)) == (0.5, 0.0)


def test_retrieval_goes_from_the_target_to_the_source() -> None:
    source = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    target = torch.tensor([[0.8, 0.6], [0.9, 0.1]])
    assert retrieval(source, target) == 0.5  # both are nearest to the first
    assert retrieval(target, source) == 0.0  # each source sentence is nearest to the other's translation
    assert mexa(source, target) == mexa(target, source) == 0.0


def test_length_is_nothing_and_direction_all() -> None:
    source = drawn(0, 20, 8)
    assert mexa(source, source * torch.rand(20, 1) * 100) == 1.0
    assert mexa(source, -source) == retrieval(source, -source) == 0.0


def test_a_wrong_order_finds_nothing() -> None:
    source = drawn(1, 20, 16)
    assert mexa(source, source.roll(1, 0)) == retrieval(source, source.roll(1, 0)) == 0.0


@pytest.mark.parametrize("width", [4, 64])
def test_chance_is_one_in_n(width: int) -> None:
    """Of vectors that have nothing to do with one another; both ways at once are rarer than one."""
    n, rounds = 20, 200
    pairs = [(drawn(2 * i, n, width), drawn(2 * i + 1, n, width)) for i in range(rounds)]
    found = sum(retrieval(*pair) for pair in pairs) / rounds
    assert found == pytest.approx(1 / n, abs=4 * math.sqrt((1 / n) * (1 - 1 / n) / (n * rounds)))
    both = sum(mexa(*pair) for pair in pairs) / rounds
    assert 1 / (2 * n) < both < found


def test_a_plain_double_loop_says_the_same() -> None:
    for seed in range(20):
        source = drawn(seed, 15, 6)
        target = source + 0.8 * drawn(100 + seed, 15, 6)
        near = [[cosine(a, b) for b in target] for a in source]
        both = there = 0
        for i in range(15):
            row = all(near[i][i] > near[i][j] for j in range(15) if j != i)
            column = all(near[i][i] > near[j][i] for j in range(15) if j != i)
            both, there = both + (row and column), there + column
        assert 0 < both < 15, "else the test shows little"
        assert (mexa(source, target), retrieval(source, target)) == (both / 15, there / 15)


def test_ties_are_misses() -> None:
    same = torch.ones(5, 3)
    assert mexa(same, same) == retrieval(same, same) == 0.0
    twice = drawn(3, 6, 9)
    twice[5] = twice[2]
    assert mexa(twice, twice) == retrieval(twice, twice) == pytest.approx(4 / 6)
    for seed in range(50):
        twice = drawn(seed, 6, 9).double()
        twice[5] = twice[2]
        longer = twice.clone()
        longer[5] *= 3  # as near, but for the rounding of float64
        assert retrieval(longer, twice) == pytest.approx(4 / 6)


def test_what_is_left_decides_in_a_narrow_cone() -> None:
    """Layers whose states are almost all alike: float32's cosines would all be 1."""
    source = drawn(4, 30, 32) * 1e-3 + 10
    near = torch.nn.functional.normalize(source) @ torch.nn.functional.normalize(source).T
    assert float((1 - near).abs().max()) < 1e-6
    assert mexa(source, source) == 1.0
    assert mexa(source, source.flip(0)) == 0.0


def test_fvu_is_a_share_of_the_teachers_variance() -> None:
    taught = drawn(5, 40, 6) * 3 + 7
    assert fvu(taught, taught) == 0.0
    assert fvu(taught.mean(0).expand_as(taught), taught) == pytest.approx(1.0, abs=1e-5)
    off = taught + drawn(6, 40, 6)
    by_hand = ((off - taught) ** 2).sum() / ((taught - taught.mean(0)) ** 2).sum()
    assert fvu(off, taught) == pytest.approx(float(by_hand), rel=1e-5)
    assert fvu(off + 5, taught + 5) == pytest.approx(float(by_hand), rel=1e-4)


@pytest.mark.parametrize("side", ["left", "right", "both"])
def test_a_token_counts_by_its_place_wherever_the_padding_is(side: str) -> None:
    states = drawn(7, 1, 4, 5)
    inside = slice(*{"left": (3, 7), "right": (0, 4), "both": (2, 6)}[side])
    wide, mask = torch.full((1, 7, 5), 99.0), torch.zeros(1, 7, dtype=torch.long)
    wide[:, inside], mask[:, inside] = states, 1
    by_hand = sum((at + 1) * states[0, at].double() for at in range(4)) / 10
    torch.testing.assert_close(weighted(wide, mask)[0], by_hand)
    torch.testing.assert_close(weighted(wide, mask.bool())[0], by_hand)
    torch.testing.assert_close(mean(wide, mask)[0], states[0].double().mean(0))
    torch.testing.assert_close(mean(wide, mask.bool())[0], states[0].double().mean(0))


def test_a_dropped_place_between_tokens_is_not_counted() -> None:
    states, mask = drawn(8, 1, 3, 2), torch.tensor([[1, 0, 1]])
    torch.testing.assert_close(weighted(states, mask)[0], (states[0, 0] + 2 * states[0, 2]).double() / 3)
