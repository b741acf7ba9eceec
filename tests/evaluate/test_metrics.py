"""Metrics are the libraries' own, and each example's part in them adds up to them."""

from collections.abc import Sequence

import numpy as np
import pytest

from tests.evaluate.measures import answer
from xlnu.evaluate import metrics
from xlnu.evaluate.identify import Identifier
from xlnu.evaluate.metrics import Asked, Value, measure, note
from xlnu.languages import resolve

ENGLISH, CHINESE, HINDI = resolve("eng_Latn"), resolve("zho_Hans"), resolve("hin_Deva")
WORDS = ["the", "a", "cat", "dog", "old", "red", "sat", "ran", "far", "near", "house", "river"]


def value(metric: str, kind: str, said: Sequence[str], right: Sequence[str], code: str = "eng_Latn") -> Value:
    language = resolve(code)
    rows = [answer(kind, code, f"{at:05}", *both) for at, both in enumerate(zip(said, right, strict=True))]
    return measure(metric, rows, Asked(language, language, None))


def sentences(seed: int, count: int = 200) -> tuple[list[str], list[str]]:
    """References, and what comes of them when every fifth word is another."""
    rng = np.random.default_rng(seed)
    right = [" ".join(rng.choice(WORDS, rng.integers(4, 12))) for _ in range(count)]
    said = [" ".join(w if rng.random() < 0.8 else str(rng.choice(WORDS)) for w in one.split()) for one in right]
    return said, right


def labels(seed: int, count: int = 300) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(seed)
    right = [str(one) for one in rng.choice(["a", "b", "c", "d"], count, p=[0.5, 0.3, 0.15, 0.05])]
    said = [one if rng.random() < 0.6 else str(rng.choice(["a", "b", "c"])) for one in right]
    return said, right


@pytest.mark.parametrize("metric", ["bleu", "chrf"])
def test_of_a_corpus_they_are_sacrebleus_and_so_is_the_interval(metric: str) -> None:
    import sacrebleu

    said, right = sentences(1)
    theirs = sacrebleu.BLEU() if metric == "bleu" else sacrebleu.CHRF(word_order=2)
    whole = theirs.corpus_score(said, [right], n_bootstrap=1000)
    found = value(metric, "to_source", said, right)
    assert found.value == pytest.approx(whole.score, abs=1e-6)
    assert found.signature == str(theirs.get_signature()).replace("bs:1000|seed:12345|", "")
    assert np.mean(found.each) == pytest.approx(whole.score)
    low, high = whole._mean - whole._ci, whole._mean + whole._ci
    assert found.low == pytest.approx(low, abs=0.1 * (high - low))
    assert found.high == pytest.approx(high, abs=0.1 * (high - low))


def test_bleu_cuts_chinese_as_sacrebleu_does() -> None:
    import sacrebleu

    said, right = ["猫坐在那里看着我们。", "狗跑了很远的路。"], ["猫坐在那儿看着我们。", "狗跑了很远的路。"]
    found = value("bleu", "from_source", said, right, "zho_Hans")
    assert found.value == pytest.approx(sacrebleu.corpus_bleu(said, [right], tokenize="zh").score)
    assert "tok:zh" in found.signature
    assert metrics.tokenizer(resolve("tha_Thai")) == "char"


def test_one_sentence_has_a_bleu_too() -> None:
    found = value("bleu", "to_source", ["the cat sat far"], ["the cat sat near"])
    assert found.low == found.value == found.high


def test_macro_f1_is_scikit_learns() -> None:
    from sklearn.metrics import f1_score

    said, right = labels(2)
    said = ["a" if one == "d" else one for one in said]  # a label that is never said counts,
    said[:9] = ["e"] * 9  # and one that is never right
    found = value("macro_f1", "text", said, right)
    assert found.value == pytest.approx(f1_score(right, said, average="macro"))
    accuracy = value("accuracy", "text", said, right)
    assert accuracy.value == pytest.approx(np.mean([a == b for a, b in zip(said, right, strict=True)]))


def test_pearson_is_scipys_and_of_what_never_changes_it_is_none() -> None:
    from scipy.stats import pearsonr

    rng = np.random.default_rng(3)
    right = rng.uniform(0, 5, 200)
    said = right + rng.normal(0, 1.5, 200)
    found = value("pearson", "regression", [f"{x:.7g}" for x in said], [f"{x:.7g}" for x in right])
    theirs = pearsonr(said, right)
    assert found.value == pytest.approx(theirs.statistic, abs=1e-5)
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval()), abs=0.02)
    assert value("pearson", "regression", ["2"] * 5, ["1", "2", "3", "4", "5"]).value == 0


