"""Claims are what the numbers say: they hold, they do not, or nobody can tell."""

from typing import Any

import pyarrow as pa
import pytest

from xlnu.evaluate.answers import ANSWERS
from xlnu.evaluate.identify import Identifier
from xlnu.evaluate.scores import Judge, Said
from xlnu.languages import resolve
from xlnu.sdrrl.claims import claims, difference
from xlnu.sdrrl.tables import Cost, tables

SWAHILI, ENGLISH = resolve("swh_Latn"), resolve("eng_Latn")
JUDGE = Judge(
    ENGLISH,
    (SWAHILI,),
    Identifier({"eng_Latn": ["the cat sat there"], "swh_Latn": ["paka alikaa pale"]}),
    {"eng_Latn": "source", "swh_Latn": "low"},
)


def row(kind: str, label: str, number: int, said: str, right: str) -> dict[str, Any]:
    return {
        "id": f"{kind}{label}{number}", "reject": None, "benchmark": "mkqa" if kind == "qa" else "flores",
        "kind": kind, "language": label, "key": str(number), "prompt": "?", "right": [right], "said": said,
        "tokens": 1, "cut_off": False,
    }  # fmt: skip


def said(
    mode: Any,
    swahili: float,
    english: float = 1.0,
    *,
    seed: int = 0,
    objective: str | None = "hard",
    n: int = 200,
) -> Said:
    """A model that answers shares of n questions, and translates word for word."""
    rows = list[dict[str, Any]]()
    for label, share in (("swh_Latn", swahili), ("eng_Latn", english)):
        rows += [row("qa", label, i, "ndiyo" if i < share * n else "hapana", "ndiyo") for i in range(n)]
    for kind in ("to_source", "from_source"):
        rows += [row(kind, "swh_Latn", i, "paka alikaa pale", "paka alikaa hapa") for i in range(4)]
    table = pa.Table.from_pylist(rows[::-1], schema=ANSWERS)
    return Said(mode, None if mode == "before" else objective, seed, table, JUDGE)


def verdicts(*those: Said) -> dict[str, bool | None]:
    return {claim.claim: claim.holds for claim in claims(those)}


def test_what_is_better_holds_and_what_is_worse_does_not() -> None:
    found = verdicts(said("before", 0.1), said("sdrrl", 0.5), said("sft", 0.8), said("translate_sft", 0.5))
    assert found["After SDRRL, questions in the target languages are answered better than before."] is True
    assert found["SDRRL is better than tuning on the source's own answers, not translated."] is False
    assert found["SDRRL is better than tuning on the source's own answers, translated."] is None
    assert found["After SDRRL, translations into the target languages are better than before."] is None
    assert "The filter helps with questions." not in found, "it was not tried"


@pytest.mark.parametrize(("kept", "holds"), [(1.0, True), (0.995, True), (0.98, None), (0.9, False)])
def test_the_source_language_may_lose_a_little(kept: float, holds: bool | None) -> None:
    claim = "SDRRL keeps the source language: no more than 2% of answers are lost."
    assert verdicts(said("before", 0.1), said("sdrrl", 0.5, kept))[claim] is holds


def test_a_difference_that_examples_could_make_is_none() -> None:
    claim = "Code-switching helps with questions."
    assert verdicts(said("no_switch", 0.5), said("sdrrl", 0.55))[claim] is True, "the same examples, and ten more"
    other = said("no_switch", 0.5)
    rows = [{**each, "said": "ndiyo" if each["said"] == "hapana" else "hapana"} for each in other.table.to_pylist()]
    unlike = Said("no_switch", "hard", 0, pa.Table.from_pylist(rows, schema=ANSWERS), JUDGE)
    assert verdicts(unlike, said("sdrrl", 0.55))[claim] is None, "as much better, but in half of them worse"


def test_a_few_examples_prove_nothing() -> None:
    """Of one, drawn again, all are alike."""
    for n, holds in ((1, None), (29, None), (30, True)):
        found = claims([said("before", 0, n=n), said("sdrrl", 1, n=n)])
        assert found[0].holds is holds


