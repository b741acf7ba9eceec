"""F1 of spans: what it counts, and that its share of a sentence is good for intervals."""

import numpy as np
import pytest

from xlnu.evaluate.spans import Counts, are_of_spans, counts, f1, worth
from xlnu.evaluate.statistics import interval


def test_a_span_is_right_if_its_kind_and_both_ends_are() -> None:
    gold = ["B-PER", "I-PER", "O", "B-LOC", "O"]
    assert counts(gold, gold) == Counts(2, 2, 2)
    assert counts(["B-PER", "O", "O", "B-LOC", "O"], gold) == Counts(1, 2, 2)  # too short
    assert counts(["B-PER", "I-PER", "O", "B-PER", "O"], gold) == Counts(1, 2, 2)  # of another kind
    assert counts(["O", "I-PER", "B-LOC", "I-LOC", "I-LOC"], gold) == Counts(0, 2, 2)
    assert counts(["I-PER", "I-PER", "O", "I-LOC", "O"], gold) == Counts(2, 2, 2)  # read leniently
    assert counts(["B-PER", "I-PER"], gold) == Counts(1, 1, 2)  # what was not answered is not found


def test_f1_is_that_of_all_sentences_together() -> None:
    some = [Counts(1, 1, 3), Counts(0, 2, 0), Counts(4, 4, 4), Counts(0, 0, 0)]
    assert f1(some) == pytest.approx(2 * 5 / (7 + 7))
    assert f1([Counts(0, 0, 0)]) == f1([]) == 0


def test_only_iob2_is_of_spans() -> None:
    assert are_of_spans(["B-LOC", "I-LOC", "O"])
    assert not are_of_spans(["NOUN", "O", "VERB"])
    assert not are_of_spans(["B-LOC", "I-LOC"])


def drawn(seed: int, n: int, right: float) -> list[Counts]:
    """Sentences of many names and of none; hard ones are hard as a whole."""
    rng, made = np.random.default_rng(seed), []
    for gold in rng.poisson(1.2, n):
        hit = rng.binomial(gold, min(1, right * rng.uniform(0.5, 1.5)))
        made.append(Counts(int(hit), int(hit + rng.poisson(0.25)), int(gold)))
    return made


def test_what_sentences_are_worth_has_f1_as_its_mean() -> None:
    some = drawn(0, 200, 0.7)
    assert np.mean(worth(some)) == pytest.approx(f1(some))
    assert worth([Counts(0, 0, 0)] * 3) == [0, 0, 0]
    assert worth([Counts(2, 2, 2), Counts(0, 0, 0), Counts(1, 1, 1)]) == [1, 1, 1]


def test_its_interval_is_that_of_f1_with_sentences_drawn_again() -> None:
    one, other = drawn(1, 300, 0.7), drawn(2, 300, 0.5)
    rng = np.random.default_rng(3)
    picks = [rng.integers(300, size=300) for _ in range(2000)]
    again = [f1([one[i] for i in pick]) for pick in picks]
    found = interval([[dict(zip(map(str, range(300)), worth(one), strict=True))]])
    assert [found.low, found.high] == pytest.approx(np.percentile(again, [2.5, 97.5]), abs=0.01)
    assert found.high - found.low > 0.05
    differences = [f1([one[i] for i in pick]) - f1([other[i] for i in pick]) for pick in picks]
    apart = {str(i): a - b for i, (a, b) in enumerate(zip(worth(one), worth(other), strict=True))}
    paired = interval([[apart]])
    assert paired.mean == pytest.approx(f1(one) - f1(other))
    assert [paired.low, paired.high] == pytest.approx(np.percentile(differences, [2.5, 97.5]), abs=0.01)


def test_the_interval_holds_the_truth_95_times_in_100() -> None:
    truth, held, times = f1(drawn(4, 200_000, 0.7)), 0, 200
    for seed in range(times):
        values = worth(drawn(1000 + seed, 150, 0.7))
        found = interval([[dict(zip(map(str, range(150)), values, strict=True))]])
        held += found.low <= truth <= found.high
    assert 0.90 <= held / times <= 0.99
