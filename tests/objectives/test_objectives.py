"""Losses of answer tokens, each against the same formula written in another way, in plain floats."""

import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from xlnu.objectives import rows
from xlnu.objectives.distil import Reliability, Taid, fkl, jsd, of_examples, reliability, rkl
from xlnu.objectives.sft import hard

N, VOCABULARY, T = 5, 11, 0.7
INF = float("inf")
Row = Sequence[float]


@pytest.fixture(autouse=True)
def two_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that each test sees whole pieces and a last short one."""
    monkeypatch.setattr(rows, "ELEMENTS", 2 * VOCABULARY + 3)


def drawn(seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(N, VOCABULARY, generator=generator, dtype=torch.float64)).to(dtype)


def softmax(logits: Row) -> list[float]:
    masses = [math.exp(z - max(logits)) for z in logits]
    return [mass / sum(masses) for mass in masses]


def entropy(p: Row) -> float:
    return -math.fsum(a * math.log(a) for a in p if a)


def cross_entropy(p: Row, q: Row) -> float:
    return -math.fsum(a * math.log(b) for a, b in zip(p, q, strict=True) if a)


def mixed(student: Row, teacher: Row) -> list[float]:
    return softmax([z_s + T * (z_t - z_s) for z_s, z_t in zip(student, teacher, strict=True)])


def by_fkl(student: Row, teacher: Row) -> float:
    return cross_entropy(softmax(teacher), softmax(student)) - entropy(softmax(teacher))


def by_jsd(student: Row, teacher: Row) -> float:
    """Written as what the mean distribution has more of entropy than the two have on average."""
    p_s, p_t = softmax(student), softmax(teacher)
    mean = [(a + b) / 2 for a, b in zip(p_s, p_t, strict=True)]
    return entropy(mean) - (entropy(p_s) + entropy(p_t)) / 2


def by_taid(student: Row, teacher: Row) -> float:
    return cross_entropy(mixed(student, teacher), softmax(student))


taid = Taid(steps=100, t=T).losses
BOTH: dict[Callable[[Tensor, Tensor], Tensor], Callable[[Row, Row], float]] = {
    fkl: by_fkl,
    rkl: lambda student, teacher: by_fkl(teacher, student),
    jsd: by_jsd,
    taid: by_taid,
}
every = pytest.mark.parametrize("ours", BOTH, ids=["fkl", "rkl", "jsd", "taid"])
Divergence = Callable[[Tensor, Tensor], Tensor]


def gradient(losses: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    """Of the losses weighted by 1, 2, 3, ...: each row's own weight must arrive there."""
    logits = logits.clone().requires_grad_()
    found = losses(logits)
    return torch.autograd.grad((found * torch.arange(1, len(found) + 1)).sum(), logits)[0]


@every
def test_a_divergence_is_its_formula(ours: Divergence) -> None:
    student, teacher = drawn(0), drawn(1)
    expected = [BOTH[ours](*pair) for pair in zip(student.tolist(), teacher.tolist(), strict=True)]
    found = ours(student, teacher)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-12)


