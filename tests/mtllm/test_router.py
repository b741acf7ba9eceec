"""The router takes the answer of whoever is the surer, as far as that told right from wrong in validation."""

from typing import Any

import numpy as np
import pytest

from xlnu.mtllm.router import chosen, fit

Rows = list[dict[str, Any]]


def answers(seed: int, count: int = 400) -> tuple[Rows, Rows]:
    """Two that are sure when they are right, each on half of the examples."""
    rng = np.random.default_rng(seed)
    both: tuple[Rows, Rows] = ([], [])
    for _ in range(count):
        right, first = int(rng.integers(3)), bool(rng.random() < 0.5)
        for side, knows in zip(both, (first, not first), strict=True):
            said = right if knows else int((right + 1 + rng.integers(2)) % 3)
            logits = rng.normal(0, 0.3, 3)
            logits[said] += 4 if knows else 1
            side.append({"said": [str(said)], "right": [str(right)], "logits": logits.tolist()})
    return both


def share_right(one: Rows, other: Rows, first: list[bool]) -> float:
    taken = [a if mine else b for a, b, mine in zip(one, other, first, strict=True)]
    return float(np.mean([row["said"] == row["right"] for row in taken]))


def test_it_takes_the_surer_one() -> None:
    router = fit(*answers(1))
    one, other = answers(2)
    assert share_right(one, other, [True] * 400) == pytest.approx(0.5, abs=0.1)
    assert share_right(one, other, chosen(router, one, other)) > 0.95


def test_whose_sureness_tells_nothing_it_does_not_follow() -> None:
    """The second is always sure and mostly wrong: being sure is no reason by itself."""
    one, other = answers(3)
    for row in other:
        logits = np.zeros(3)
        logits[int(row["said"][0])] = 6
        row["logits"] = logits.tolist()
    router = fit(one, other)
    assert share_right(one, other, chosen(router, one, other)) > 0.9


def test_with_too_few_to_learn_from_it_is_whoever_is_right_more_often() -> None:
    one, other = answers(4, 12)
    for row in one[:9]:
        row["said"] = row["right"]
    router = fit(one, other)
    assert router["weights"] is None
    assert chosen(router, one, other) == [True] * 12
    assert chosen(fit(other, one), other, one) == [False] * 12


def test_it_is_the_same_whatever_the_scale_of_its_features() -> None:
    one, other = answers(5)
    constant = [{**row, "logits": [2.0, 1.0, 0.0]} for row in one]
    router = fit(constant, other)
    assert np.isfinite(router["weights"]).all(), "a feature that never changes tells nothing, and breaks nothing"
    assert share_right(constant, other, chosen(router, constant, other)) > 0.9
