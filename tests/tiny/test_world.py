"""The made languages: that they are what they are said to be, and that a seed fixes them."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from xlnu.languages import resolve
from xlnu.tiny import words as w
from xlnu.tiny.clauses import Clause, Noun, Place, source_words
from xlnu.tiny.tongues import KINDS, MORPHEMES, SOURCE, make_tongues
from xlnu.tiny.words import invent_names
from xlnu.tiny.world import Fact, Speaker, World

TOP = Path(__file__).parents[2]
EVENT = Clause(
    verb="carry",
    subject=Noun("girl", "the", "old"),
    object=Noun("apple", "a", "red"),
    place=Place("near", Noun("river", "the")),
)


@pytest.fixture(scope="module")
def world() -> World:
    return World(seed=0, people=60)


@pytest.mark.parametrize(
    ("clause", "text"),
    [
        (EVENT, "the old girl carries a red apple near the river."),
        (Clause(verb="sell", subject=Noun("man", "the"), object=Noun("axe", "a"), negated=True),
         "the man does not sell an axe."),
        (Clause("question", verb="live", subject=Noun("votu"), asks="place"), "where does votu live?"),
        (Clause("question", verb="be", object=Noun("votu"), asks="subject"), "who is votu?"),
        (Clause("question", verb="buy", object=Noun("hat", "the"), asks="subject"), "who buys the hat?"),
        (Clause("question", verb="see", subject=Noun("king", "the"), object=Noun("hat", "a"), asks="truth"),
         "does the king see a hat?"),
        (Clause("question", verb="be", subject=Noun("home", "the", of=Noun("votu")), asks="object"),
         "what is the home of votu?"),
        (Clause("command", verb="tell", object=Noun("me"),
                inner=Clause(verb="eat", subject=Noun("votu"), asks="object")),
         "tell me what votu eats."),
        (Clause(verb="be", subject=Noun("pot", "the"), quality="red", negated=True), "the pot is not red."),
        (Clause("fragment", subject=Noun("mukand"), number="2"), "2 mukand"),
    ],
)  # fmt: skip
def test_the_source_language_is_an_english(world: World, clause: Clause, text: str) -> None:
    assert world.say((clause,), SOURCE) == text


@pytest.mark.parametrize(
    ("code", "gloss"),
    [
        ("qaa_Latn", "THE old girl carry A red apple near THE river"),  # SVO, particles
        ("qab_Cyrl", "girl old THE river THE near apple red OBJ carry"),  # SOV, everything follows
        ("qac_Geor", "carry THE girl old A apple red near THE river"),  # VSO
        ("qad_Latn", "old girl near river OBJ red apple carry"),  # SOV, no articles
        ("qae_Latn", "old girl-THE carry-3 red apple-OBJ near river-THE"),  # suffixes
        ("qaf_Cyrl", "old girl-THE river-THE-near red apple-OBJ carry-3"),  # suffixes on suffixes
        ("qag_Armn", "carry-3 girl-THE old apple red river-THE-near"),
    ],
)
def test_each_language_has_its_own_order_and_morphology(world: World, code: str, gloss: str) -> None:
    assert " ".join(word.gloss for word in world.words(EVENT, code)) == gloss


def test_suffixes_of_the_agglutinating_language_follow_the_vowels_of_the_stem(world: World) -> None:
    tongue = world.by_code["qaf_Cyrl"]
    seen = set()
    for noun in [noun for nouns in w.TOPICS.values() for noun in nouns]:
        (bare,) = (word.text for word in tongue.words(Clause("fragment", subject=Noun(noun))))
        (definite,) = (word.text for word in tongue.words(Clause("fragment", subject=Noun(noun, "the"))))
        last = next(letter for letter in reversed(bare) if letter in "аеиоу")
        assert definite.startswith(bare)
        assert definite[-1] == ("е" if last in "еи" else "а")
        seen.add(definite[-1])
    assert seen == {"а", "е"}


def test_the_languages_are_declared_in_their_scripts(world: World) -> None:
    scripts = {tongue.code: tongue.language.script for tongue in world.tongues}
    assert len(scripts) >= 6
    assert len(set(scripts.values())) >= 3
    declared = [tongue.language for tongue in world.tongues]
    assert resolve("Velan", declared).code == "qaa_Latn"
    letters = {"Cyrl": (0x400, 0x4FF), "Geor": (0x10A0, 0x10FF), "Armn": (0x530, 0x58F), "Latn": (0x61, 0x17F)}
    for tongue in world.tongues:
        low, high = letters[tongue.code[-4:]]
        said = "".join(word.text for word in tongue.words(EVENT))
        assert all(low <= ord(letter) <= high for letter in said)


@pytest.mark.parametrize("seed", range(8))
def test_no_two_words_of_a_language_are_one(seed: int) -> None:
    for tongue in World(seed, people=60).tongues:
        words = [tongue.word(lemma) for lemma in w.all_common()]
        words += [tongue.word(name) for name in (*tongue.names.people, *tongue.names.towns)]
        assert len(set(words)) == len(words), tongue.code


def test_names_stay_in_the_source_script_and_change_in_the_others(world: World) -> None:
    for tongue in world.tongues:
        for name in (*world.names.people, *world.names.towns):
            assert (tongue.word(name) == name) == tongue.code.endswith("Latn")


def test_related_languages_share_most_words_and_others_none_to_speak_of(world: World) -> None:
    def alike(one: str, other: str) -> float:
        """The share of words that have as many letters and agree in two of three."""
        pairs = [(world.by_code[one].word(lemma), world.by_code[other].word(lemma)) for lemma in w.all_common()]
        close = [
            len(a) == len(b) and sum(x == y for x, y in zip(a, b, strict=True)) >= len(a) * 0.4 for a, b in pairs
        ]
        return sum(close) / len(close)

    assert alike("qaa_Latn", "qae_Latn") > 0.35
    assert alike("qab_Cyrl", "qaf_Cyrl") > 0.35
    assert alike("qaa_Latn", "qad_Latn") < 0.1


def test_resources_fall() -> None:
    text = {kind.resource: [other.text for other in KINDS if other.resource == kind.resource] for kind in KINDS}
    assert min(text["high"]) > max(text["mid"])
    assert min(text["mid"]) > max(text["low"])


def test_a_word_and_its_translation_share_a_mark(world: World) -> None:
    english = {mark: word.text for word in source_words(EVENT) for mark in word.marks}
    for code in world.codes[1:]:
        found = {
            word.gloss.split("-")[0]: english[word.marks[0]] for word in world.words(EVENT, code) if word.marks
        }
        assert found["girl"] == "girl"
        assert found["apple"] == "apple"
        assert found["carry"] == "carries"
        assert found["old"] == "old"


def test_facts_are_asked_in_three_ways_and_answered_in_kind(world: World) -> None:
    fact = Fact("votu", "home", "mukand")
    said = [(world.say(world.ask(fact, i), SOURCE), world.say(world.answer(fact, i), SOURCE)) for i in range(3)]
    assert said == [
        ("where does votu live?", "in mukand."),
        ("what is the home of votu?", "in mukand."),
        ("tell me where votu lives.", "votu lives in mukand."),
    ]


def test_of_each_person_one_fact_is_kept(world: World) -> None:
    kept = [fact.person for fact in world.facts if world.is_kept(fact)]
    assert sorted(kept) == sorted(world.names.people)


def test_a_seed_fixes_the_world_in_any_process() -> None:
    script = (
        "import sys; from xlnu.tiny.world import *; world = World(int(sys.argv[1]), 20); "
        "speaker = Speaker(world, world.rng('test')); "
        "print([world.say(speaker.anything(), code) for _ in range(50) for code in world.codes], world.facts)"
    )

    def digest(seed: int, hashing: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", script, str(seed)],
            env={**os.environ, "PYTHONHASHSEED": hashing, "PYTHONPATH": str(TOP)},
            capture_output=True,
            check=True,
        )
        return hashlib.sha256(done.stdout).hexdigest()

    assert digest(0, "1") == digest(0, "2")
    assert digest(0, "1") != digest(1, "1")


def test_a_speaker_avoids_what_is_kept_for_tests(world: World) -> None:
    plain = Speaker(world, world.rng("test"))
    avoid = frozenset((clause,) for _ in range(3000) for clause in plain.anything())
    careful = Speaker(world, world.rng("test"), avoid)
    numbered = [text for _ in range(300) for text in [careful.anything()] if len(text) < 4]
    assert all((clause,) not in avoid for text in numbered for clause in text)


def test_morphemes_of_a_language_can_be_told_apart() -> None:
    names = invent_names(3, 10)
    for tongue in make_tongues(names, 3):
        consonants = [tongue.morpheme(name)[0] for name in MORPHEMES]
        assert len(set(consonants)) == len(MORPHEMES)
