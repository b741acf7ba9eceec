"""The world of the demo, made from nothing: is it as good as later parts rely on it to be?

The bounds held for seeds 11, 12 and 13 too when they were set; seed 0 alone is made here.
"""

from typing import Any

import pytest

from xlnu.tiny.build import Built

pytestmark = pytest.mark.timeout(1000)  # making it takes 90 s on two idle cores

HIGH, MID, LOW = ("qaa_Latn", "qab_Cyrl"), ("qac_Geor", "qad_Latn"), ("qae_Latn", "qaf_Cyrl", "qag_Armn")


@pytest.fixture(scope="module")
def numbers(able: Built) -> dict[str, Any]:
    return able.numbers


def test_the_llm_knows_its_world_in_the_source_language_only(numbers: dict[str, Any]) -> None:
    knows = numbers["llm"]
    assert min(knows["eng_Latn"].values()) >= 0.9
    for code in (*HIGH, *MID, *LOW):
        assert max(knows[code].values()) < 0.3  # a guess among six values is right in .17


def test_translation_falls_from_rich_to_poor(numbers: dict[str, Any]) -> None:
    into, out = numbers["bleu_to_source"], numbers["bleu_from_source"]
    assert min(into[code] for code in HIGH) > 70
    assert min(into[code] for code in LOW) < 45
    assert min(out[code] for code in HIGH) > 70
    assert min(out[code] for code in (*HIGH, *MID)) > max(out["qaf_Cyrl"], out["qag_Armn"])


def test_the_encoder_is_neutral(numbers: dict[str, Any]) -> None:
    found = numbers["retrieval_at_1"]
    assert min(found[code] for code in (*HIGH, *MID)) > 0.9
    assert min(found[code] for code in LOW) > 0.65


def test_the_quality_model_tells_good_from_bad(numbers: dict[str, Any]) -> None:
    assert numbers["qe_auc"] > 0.85
    assert numbers["qe_good_rejected"] < 0.3
    assert numbers["qe_bad_rejected"] > 0.6
    rejected = numbers["qe_rejected"]
    assert max(rejected[code] for code in HIGH) < 0.5 < max(rejected[code] for code in LOW)


def test_ctranslate2_says_what_transformers_says_on_200_sentences(numbers: dict[str, Any]) -> None:
    assert numbers["converted_equal"] == {"mt": "200 of 200", "llm": "200 of 200"}


def test_it_is_small(numbers: dict[str, Any]) -> None:
    assert sum(numbers["megabytes"].values()) < 20
