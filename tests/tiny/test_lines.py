"""Words and pieces: which piece belongs to which word, and words that change places with their translations."""

import random
from typing import Any

import pytest

from xlnu.tiny.lines import Line, make_lines, shared, switch
from xlnu.tiny.tongues import SOURCE
from xlnu.tiny.vocabularies import translation_tokenizer
from xlnu.tiny.world import Speaker, Text, World


@pytest.fixture(scope="module")
def world() -> World:
    return World(seed=0, people=12)


@pytest.fixture(scope="module")
def texts(world: World) -> list[Text]:
    speaker = Speaker(world, world.rng("lines"))
    return [speaker.anything() for _ in range(60)]


@pytest.fixture(scope="module")
def tokenizer(world: World, texts: list[Text]) -> Any:
    """Of few tokens, so that words come in several pieces."""
    return translation_tokenizer(
        [world.say(text, code) for text in texts for code in world.codes], world.codes, 400
    )


@pytest.fixture(scope="module")
def lines(world: World, texts: list[Text], tokenizer: Any) -> dict[str, list[Line]]:
    return {code: make_lines(world, texts, code, tokenizer) for code in world.codes}


def test_spans_hold_just_their_word(lines: dict[str, list[Line]], tokenizer: Any) -> None:
    several = 0
    for made in lines.values():
        for line in made:
            words = line.text.replace(".", "").replace("?", "").split()
            assert [tokenizer.decode(line.ids[a:b]).strip() for a, b in line.spans] == words
            several += sum(b - a > 1 for a, b in line.spans)
            assert tokenizer.decode(line.ids) == line.text
    assert several > 100


def test_shared_words_are_translations(world: World, lines: dict[str, list[Line]], tokenizer: Any) -> None:
    tongue = world.by_code["qaa_Latn"]
    known = 0
    for one, other in zip(lines["qaa_Latn"], lines[SOURCE], strict=True):
        for (a, b), (c, d) in shared(one, other):
            said, meant = tokenizer.decode(one.ids[a:b]).strip(), tokenizer.decode(other.ids[c:d]).strip()
            try:
                expected = tongue.word(meant)
            except KeyError:  # an inflected form or an article
                continue
            known += 1
            assert said == expected
    assert known > 100


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_switching_replaces_words_and_keeps_their_places(lines: dict[str, list[Line]], p: float) -> None:
    for one, other in zip(lines["qab_Cyrl"], lines[SOURCE], strict=True):
        mixed = switch(one, other, p, random.Random(0))
        assert mixed.marks == one.marks
        assert mixed.code == one.code
        foreign = dict(shared(one, other))
        for before, after in zip(one.spans, mixed.spans, strict=True):
            now = mixed.ids[slice(*after)]
            assert now == (
                other.ids[slice(*foreign[before])] if p and before in foreign else one.ids[slice(*before)]
            )
        if not p:
            assert mixed.ids == one.ids