def test_rouge_is_rouge_scores_and_reads_every_script() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    said, right = sentences(4, 20)
    theirs = RougeScorer(["rougeL"])
    whole = [theirs.score(b, a)["rougeL"].fmeasure for a, b in zip(said, right, strict=True)]
    assert value("rouge_l", "summary", said, right).value == pytest.approx(np.mean(whole))
    hindi = value("rouge_l", "summary", ["बिल्ली घर में है"], ["बिल्ली घर के पास है"], "hin_Deva")
    assert hindi.value == pytest.approx(2 * 3 / (4 + 5)), "three of four and five words"
    chinese = value("rouge_l", "summary", ["猫在家"], ["猫在家里"], "zho_Hans")
    assert chinese.value == pytest.approx(2 * 3 / 7), "letters, for no spaces set words apart"
    assert theirs.score("बिल्ली", "बिल्ली")["rougeL"].fmeasure == 0, "as it is, it drops what is not Latin"


@pytest.mark.parametrize("metric", ["macro_f1", "pearson", "bleu", "span_f1"])
def test_their_intervals_hold_the_truth_95_times_in_100(metric: str) -> None:
    """The truth is what a corpus a hundred times as large comes to."""

    def drawn(seed: int, count: int) -> Value:
        if metric == "bleu":
            return value("bleu", "to_source", *sentences(seed, count))
        if metric == "macro_f1":
            return value("macro_f1", "text", *labels(seed, count))
        rng = np.random.default_rng(seed)
        if metric == "pearson":
            right = rng.normal(0, 1, count)
            said = right + rng.normal(0, 1, count)
            return value(metric, "regression", [f"{x:.5f}" for x in said], [f"{x:.5f}" for x in right])
        rows = []
        for at in range(count):
            gold = [str(one) for one in rng.choice(["O", "B-X", "B-Y"], 4, p=[0.7, 0.2, 0.1])]
            told = [one if rng.random() < 0.8 else str(rng.choice(["O", "B-X"])) for one in gold]
            rows.append(answer("tokens", "eng_Latn", f"{at:05}", told, gold))
        return measure(metric, rows, Asked(ENGLISH, ENGLISH, None))

    truth, held, times = drawn(1, 12_000).value, 0, 100
    for seed in range(2, times + 2):
        found = drawn(seed, 120)
        held += found.low <= truth <= found.high
    assert 0.87 <= held / times <= 1


def test_what_the_harness_judged_is_taken_as_it_is() -> None:
    rows = [
        answer("choice", "eng_Latn", str(at), "0", "1")
        | {"judged": [("accuracy", float(at < 3)), ("accuracy_norm", 1.0)], "prompt": "lm-eval 0: copa"}
        for at in range(4)
    ]
    asked = Asked(ENGLISH, ENGLISH, None)
    assert metrics.of("choice", rows, asked) == ["accuracy", "accuracy_norm"]
    found = measure("accuracy", rows, asked)
    assert (found.value, found.signature) == (0.75, "lm-eval 0: copa")


def test_who_says_one_thing_to_all_is_told() -> None:
    right = ["a", "b", "a", "b"]
    rows = [answer("text", "eng_Latn", str(at), "b", one) for at, one in enumerate(right)]
    assert note("accuracy", rows) == "only ever answers b"
    assert note("accuracy", [*rows[:3], answer("text", "eng_Latn", "3", "a", "b")]) == ""
    one = [answer("text", "eng_Latn", str(at), "b", "b") for at in range(3)]
    assert note("accuracy", one) == "", "it was asked for nothing else"


def test_off_target_is_measured_where_languages_can_be_told() -> None:
    texts = {"eng_Latn": ["the cat sat there"], "hin_Deva": ["बिल्ली घर में है"]}
    rows = [answer("qa", "hin_Deva", str(at), said, "?") for at, said in enumerate(["the cat", "घर", "1969"])]
    known = Asked(HINDI, HINDI, Identifier(texts))
    assert "off_target" in metrics.of("qa", rows, known)
    assert measure("off_target", rows, known).each == [1, 0, 0]
    assert "off_target" not in metrics.of("qa", rows, Asked(HINDI, HINDI, None))
