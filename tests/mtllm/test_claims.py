"""Claims are decided by what belongs together: one seed with itself, one variant with itself."""

from tests.evaluate.measures import answer, measures
from xlnu.evaluate.judge import Judge
from xlnu.evaluate.measured import Known, Measured, System
from xlnu.languages import resolve
from xlnu.mtllm.claims import claims
from xlnu.report.document import Mode

ENGLISH, SWAHILI = resolve("eng_Latn"), resolve("swh_Latn")
JUDGE = Judge(ENGLISH, (SWAHILI,), {})
KNOWN = Known(ENGLISH, (SWAHILI,), {"eng_Latn": "source", "swh_Latn": "low"})


def said(mode: Mode, variant: str | None, right: int, seed: int = 0) -> list[Measured]:
    """Of 100 the first `right`; half of all are b."""
    labels = ["abcb"[n % 4] for n in range(100)]
    wrong = {"a": "b", "b": "c", "c": "a"}
    rows = [
        answer("text", "swh_Latn", str(n), label if n < right else wrong[label], label, "topic")
        for n, label in enumerate(labels)
    ]
    return measures(rows, JUDGE, System(mode, variant, seed=seed), KNOWN)


def majority() -> list[Measured]:
    rows = [answer("text", "swh_Latn", str(n), "b", "abcb"[n % 4], "topic") for n in range(100)]
    return measures(rows, JUDGE, System("majority", seed=0), KNOWN)


def test_an_ablation_is_held_against_the_stack_of_its_own_variant() -> None:
    found = claims(
        [
            *said("stacked", "mlp", 90), *said("stage2_only", "mlp", 90), *said("stacked", "linear", 20),
            *said("stage2_only", "linear", 20), *said("zero_shot", None, 30), *majority(),
        ]
    )  # fmt: skip
    by = {claim.claim: claim for claim in found if "all target languages" in claim.claim}
    stage1 = next(claim for text, claim in by.items() if "stage 1 helps" in text)
    assert stage1.evidence.startswith("accuracy: a difference of +0 (+0 to +0; 100 examples)")
    alone = next(claim for text, claim in by.items() if "better than the LLM alone" in text)
    assert alone.holds
    assert alone.evidence.startswith("accuracy: a difference of +0.6 (")


def test_resource_levels_are_told_apart() -> None:
    found = claims([*said("stacked", "mlp", 90), *said("translate_test", None, 95), *majority()])
    assert [claim.claim.partition(":")[0] for claim in found] == [
        "Topic, all target languages", "Topic, low-resource languages",
    ]  # fmt: skip
    assert [claim.holds for claim in found] == [False, False]


def test_of_two_that_guess_neither_is_the_better() -> None:
    found = claims([*said("stacked", "mlp", 45), *said("translate_test", None, 12), *majority()])[0]
    assert found.evidence.startswith("accuracy: a difference of +0.33 (+0.2")
    assert found.evidence.endswith("; but neither is better than always the commonest answer")
    assert found.holds is None
    assert claims([*said("stacked", "mlp", 70), *said("translate_test", None, 12), *majority()])[0].holds
    found = claims([*said("stacked", "mlp", 12), *said("translate_test", None, 70), *majority()])[0]
    assert found.holds is False
