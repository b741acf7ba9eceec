"""The words of the source language: an English of a few hundred words.

Only names of people and towns are invented, by the seed; the rest is the same in every world. What a test must not
have seen in training is split here, by kind: the words of a topic, the words of a mood.
"""

import random
from dataclasses import dataclass

TOPICS: dict[str, tuple[str, ...]] = {
    "fruit": ("apple", "pear", "plum", "grape", "cherry", "melon", "lemon", "peach"),
    "animal": ("horse", "goat", "sheep", "duck", "goose", "rabbit", "donkey", "hen"),
    "tool": ("hammer", "saw", "shovel", "rake", "axe", "needle", "rope", "ladder"),
    "garment": ("shirt", "coat", "hat", "scarf", "glove", "boot", "belt", "skirt"),
    "instrument": ("drum", "flute", "harp", "bell", "fiddle", "horn", "lute", "trumpet"),
    "vessel": ("cup", "pot", "jug", "bowl", "kettle", "jar", "pan", "plate"),
}
MOODS: dict[str, tuple[str, ...]] = {
    "happy": ("good", "lovely", "splendid", "sweet", "superb", "bright", "charming", "perfect"),
    "sad": ("bad", "ugly", "awful", "nasty", "broken", "filthy", "horrid", "useless"),
}
PEOPLE = ("boy", "girl", "man", "woman", "child", "neighbour", "guest", "king")
VERBS = ("carry", "see", "find", "buy", "sell", "want", "clean", "hide", "bring", "hold")
LIKES = {"happy": "love", "sad": "hate"}
ADJECTIVES: tuple[str, ...] = ("red", "old", "small", "big", "new", "heavy", "dark", "round")
PLACES = ("river", "market", "forest", "bridge", "garden", "tower")
PREPOSITIONS = ("near", "in", "behind")
JOBS = ("baker", "doctor", "teacher", "smith", "singer", "weaver")
FOODS = ("bread", "rice", "fish", "soup", "cheese", "honey")
TOWNS = 6
NUMBERS = ("1", "2", "3", "4")

# What a person's three facts are called, and the verb that states each.
ATTRIBUTES = {"home": "live", "job": "be", "food": "eat"}
ABSTRACT = (*ATTRIBUTES, "topic", "mood", "sentence", "question", "word", "language")
COMMANDS = ("name", "tell", "answer", "complete", "repeat", "read", "translate")

PARTS = {
    "train": slice(0, 4),
    "validation": slice(4, 6),
    "test": slice(6, 8),
}  # of the eight words of a topic or mood
THIRD = {"carry": "carries", "be": "is"}


@dataclass(frozen=True)
class Names:
    people: tuple[str, ...]
    towns: tuple[str, ...]


def third_person(verb: str) -> str:
    return THIRD.get(verb, verb + "s")


def invent_names(seed: int, people: int) -> Names:
    """Names of two or three syllables. No two share their consonants: the sound laws of the made languages keep
    little else, and two people must not be one person in translation."""
    rng = random.Random(f"{seed} names")
    taken = set(all_common())
    skeletons: set[str] = set()
    names: list[str] = []
    while len(names) < people + TOWNS:
        town = len(names) >= people
        syllables = [
            rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(2 if town else rng.choice((2, 2, 3)))
        ]
        name = "".join(syllables) + (rng.choice(("nd", "rk", "lm", "st")) if town else "")
        skeleton = "".join(letter for letter in name if letter not in "aeiou")
        if name not in taken and skeleton not in skeletons:
            taken.add(name)
            skeletons.add(skeleton)
            names.append(name)
    return Names(tuple(names[:people]), tuple(names[people:]))


def all_common() -> list[str]:
    """Every word with a meaning of its own, names aside."""
    words = [*TOPICS, *MOODS, *PEOPLE, *VERBS, *LIKES.values(), *ADJECTIVES, *PLACES, *PREPOSITIONS, *JOBS, *FOODS]
    for kind in (*TOPICS.values(), *MOODS.values()):
        words += kind
    words += [*ABSTRACT, *COMMANDS, "live", "eat", "who", "what", "where", "me"]
    return list(dict.fromkeys(words))