def test_hard_is_its_formula() -> None:
    logits, labels = drawn(0), torch.tensor([0, 10, 3, 3, 7])
    pairs = zip(logits.tolist(), labels.tolist(), strict=True)
    expected = [math.log(math.fsum(math.exp(z - row[label]) for z in row)) for row, label in pairs]
    torch.testing.assert_close(hard(logits, labels), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("ours", [fkl, rkl, jsd], ids=["fkl", "rkl", "jsd"])
def test_a_gradient_is_that_of_finite_differences(ours: Divergence) -> None:
    assert torch.autograd.gradcheck(lambda student: ours(student, drawn(1)), drawn(0).requires_grad_())


def test_the_gradient_of_hard_is_that_of_finite_differences() -> None:
    labels = torch.tensor([0, 10, 3, 3, 7])
    assert torch.autograd.gradcheck(lambda logits: hard(logits, labels), drawn(0).requires_grad_())


def test_the_gradient_of_taid_does_not_pass_through_its_target() -> None:
    """What is left is p_s - p, by hand."""
    student, teacher = drawn(0), drawn(1)
    expected = [
        [i * (a - b) for a, b in zip(softmax(z_s), mixed(z_s, z_t), strict=True)]
        for i, (z_s, z_t) in enumerate(zip(student.tolist(), teacher.tolist(), strict=True), 1)
    ]
    found = gradient(lambda student: taid(student, teacher), student)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_a_loss_whose_weight_moved_on_has_the_gradient_of_its_own_time() -> None:
    moving = Taid(steps=4, t=T)
    student = drawn(0).requires_grad_()
    losses = moving.losses(student, drawn(1))
    moving.update(3.0)
    moving.update(2.0)
    assert moving.t != T
    (found,) = torch.autograd.grad((losses * torch.arange(1, N + 1)).sum(), student)
    torch.testing.assert_close(found, gradient(lambda student: taid(student, drawn(1)), drawn(0)))


@every
def test_the_teacher_gets_no_gradient(ours: Divergence) -> None:
    student, teacher = drawn(0).requires_grad_(), drawn(1).requires_grad_()
    losses = ours(student, teacher).sum()
    given = torch.autograd.grad(losses, (student, teacher), allow_unused=True)
    assert [one is None for one in given] == [False, True]
    assert not ours(drawn(0), teacher).requires_grad


def test_what_divergences_are() -> None:
    one, other = drawn(0, torch.float32), drawn(1, torch.float32)
    for ours in (fkl, rkl, jsd):
        assert ours(one, one).abs().max() < 1e-6
        assert gradient(lambda student, ours=ours: ours(student, one), one).abs().max() < 1e-5  # type: ignore[misc]
        assert ours(one, other).min() > 0.1
    torch.testing.assert_close(rkl(one, other), fkl(other, one))
    torch.testing.assert_close(jsd(one, other), jsd(other, one))
    assert jsd(9 * one, 9 * other).max() <= math.log(2) + 1e-6
    apart = torch.eye(2) * 60
    torch.testing.assert_close(jsd(apart, apart.flip(0)), torch.full((2,), math.log(2)))
    own = Taid(steps=9, t=1.0).losses(one, other) - fkl(one, other)
    expected = torch.tensor([entropy(softmax(row)) for row in other.tolist()])
    torch.testing.assert_close(own, expected, rtol=1e-5, atol=1e-5)


@every
def test_a_shift_of_all_logits_changes_nothing(ours: Divergence) -> None:
    student, teacher = drawn(0), drawn(1)
    expected = ours(student, teacher)
    torch.testing.assert_close(ours(student + 1000, teacher - torch.arange(N)[:, None] * 99), expected)


@every
@pytest.mark.parametrize("low", [-INF, torch.finfo(torch.float32).min], ids=["inf", "min"])
@pytest.mark.parametrize("where", ["student", "teacher", "both"])
def test_a_hidden_token_is_as_if_the_vocabulary_lacked_it(ours: Divergence, where: str, low: float) -> None:
    student, teacher = drawn(0, torch.float32), drawn(1, torch.float32)
    rest = [column for column in range(VOCABULARY) if column not in (2, 6)]
    expected = ours(student[:, rest], teacher[:, rest])
    expected_gradient = gradient(lambda student: ours(student, teacher[:, rest]), student[:, rest])
    for side in (student, teacher):
        if where in ("both", "student" if side is student else "teacher"):
            side[:, [2, 6]] = low
    torch.testing.assert_close(ours(student, teacher), expected)
    found = gradient(lambda student: ours(student, teacher), student)
    torch.testing.assert_close(found[:, rest], expected_gradient)
    assert not found[:, [2, 6]].any()


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_rows_with_nothing_in_common_are_finite_and_teach_nothing(ours: Divergence, dtype: torch.dtype) -> None:
    student, teacher = drawn(0, dtype), drawn(1, dtype)
    student[0] = -INF
    student[1, :4], teacher[1, 4:] = -INF, -INF
    assert ours(student, teacher).isfinite().all()
    found = gradient(lambda student: ours(student, teacher), student)
    assert found.isfinite().all()
    assert not found[:2].any()
    assert found[2:].any(-1).all()


def test_a_hidden_label_teaches_nothing_and_other_hidden_tokens_are_as_if_lacking() -> None:
    logits, labels = drawn(0, torch.float32), torch.tensor([0, 1, 5, 3, 1])
    expected = hard(logits[:, 1:], (labels - 1).clamp(min=0))
    expected_gradient = gradient(lambda logits: hard(logits, (labels - 1).clamp(min=0)), logits[:, 1:])
    logits[:, 0], logits[4] = -INF, -INF
    losses, found = hard(logits, labels), gradient(lambda logits: hard(logits, labels), logits)
    assert losses[[0, 4]].tolist() == [0, 0]
    assert not found[[0, 4]].any()
    assert not found[:, 0].any()
    torch.testing.assert_close(losses[1:4], expected[1:4])
    torch.testing.assert_close(found[1:4, 1:], expected_gradient[1:4])


@pytest.mark.parametrize("fault", [float("nan"), INF])
@pytest.mark.parametrize("side", [0, 1])
@every
def test_a_fault_shows_in_its_own_row(ours: Divergence, side: int, fault: float) -> None:
    logits = [drawn(0), drawn(1)]
    logits[side][2, 4] = fault
    assert ours(*logits).isnan().tolist() == [False, False, True, False, False]
    labels = torch.tensor([4, 1, 4, 3, 1])
    if side == 0:
        assert hard(logits[0], labels).isnan().tolist() == [False, False, True, False, False]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_widened_before_anything_else(dtype: torch.dtype) -> None:
    student, teacher = drawn(0, dtype), drawn(1, dtype)
    labels = torch.tensor([0, 10, 3, 3, 7])
    cases = [partial(ours, teacher=teacher) for ours in (fkl, rkl, jsd, taid)]
    wide_cases = [partial(ours, teacher=teacher.float()) for ours in (fkl, rkl, jsd, taid)]
    for ours, wide in [*zip(cases, wide_cases, strict=True), (partial(hard, labels=labels),) * 2]:
        losses, found = ours(student), gradient(ours, student)
        assert losses.dtype == torch.float32
        assert torch.equal(losses, wide(student.float()))
        assert found.dtype == dtype
        assert torch.equal(found, gradient(wide, student.float()).to(dtype))


@every
def test_nothing_but_the_logits_is_kept_for_the_backward_pass(ours: Divergence) -> None:
    student, teacher = drawn(0, torch.bfloat16).requires_grad_(), drawn(1, torch.bfloat16)
    kept: set[int] = set()

    def keep(tensor: Tensor) -> Tensor:
        kept.add(tensor.data_ptr())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, keep):
        ours(student, teacher)
    assert kept == {student.data_ptr(), teacher.data_ptr()}


