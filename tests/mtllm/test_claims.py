"""Claims are decided by what belongs together: one seed with itself, one variant with itself."""

import pyarrow as pa

from xlnu.languages import resolve
from xlnu.mtllm.claims import claims
from xlnu.mtllm.schemas import SAID
from xlnu.mtllm.scores import Said
from xlnu.report.document import Mode

ENGLISH = resolve("eng_Latn")


def said(mode: Mode, variant: str | None, right: int, seed: int = 0) -> Said:
    rows = [
        {
            "id": str(n), "reject": None, "task": "topic", "language": "swh_Latn", "key": str(n),
            "gold": [float(min(2, n % 4))], "said": [float((min(2, n % 4) + (n >= right)) % 3)],
            "logits": [], "tokens": 1,
        }
        for n in range(100)
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, schema=SAID)
    return Said(
        "topic", "text", "sib200", mode, variant, seed, table, ENGLISH, {"swh_Latn": "low"}, ("a", "b", "c")
    )


def test_an_ablation_is_held_against_the_stack_of_its_own_variant() -> None:
    found = claims(
        [
            said("stacked", "mlp", 90), said("stage2_only", "mlp", 90), said("stacked", "linear", 20),
            said("stage2_only", "linear", 20), said("zero_shot", None, 30),
        ]
    )  # fmt: skip
    by = {claim.claim: claim for claim in found if "all target languages" in claim.claim}
    stage1 = next(claim for text, claim in by.items() if "stage 1 helps" in text)
    assert stage1.evidence.startswith("accuracy: a difference of +0 (+0 to +0; 100 examples)")
    alone = next(claim for text, claim in by.items() if "better than the LLM alone" in text)
    assert alone.holds
    assert alone.evidence.startswith("accuracy: a difference of +0.6 (")


def test_resource_levels_are_told_apart() -> None:
    found = claims([said("stacked", "mlp", 90), said("translate_test", None, 95)])
    assert [claim.claim.partition(":")[0] for claim in found] == [
        "Topic, all target languages", "Topic, low-resource languages",
    ]  # fmt: skip
    assert [claim.holds for claim in found] == [False, False]


def test_of_two_that_guess_neither_is_the_better() -> None:
    found = claims([said("stacked", "mlp", 45), said("translate_test", None, 12)])[0]
    assert found.evidence.startswith("accuracy: a difference of +0.33 (+0.2")
    assert found.evidence.endswith("; but neither is better than always the commonest answer")
    assert found.holds is None
    assert claims([said("stacked", "mlp", 70), said("translate_test", None, 12)])[0].holds
    assert claims([said("stacked", "mlp", 12), said("translate_test", None, 70)])[0].holds is False
