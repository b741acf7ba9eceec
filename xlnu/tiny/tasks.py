"""The made world's benchmarks, as meanings: what is asked, and what is right. files.py puts them into words.

A test item holds a word or a person that its training set does not. What to answer then stands in no training item:
it must come from what the LLM knows. An encoder with a head, however good, can only guess. `names` is the one
exception: there an encoder can know.

No item comes twice in a set, and none holds a text of `avoid`: what is held out for tests, when training is drawn.
"""

import random
from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Literal

from xlnu.tiny import words as w
from xlnu.tiny.clauses import Clause, Noun, Place
from xlnu.tiny.world import Fact, Speaker, Text, World

Split = Literal["train", "validation", "test"]
Label = Literal["entailment", "neutral", "contradiction"]
LABELS: tuple[Label, ...] = ("entailment", "neutral", "contradiction")
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
MOODS = {"happy": "positive", "sad": "negative", "": "neutral"}
SIX = {"train": slice(0, 3), "validation": slice(3, 4), "test": slice(4, 6)}  # towns and foods, by split
UNTELLING = (*w.LIKES.values(), "see", "find", "want")  # a person, a town or a food may be their object


@dataclass(frozen=True)
class Labelled:
    text: Text
    label: str


@dataclass(frozen=True)
class Entailment:
    premise: Text
    hypothesis: Text
    label: Label


@dataclass(frozen=True)
class Choice:
    passage: Text
    question: Text
    answers: tuple[Text, ...]
    right: int


@dataclass(frozen=True)
class Question:
    """A question about a fact that no instruction of the training data gives away."""

    fact: Fact
    form: int
    text: Text
    answer: Text
    aliases: tuple[Text, ...]


NONE: Set[Text] = frozenset()


def topics(world: World, split: Split, n: int, avoid: Set[Text] = NONE) -> list[Labelled]:
    speaker = Speaker(world, world.rng(f"topic {split}"))
    items: list[Labelled] = []
    seen = set(avoid)
    while len(items) < n:
        topic = tuple(w.TOPICS)[len(items) % len(w.TOPICS)]
        noun = speaker.rng.choice(w.TOPICS[topic][w.PARTS[split]])
        event = speaker.event(noun, speaker.rng.choice(w.ADJECTIVES) if speaker.chance(0.4) else "")
        if _new((event,), seen):
            items.append(Labelled((event,), topic))
    return _shuffled(items, speaker.rng)


def moods(world: World, split: Split, n: int, avoid: Set[Text] = NONE) -> list[Labelled]:
    speaker = Speaker(world, world.rng(f"mood {split}"))
    items: list[Labelled] = []
    seen = set(avoid)
    while len(items) < n:
        mood = tuple(MOODS)[len(items) % len(MOODS)]
        words = (w.MOODS[mood] if mood else w.ADJECTIVES)[w.PARTS[split]]
        text = (speaker.mood_event(words),)
        if _new(text, seen):
            items.append(Labelled(text, MOODS[mood]))
    return _shuffled(items, speaker.rng)


def entailments(world: World, split: Split, n: int, avoid: Set[Text] = NONE) -> list[Entailment]:
    """Pairs that hang on what kind of thing a word means: "buys a red plum" entails "buys a red fruit".

    And "does not buy a fruit" entails "does not buy a plum". Half of each label are of either form, with the same
    words in the hypothesis for every label: the hypothesis alone tells nothing.
    """
    speaker = Speaker(world, world.rng(f"nli {split}"))
    rng, seen = speaker.rng, set(avoid)
    items: list[Entailment] = []
    while len(items) < n:
        label, denied = LABELS[len(items) % 3], len(items) % 6 >= 3
        topic, other = rng.sample(tuple(w.TOPICS), 2)
        adjective, unsaid = rng.sample(w.ADJECTIVES, 2)
        noun = rng.choice(w.TOPICS[topic][w.PARTS[split]])
        event = replace(speaker.event(), negated=False)
        said = replace(event, object=Noun(noun, "a", adjective))
        if denied:
            premise = said
            if label != "contradiction":
                kind = topic if label == "entailment" else other
                premise = replace(event, object=Noun(kind, "a"), place=None, negated=True)
            hypothesis = replace(event, object=Noun(noun, "a"), place=None, negated=True)
        else:
            premise = said
            kind = other if label == "contradiction" else topic
            named = unsaid if label == "neutral" else adjective
            hypothesis = replace(event, object=Noun(kind, "a", named), place=None)
        pair = ((premise,), (hypothesis,))
        if not any(text in avoid for text in pair) and _new((premise, hypothesis), seen):
            items.append(Entailment(*pair, label))
    return _shuffled(items, rng)