def test_no_tokens_no_losses() -> None:
    logits, labels = torch.zeros(0, VOCABULARY, requires_grad=True), torch.zeros(0, dtype=torch.int64)
    for losses in (hard(logits, labels), *(ours(logits, logits.detach()) for ours in BOTH)):
        assert losses.shape == (0,)
        assert torch.autograd.grad(losses.sum(), logits)[0].shape == logits.shape
    kinds: tuple[Reliability, ...] = ("probability", "rank")
    for kind in kinds:
        assert of_examples(reliability(logits, labels, kind), labels, kind).shape == (0,)


@every
def test_vocabularies_that_differ_are_refused(ours: Divergence) -> None:
    with pytest.raises(AssertionError):
        ours(drawn(0), drawn(1)[:, :-1])
    with pytest.raises(AssertionError):
        ours(drawn(0), drawn(1)[:1])


def test_what_cannot_belong_together_is_refused() -> None:
    labels = torch.zeros(N - 1, dtype=torch.int64)
    with pytest.raises(AssertionError):
        hard(drawn(0), labels)
    with pytest.raises(AssertionError):
        reliability(drawn(0), labels, "rank")
    with pytest.raises(AssertionError):
        of_examples(torch.ones(1), labels, "rank")
    with pytest.raises(AssertionError):
        Taid(9).update(math.nan)


