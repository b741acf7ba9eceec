"""What MT-LLM minimises, held against the same numbers worked out by hand."""

import math

import pytest
import torch

from xlnu.objectives.align import Spread, cosine, info_nce, per_row, squared
from xlnu.objectives.task import IGNORED, hard, like, right


def test_the_spread_of_parts_is_that_of_the_whole() -> None:
    states = torch.randn(50, 7, generator=torch.Generator().manual_seed(0)) * 3 + 1
    one, other = Spread(), Spread()
    one.add(states[:20])
    other.add(states[20:30])
    other.add(states[30:])
    whole = Spread.of(one.sums() + other.sums())
    assert whole.variance() == pytest.approx(float(states.double().var(0, correction=0).mean()))


def test_what_the_mean_explains_is_nothing() -> None:
    """FVU: 1 for a student that says the teacher's mean to all, 0 for one that says the same."""
    taught = torch.randn(400, 5, generator=torch.Generator().manual_seed(1)) * 2
    spread = Spread()
    spread.add(taught)
    said = taught.mean(0).expand_as(taught)
    assert float(squared(said, taught, spread.variance()).mean()) == pytest.approx(1.0, abs=1e-5)
    assert float(squared(taught, taught, spread.variance()).max()) == 0
    assert float(cosine(2 * taught, taught).mean()) == pytest.approx(1.0)


def test_info_nce_is_easy_where_each_is_nearest_to_its_own() -> None:
    taught = torch.eye(4)
    assert float(info_nce(taught, taught, 0.05).max()) < 1e-6
    assert float(info_nce(taught.roll(1, 0), taught, 0.05).min()) > 10
    assert float(info_nce(torch.ones(4, 4), taught, 0.05).mean()) == pytest.approx(math.log(4))


def test_rows_without_losses_count_as_none() -> None:
    found = per_row(torch.tensor([1.0, 3.0, 5.0]), torch.tensor([0, 0, 2]), 3)
    assert found.tolist() == [2.0, 0.0, 5.0]


def test_labels_choices_values_and_words() -> None:
    logits = torch.tensor([[[2.0, 0.0]], [[0.0, 1.0]]])
    gold = torch.tensor([[0.0], [0.0]])
    by_hand = [-math.log(math.exp(2) / (math.exp(2) + 1)), -math.log(1 / (1 + math.e))]
    assert hard("text", logits, gold).tolist() == pytest.approx(by_hand)
    assert right("text", logits, gold).tolist() == [1, 0]
    choices = torch.tensor([[0.0, 1.0, torch.finfo(torch.float32).min], [3.0, 0.0, 0.0]])
    assert hard("choice", choices, torch.tensor([[1.0], [0.0]])).tolist() == pytest.approx(
        [math.log(1 + math.exp(-1)), math.log(1 + 2 * math.exp(-3))]
    )
    assert right("choice", choices, torch.tensor([[1.0], [2.0]])).tolist() == [1, 0]
    assert hard("regression", torch.tensor([[2.0]]), torch.tensor([[5.0]])).tolist() == [9.0]
    words = torch.zeros(1, 3, 2)
    words[0, :, 1] = torch.tensor([1.0, -1.0, 9.0])
    tags = torch.tensor([[1.0, 1.0, IGNORED]])  # the third word is another row's
    assert hard("tokens", words, tags).item() == pytest.approx(
        (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(1))) / 2
    )
    assert right("tokens", words, tags).item() == 0.5


def test_a_student_like_its_teacher_has_no_loss() -> None:
    logits = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(2))
    there = torch.tensor([[True, True], [True, False], [True, True]])
    assert float(like("tokens", logits, logits, there).abs().max()) < 1e-6
    other = logits.clone()
    other[1, 1] += torch.tensor([5.0, 0, 0, 0])  # a word that is not there
    assert float(like("tokens", other, logits, there).abs().max()) < 1e-6
    other[0, 1] += torch.tensor([5.0, 0, 0, 0])
    p = logits[0, 1].softmax(0)
    away = float((p * (p.log() - other[0, 1].log_softmax(0))).sum()) / 2
    assert like("tokens", other, logits, there).tolist() == pytest.approx([away, 0, 0], abs=1e-6)