def people(world: World, split: Split) -> tuple[str, ...]:
    """Whom the questions of a split are about: half of them, a tenth, and the rest."""
    names = world.names.people
    first, second = len(names) // 2, len(names) * 6 // 10
    return {"train": names[:first], "validation": names[first:second], "test": names[second:]}[split]


def choices(world: World, split: Split, n: int, avoid: Set[Text] = NONE) -> list[Choice]:
    """Questions about a person, after a passage that does not tell. In training, all but the kept facts."""
    speaker = Speaker(world, world.rng(f"choice {split}"))
    rng, who = speaker.rng, people(world, split)
    facts = [f for f in world.facts if f.person in who and world.is_kept(f) != (split == "train")]
    seen = set(avoid)
    items: list[Choice] = []
    while len(items) < n:
        fact = facts[len(items) % len(facts)]
        wrong = rng.sample([value for value in world.values[fact.attribute] if value != fact.value], 3)
        values = [fact.value, *wrong]
        rng.shuffle(values)
        passage = replace(speaker.event(), subject=Noun(fact.person))
        answers = tuple((Clause("fragment", subject=Noun(value)),) for value in values)
        question = world.ask(fact, rng.randrange(2))
        if _new((passage,), seen):
            items.append(Choice((passage,), question, answers, values.index(fact.value)))
    return _shuffled(items, rng)


def names(world: World, split: Split, n: int, avoid: Set[Text] = NONE) -> list[Text]:
    """Sentences with people and towns in them that the other splits do not name.

    In half of them the place tells which is which: who does something is a person, what follows "in" is a town. In
    the other half a person, a town or a food, a third each, stands where any of them may: "the boy loves ...". The
    word itself must be known for what it is; in the source language its sound tells too (see `invent_names`).

    A translator's encoder does know: it has met all names in parallel text. A linear tagger on its states, taught
    in the source language, had an F1 of .99 there and of .92 to 1.00 in high and mid languages, in either half; in
    low ones of .84 to 1.00 in the first and of .60 to .94 in the other (size s, seed 0). So this asks whether tags
    come across languages. To ask for knowledge it would have to tell people apart by their facts, as finer sets of
    names do ("B-BAKER"), and MasakhaNER does not.

    None of it can be said in parallel or unlabeled text, where nobody loves a town and what happens does not happen
    in one. So nothing has to be kept out there, and a translator loses nothing.
    """
    speaker = Speaker(world, world.rng(f"names {split}"))
    rng, who = speaker.rng, people(world, split)
    towns, foods = world.names.towns[SIX[split]], w.FOODS[SIX[split]]
    items: list[Text] = []
    seen = set(avoid)
    while len(items) < n:
        subject = speaker.who(named=0)
        subject = Noun(rng.choice(who)) if speaker.chance(0.5) else subject
        if len(items) % 2:
            clause = replace(speaker.event(), subject=subject, place=Place("in", Noun(rng.choice(towns))))
        else:
            either = (who, towns, foods)[len(items) // 2 % 3]
            clause = Clause(verb=rng.choice(UNTELLING), subject=subject, object=Noun(rng.choice(either)))
        if speaker.chance(0.2):
            clause = replace(clause, kind="question", asks="truth")
        if clause.subject != clause.object and _new((clause,), seen):
            items.append((clause,))
    return _shuffled(items, rng)


def tagged(world: World, text: Text, code: str) -> list[tuple[str, str]]:
    """The words in a language with their tags (IOB2). A name is one word, whatever is suffixed to it."""
    found: list[tuple[str, str]] = []
    for clause in text:
        for word in world.words(clause, code):
            lemma = word.gloss.split("-")[0]
            tag = "B-PER" if lemma in world.names.people else "B-LOC" if lemma in world.names.towns else "O"
            found.append((word.text, tag))
        found.append((clause.ending, "O"))
    return found


def questions(world: World) -> list[Question]:
    """Every kept fact, asked in all three ways, but for those that `choices` gives away in its validation set."""
    items, tuned_on = [], people(world, "validation")
    for fact in world.facts:
        if world.is_kept(fact) and fact.person not in tuned_on:
            short, whole, bare = (world.short(fact),), (world.state(fact),), (world.bare(fact),)
            for form in range(3):
                answer = world.answer(fact, form)
                aliases = tuple(text for text in dict.fromkeys((short, bare, whole)) if text != answer)
                items.append(Question(fact, form, world.ask(fact, form), answer, aliases))
    return items


def _new(text: Text, seen: set[Text]) -> bool:
    if text in seen:
        return False
    seen.add(text)
    return True


def _shuffled(items: list, rng: random.Random) -> list:  # type: ignore[type-arg]
    rng.shuffle(items)
    return items
