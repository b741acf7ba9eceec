"""Averages over languages and differences between systems: of what belongs together, and over nothing missing."""

import pytest

from tests.evaluate.measures import answer, measures
from xlnu.evaluate.judge import Judge
from xlnu.evaluate.measured import Known, Measured, System, averages, comparisons, difference
from xlnu.languages import resolve
from xlnu.report.document import Mode

ENGLISH, SWAHILI, HINDI, GREEK = map(resolve, ("eng_Latn", "swh_Latn", "hin_Deva", "ell_Grek"))
TARGETS = (SWAHILI, HINDI, GREEK)
KNOWN = Known(ENGLISH, TARGETS, {"eng_Latn": "source", "swh_Latn": "low", "hin_Deva": "low", "ell_Grek": "high"})


def system(mode: Mode, right: dict[str, int], seed: int = 0, model: str | None = None) -> list[Measured]:
    """Of 40 examples in each language the first so many are right."""
    rows = [
        answer("text", label, f"{n:02}", "ab"[n % 2] if n < count else "c", "ab"[n % 2], "topic")
        for label, count in right.items()
        for n in range(40)
    ]
    return measures(rows, Judge(ENGLISH, TARGETS, {}), System(mode, None, model, seed), KNOWN)


ALL = {"eng_Latn": 40, "swh_Latn": 10, "hin_Deva": 20, "ell_Grek": 30}


def test_averages_are_over_the_target_languages_of_each_group() -> None:
    found = {one.group: one for one in averages(system("stacked", ALL)) if one.metric == "accuracy"}
    assert set(found) == {"all targets", "resource: low", "encoder: seen", "family: Indo-European"}
    assert (found["all targets"].value, found["all targets"].languages) == (0.5, 3)
    assert found["resource: low"].value == 0.375
    assert found["family: Indo-European"].value == 0.625
    assert found["all targets"].n == 40, "one question in three languages is one question"
    assert found["all targets"].ci_low < 0.5 < found["all targets"].ci_high
    assert found["all targets"].seeds == [0]


def test_a_system_that_lacks_a_language_has_no_average_over_it() -> None:
    some = {label: count for label, count in ALL.items() if label != "ell_Grek"}
    found = [*averages([*system("stacked", ALL), *system("zero_shot", some)])]
    of = {(one.mode, one.group) for one in found if one.metric == "accuracy"}
    assert ("zero_shot", "all targets") not in of, "it would be held against another's average over other languages"
    assert ("zero_shot", "resource: low") in of
    assert ("stacked", "all targets") in of


def test_of_several_seeds_each_has_to_be_there() -> None:
    whole = [*system("stacked", ALL, seed=1), *system("stacked", ALL, seed=2)]
    (found,) = [one for one in averages(whole) if (one.metric, one.group) == ("accuracy", "all targets")]
    assert found.seeds == [1, 2]
    without = [one for one in whole if (one.system.seed, one.language) != (2, "swh_Latn")]
    assert [one.group for one in averages(without) if one.metric == "accuracy"] == ["family: Indo-European"]


def test_systems_are_compared_on_the_same_examples_in_the_same_languages() -> None:
    better = {label: min(40, count + 4) for label, count in ALL.items()}
    those = [*system("stacked", better, model="a"), *system("stacked", ALL, model="b")]
    found = {(one.metric, one.group): one for one in comparisons(those, "a stacked")}
    one = found["accuracy", "all targets"]
    assert (one.one, one.other, one.languages, one.n) == ("a stacked", "b stacked", 3, 40)
    assert one.difference == pytest.approx(0.1)
    assert 0 < one.ci_low < 0.1 < one.ci_high
    assert found["accuracy", "resource: high"].languages == 1
    against_b = [*comparisons(those, "b stacked")]
    assert {(each.one, each.other) for each in against_b} == {("b stacked", "a stacked")}
    assert next(each for each in against_b if each.group == "all targets").difference < 0


def test_other_examples_cannot_be_compared() -> None:
    one, other = system("stacked", ALL), system("zero_shot", ALL)
    shorter = [
        Measured(**{**vars(each), "values": dict(list(each.values.items())[:-1])})
        for each in other
        if each.measure == "accuracy"
    ]
    with pytest.raises(AssertionError, match="not the same examples"):
        difference([each for each in one if each.measure == "accuracy"], shorter)


def test_of_an_error_less_is_better() -> None:
    def errors(by: float, mode: Mode) -> list[Measured]:
        rows = [answer("regression", "swh_Latn", f"{n:02}", str(n % 5 + by), str(n % 5), "sts") for n in range(40)]
        found = measures(rows, Judge(ENGLISH, TARGETS, {}), System(mode), KNOWN)
        return [each for each in found if each.measure == "absolute_error"]

    found = difference(errors(0.1, "stacked"), errors(0.5, "zero_shot"))
    assert found
    assert found[0].mean == pytest.approx(0.4)


def test_what_another_language_stands_in_for_the_encoder_never_saw() -> None:
    madurese = resolve("mad->jav_Latn")
    known = Known(ENGLISH, (SWAHILI, madurese), {"eng_Latn": "source", "swh_Latn": "low", madurese.label: "low"})
    assert "encoder: unseen" in known.groups(madurese.label)
    assert "encoder: seen" in known.groups("swh_Latn")
    assert known.groups("eng_Latn") == [], "the source language is in no average"
