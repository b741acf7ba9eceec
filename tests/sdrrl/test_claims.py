"""Claims are what the numbers say: they hold, they do not, or nobody can tell."""

from typing import Any

import pytest

from tests.evaluate.measures import answer, measures
from xlnu.evaluate.judge import Judge
from xlnu.evaluate.measured import Known, Measured, System, difference
from xlnu.languages import resolve
from xlnu.sdrrl.claims import claims
from xlnu.sdrrl.tables import Cost, tables

SWAHILI, ENGLISH = resolve("swh_Latn"), resolve("eng_Latn")
JUDGE = Judge(ENGLISH, (SWAHILI,), {"eng_Latn": ["the cat sat there"], "swh_Latn": ["paka alikaa pale"]})
KNOWN = Known(ENGLISH, (SWAHILI,), {"eng_Latn": "source", "swh_Latn": "low"})


def said(
    mode: Any,
    swahili: float,
    english: float = 1.0,
    *,
    seed: int = 0,
    objective: str | None = "hard",
    n: int = 200,
    other_half: bool = False,
) -> list[Measured]:
    """A model that answers shares of n questions (or just the others), and translates word for word."""
    rows = list[dict[str, Any]]()
    for label, share in (("swh_Latn", swahili), ("eng_Latn", english)):
        rows += [
            answer("qa", label, str(i), "ndiyo" if (i < share * n) != other_half else "hapana", "ndiyo")
            for i in range(n)
        ]
    for kind in ("to_source", "from_source"):
        rows += [answer(kind, "swh_Latn", str(i), "paka alikaa pale", "paka alikaa hapa") for i in range(4)]
    return measures(rows, JUDGE, System(mode, None if mode == "before" else objective, seed=seed), KNOWN)


def verdicts(*those: list[Measured]) -> dict[str, bool | None]:
    return {claim.claim: claim.holds for claim in claims([one for some in those for one in some])}


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
    unlike = said("no_switch", 0.5, other_half=True)
    assert verdicts(unlike, said("sdrrl", 0.55))[claim] is None, "as much better, but in half of them worse"


def test_a_few_examples_prove_nothing() -> None:
    """Of one, drawn again, all are alike."""
    for n, holds in ((1, None), (29, None), (30, True)):
        found = claims([*said("before", 0, n=n), *said("sdrrl", 1, n=n)])
        assert found[0].holds is holds


def exact(*those: list[Measured]) -> list[Measured]:
    return [one for some in those for one in some if one.metric == "exact_match" and one.seen == "target"]


def test_only_runs_of_one_seed_are_compared() -> None:
    one, other = [said("sdrrl", 0.5, seed=1), said("sdrrl", 0.7, seed=2)], exact(said("before", 0.1, seed=2))
    found = difference(exact(*one), other)
    assert found
    assert found[0].mean == pytest.approx(0.6)
    assert found[0].n == 200
    assert difference(exact(one[0]), other) is None


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
    said_and_right = [("1969", "1970"), ("The cat", "cat"), ("the cat", "paka"), ("paka", "the cat")]
    rows = [answer("qa", "swh_Latn", str(i), *both) for i, both in enumerate(said_and_right)]

    def off_target(rows: list[dict[str, Any]], judge: Judge = JUDGE) -> list[dict[str, float]]:
        found = measures(rows, judge, System("sdrrl"), KNOWN)
        return [dict(one.values) for one in found if one.metric == "off_target"]

    assert off_target(rows) == [{"0": 0, "1": 1, "2": 1, "3": 0}]
    right = [{**row, "right": row["said"]} for row in rows]
    assert set(off_target(right)[0].values()) == {0}
    assert off_target(rows, Judge(ENGLISH, (SWAHILI,), {"swh_Latn": ["paka"]})) == [], "English it cannot see"


def test_scores_are_the_libraries_own() -> None:
    import sacrebleu

    scores = {(one.metric, one.language): one.score() for one in said("sdrrl", 0.25)}
    found = scores["exact_match", "swh_Latn"]
    assert (found.value, found.n, found.seen, found.resource) == (0.25, 200, "target", "low")
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert 0.18 < found.ci_low < 0.22 < 0.28 < found.ci_high < 0.32
    hypotheses, references = ["paka alikaa pale"] * 4, [["paka alikaa hapa"] * 4]
    assert scores["bleu_from_source", "swh_Latn"].value == pytest.approx(
        sacrebleu.corpus_bleu(hypotheses, references).score, abs=1e-3
    )
    assert scores["bleu_from_source", "swh_Latn"].signature.startswith("nrefs:1|case:mixed|eff:no|tok:13a|")
    assert scores["chrf_to_source", "swh_Latn"].value == pytest.approx(
        sacrebleu.corpus_chrf(hypotheses, references, word_order=2).score, abs=1e-3
    )


def test_the_tables_say_what_the_scores_say() -> None:
    those = [*said("before", 0.1), *said("sdrrl", 0.5)]
    page = tables(those, claims(those), [Cost("sdrrl", 1234, 10, 5678, 9.0)])
    assert "| before | 1.00 (1.00-1.00) | .10 (.0" in page
    assert "| sdrrl | 1,234 | 10 | 5,678 | 9 |" in page
    assert "| After SDRRL, questions in the target languages are answered better than before. | holds |" in page