def test_only_runs_of_one_seed_are_compared() -> None:
    one, other = [said("sdrrl", 0.5, seed=1), said("sdrrl", 0.7, seed=2)], [said("before", 0.1, seed=2)]
    found = difference(one, other, "exact_match")
    assert found
    assert found.mean == pytest.approx(0.6)
    assert found.n == 200
    assert difference(one[:1], other, "exact_match") is None


def test_objectives_are_held_against_hard() -> None:
    found = verdicts(said("sdrrl", 0.5), said("sdrrl", 0.7, objective="fkl"), said("before", 0.1))
    assert (
        found["Distilling the teacher's whole distribution (fkl) is better than its answers alone (hard)."] is True
    )
    assert found["After SDRRL, questions in the target languages are answered better than before."] is True


def test_baselines_are_compared_whatever_sdrrl_minimised() -> None:
    found = verdicts(said("sdrrl", 0.5, objective="fkl"), said("sft", 0.1), said("no_switch", 0.2, objective="fkl"))
    assert found["SDRRL is better than tuning on the source's own answers, not translated."] is True
    assert found["Code-switching helps with questions."] is True


def test_an_ablation_of_nothing_tells_nothing() -> None:
    assert verdicts(said("sdrrl", 0.5), said("no_switch", 0.5))["Code-switching helps with questions."] is None


def test_a_right_answer_and_one_without_letters_are_in_no_wrong_language() -> None:
    rows = [
        row("qa", "swh_Latn", 0, "1969", "1970"),
        row("qa", "swh_Latn", 1, "The cat", "cat"),
        row("qa", "swh_Latn", 2, "the cat", "paka"),
        row("qa", "swh_Latn", 3, "paka", "the cat"),
    ]
    one = Said("sdrrl", "hard", 0, pa.Table.from_pylist(rows, schema=ANSWERS), JUDGE)
    assert one.values("off_target_qa")["swh_Latn"] == {"0": 0, "1": 1, "2": 1, "3": 0}
    right = [{**each, "right": [each["said"]]} for each in rows]
    same = Said("sdrrl", "hard", 0, pa.Table.from_pylist(right, schema=ANSWERS), JUDGE)
    assert set(same.values("off_target_qa")["swh_Latn"].values()) == {0}
    deaf = Judge(ENGLISH, (SWAHILI,), Identifier({"swh_Latn": ["paka"]}), JUDGE.resources)
    assert Said("sdrrl", "hard", 0, one.table, deaf).values("off_target_qa") == {}, "English it cannot see"


def test_scores_are_the_libraries_own() -> None:
    import sacrebleu

    scores = {(one.metric, one.language): one for one in said("sdrrl", 0.25).scores()}
    exact = scores["exact_match", "swh_Latn"]
    assert (exact.value, exact.n, exact.seen, exact.resource) == (0.25, 200, "target", "low")
    assert exact.ci_low is not None
    assert exact.ci_high is not None
    assert 0.18 < exact.ci_low < 0.22 < 0.28 < exact.ci_high < 0.32
    hypotheses, references = ["paka alikaa pale"] * 4, [["paka alikaa hapa"] * 4]
    assert scores["bleu_from_source", "swh_Latn"].value == pytest.approx(
        sacrebleu.corpus_bleu(hypotheses, references).score, abs=1e-3
    )
    assert scores["chrf_to_source", "swh_Latn"].value == pytest.approx(
        sacrebleu.corpus_chrf(hypotheses, references, word_order=2).score, abs=1e-3
    )


def test_the_tables_say_what_the_scores_say() -> None:
    those = [said("before", 0.1), said("sdrrl", 0.5)]
    scores = [score for one in those for score in one.scores()]
    page = tables(those, scores, claims(those), [Cost("sdrrl", 1234, 10, 5678, 9.0)])
    assert "| before | 1.00 (1.00-1.00) | .10 (.0" in page
    assert "| sdrrl | 1,234 | 10 | 5,678 | 9 |" in page
    assert "| After SDRRL, questions in the target languages are answered better than before. | holds |" in page