def run_losses(n: int) -> list[float]:
    """Mostly falling; step 30 jumps up."""
    noise = torch.randn(n, generator=torch.Generator().manual_seed(3), dtype=torch.float64).tolist()
    return [6 * 0.95**i + 0.2 * abs(x) + 5 * (i == 30) for i, x in enumerate(noise)]


@pytest.mark.parametrize("steps", [50, 5000, 10**7])
def test_taid_moves_as_its_paper_says(steps: int) -> None:
    """With few steps the straight line leads; with many, the momentum, here as the sum that it is."""
    ours, losses, t, seen = Taid(steps), run_losses(50), 0.4, [0.4]
    for done in range(1, 51):
        ours.update(losses[done - 1])
        if done > 1:
            changes = [(a - b) / (a + 1e-15) for a, b in pairwise(losses[:done])]
            momentum = sum(0.01 * change * 0.99**age for age, change in enumerate(reversed(changes)))
            t += 5e-4 / (1 + math.exp(-momentum)) * (1 - t)
            t = max(0.4 + 0.6 * done / steps, t)
            assert ours.m == pytest.approx(momentum, rel=1e-9)
        assert ours.t == pytest.approx(min(t, 1), rel=1e-12)
        seen.append(ours.t)
    assert seen[1] == 0.4, "the first step only records"
    assert seen[1:] == sorted(set(seen)), "from then on, always more"
    assert seen[-1] <= 1
    if steps == 50:
        assert ours.t == 1
        ours.update(1.0)
        assert ours.t == 1


def test_taid_learns_faster_while_the_loss_falls() -> None:
    falling, rising = Taid(10**7), Taid(10**7)
    for i in range(100):
        falling.update(0.9**i)
        rising.update(1.1**i)
    assert falling.t > rising.t > 0.4


def test_a_loss_of_nothing_and_then_of_much_is_survived() -> None:
    ours = Taid(1000)
    for loss in (0.0, 10.0, 0.0, 1e30):
        ours.update(loss)
    assert 0.4 < ours.t < 0.41


@pytest.mark.parametrize("stop", [0, 1, 20])
def test_taid_resumed_is_taid_undisturbed(stop: int) -> None:
    undisturbed, before, after = Taid(300), Taid(300), Taid(300)
    losses = run_losses(50)
    for loss in losses:
        undisturbed.update(loss)
    for loss in losses[:stop]:
        before.update(loss)
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    assert after == before
    for loss in losses[stop:]:
        after.update(loss)
    assert after == undisturbed
    assert all(type(value) is float for value in after.state_dict().values())
    assert torch.equal(after.losses(drawn(0), drawn(1)), undisturbed.losses(drawn(0), drawn(1)))


def test_reliability_by_hand() -> None:
    odds = torch.tensor([[5, 3, 2, 0], [5, 3, 2, 0], [4, 4, 2, 0], [4, 4, 2, 0], [4, 4, 2, 0], [1, 3, 3, 3]])
    teacher, labels = odds.float().log().requires_grad_(), torch.tensor([0, 1, 1, 2, 3, 0])
    found = reliability(teacher + 7, labels, "probability")
    torch.testing.assert_close(found, torch.tensor([0.5, 0.3, 0.4, 0.2, 0.0, 0.1]))
    ranks = reliability(teacher.bfloat16(), labels, "rank")
    assert ranks.tolist() == torch.tensor([1, 1 / 2, 1, 1 / 3, 1 / 4, 1 / 4]).tolist(), "ties do not count"
    for weights in (found, ranks, reliability(teacher.double(), labels, "probability")):
        assert weights.dtype == torch.float32
        assert not weights.requires_grad


def test_an_examples_tokens_share_one_weight() -> None:
    weights, examples = torch.tensor([0.5, 0.9, 0.125, 0.0, 1.0]), torch.tensor([1, 0, 1, 3, 3])
    found = of_examples(weights, examples, "probability")
    torch.testing.assert_close(found, torch.tensor([0.25, 0.9, 0.25, 0.0, 0.0]))
    found = of_examples(weights, examples, "rank")
    torch.testing.assert_close(found, torch.tensor([0.3125, 0.9, 0.3125, 0.5, 0.5]))
