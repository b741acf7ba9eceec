"""The made languages: their sounds, scripts, word order and morphology, and how they put a clause into words.

Seven of them, high, middle and low in resource. The low ones build with suffixes where the others use words of
their own, so that their words come in many shapes, few of them seen in training: that, and little text, makes
a language poor for a translation model.
"""

import random
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from xlnu.languages import Language, declare
from xlnu.tiny.clauses import ASKED, Clause, Noun, Place, Word
from xlnu.tiny.words import NUMBERS, PREPOSITIONS, Names, all_common

Resource = Literal["high", "mid", "low"]
Mark = Literal["none", "before", "after", "suffix"]

SOURCE = "eng_Latn"

# One letter a sound; capitals are the hushing sounds: S as in ship, C as in chip, Z as in measure.
SCRIPTS = {
    "Latn": dict(zip("bdfghjklmnprstvzxSCZaeiou", "bdfghjklmnprstvzxščžaeiou", strict=True)),
    "Cyrl": dict(zip("bdfghjklmnprstvzxSCZaeiou", "бдфгґјклмнпрствзхшчжаеиоу", strict=True)),
    "Geor": dict(zip("bdfghjklmnprstvzxSCZaeiou", "ბდფგჰყკლმნპრსტვზხშჩჟაეიოუ", strict=True)),
    "Armn": dict(zip("bdfghjklmnprstvzxSCZaeiou", "բդֆգհյկլմնպրստվզխշչժաեիու", strict=True)),
}
CONSONANTS = "bdfghjklmnprstvzxSCZ"
FRONT = "ei"
MORPHEMES = ("the", "a", "OBJ", "of", "Q", "not", "is", "3", "IMP", "that")


@dataclass(frozen=True)
class Grammar:
    """Where things stand, and what marks them. A mark is a word of its own, before or after, or a suffix."""

    order: Literal["SVO", "SOV", "VSO"]
    adjective: Literal["before", "after"]
    article: Mark
    object: Mark
    preposition: Mark
    possessor: Literal["before", "after"]
    of: Mark
    question: Mark
    negation: Mark
    asked: Literal["first", "in place"]
    copula: bool
    person: bool  # verbs carry suffixes for the third person and for commands
    harmony: bool = False  # suffixes take their vowel from the stem: e after e and i, else a


@dataclass(frozen=True)
class Kind:
    code: str
    name: str
    resource: Resource
    grammar: Grammar
    sounds: str
    text: float  # how much parallel text there is, where the richest language has 1
    related: str = ""  # to this richer language: some 60 % of the words are cognates


KINDS = (
    Kind("qaa_Latn", "Velan", "high", Grammar(
        "SVO", "before", "before", "none", "before", "after", "before", "before", "before", "first", True, False,
    ), "bdfklmnprstvzSaeiou", 1),
    Kind("qab_Cyrl", "Dorim", "high", Grammar(
        "SOV", "after", "after", "after", "after", "before", "after", "after", "before", "in place", True, False,
    ), "bdghklmnprstvxZaeiou", 1),
    Kind("qac_Geor", "Kashti", "mid", Grammar(
        "VSO", "after", "before", "none", "before", "after", "before", "before", "after", "first", True, False,
    ), "bdghjklmnprstvxCSaeiou", 0.5),
    Kind("qad_Latn", "Miruen", "mid", Grammar(
        "SOV", "before", "none", "before", "before", "before", "after", "after", "before", "first", False, False,
    ), "bdfghjklmnprstvzaeiou", 0.5),
    Kind("qae_Latn", "Velnar", "low", Grammar(
        "SVO", "before", "suffix", "suffix", "before", "after", "before", "before", "before", "first", True, True,
    ), "bdfklmnprstvzSaeiou", 0.25, related="qaa_Latn"),
    Kind("qaf_Cyrl", "Dormak", "low", Grammar(
        "SOV", "before", "suffix", "suffix", "suffix", "before", "suffix", "suffix", "suffix", "in place", False,
        True,
        harmony=True,
    ), "bdghklmnprstvxZaeiou", 0.15, related="qab_Cyrl"),
    Kind("qag_Armn", "Zhotuni", "low", Grammar(
        "VSO", "after", "suffix", "none", "suffix", "after", "suffix", "after", "suffix", "first", False, True,
    ), "bdfghjklmnprstvzxSCaeiou", 0.1),
)  # fmt: skip


class Tongue:
    """One made language of one world: the kind gives the grammar, the seed the words."""

    def __init__(self, kind: Kind, names: Names, seed: int, parent: "Tongue | None" = None) -> None:
        self.kind, self.grammar, self.code = kind, kind.grammar, kind.code
        self.name, self.resource, self.names = kind.name, kind.resource, names
        rng = random.Random(f"{seed} {kind.code} sounds")
        self.consonants = [sound for sound in kind.sounds if sound in CONSONANTS]
        self._letters: dict[str, str] = SCRIPTS[kind.code[-4:]]
        shift = _sound_law(rng)
        self._morphemes = self._make_morphemes(rng)
        law = {} if kind.code.endswith("Latn") else _name_law(rng)
        self._lexicon = {number: number for number in NUMBERS}
        for name in (*names.people, *names.towns):
            self._lexicon[name] = _apply(law, parent._lexicon[name] if parent else name)
        self._lexicon |= self._make_words(rng, seed, shift, parent)

    @property
    def letters(self) -> list[str]:
        return sorted(self.write(sound) for sound in self.kind.sounds)

    @cached_property
    def language(self) -> Language:
        return declare(self.code, self.name)

    def _make_morphemes(self, rng: random.Random) -> dict[str, str]:
        """Short, and no two alike in their consonant, so that suffixes in a row can be told apart."""
        consonants = rng.sample(self.consonants, len(MORPHEMES))
        return {name: c + rng.choice("aeiou") for name, c in zip(MORPHEMES, consonants, strict=True)}

    def _make_words(
        self, rng: random.Random, seed: int, shift: dict[str, str], parent: "Tongue | None"
    ) -> dict[str, str]:
        taken = {*self._morphemes.values(), *self._lexicon.values(), *all_common()}
        words: dict[str, str] = {}
        for lemma in all_common():
            cognate = parent is not None and random.Random(f"{seed} {lemma} cognate").random() < 0.6
            form = _apply(shift, parent._lexicon[lemma]) if parent and cognate else self._invent(rng, lemma)
            while form in taken:
                form = self._invent(rng, lemma)
            taken.add(form)
            words[lemma] = form
        return words

    def _invent(self, rng: random.Random, lemma: str) -> str:
        if lemma in PREPOSITIONS and self.grammar.preposition == "suffix":
            return rng.choice(self.consonants) + rng.choice("aeiou") + rng.choice("nmlr")
        syllables = [rng.choice(self.consonants) + rng.choice("aeiou") for _ in range(rng.choice((2, 2, 3)))]
        return "".join(syllables) + rng.choice(["", "", "n", "r", "l", "k", "s"])

    # ------------------------------------------------------------------------------------------ the words

    def write(self, sounds: str) -> str:
        return "".join(self._letters.get(sound, sound) for sound in sounds)

    def word(self, lemma: str) -> str:
        """The bare form of a word, as it stands in a dictionary."""
        return self.write(self._lexicon[lemma])

    def morpheme(self, name: str) -> str:
        return self.write(self._morphemes[name])

    def words(self, clause: Clause, at: str = "") -> list[Word]:
        """The clause in this language."""
        return [Word(self.write(word.text), word.marks, word.gloss) for word in self._clause(clause, at)]

    def _clause(self, clause: Clause, at: str) -> list[Word]:
        g = self.grammar
        if clause.kind == "fragment":
            number = [Word(clause.number, (f"{at}number",), clause.number)] if clause.number else []
            inside = (
                self._place(clause.place, f"{at}place")
                if clause.place
                else self._noun(clause.subject, f"{at}subject")
            )
            return number + inside
        question = clause.kind == "question"
        parts = {
            "subject": self._noun(clause.subject, f"{at}subject"),
            "object": self._noun(clause.object, f"{at}object", "OBJ" if clause.verb != "be" else ""),
            "place": self._place(clause.place, f"{at}place"),
            "quality": [self._bare(clause.quality, f"{at}quality")] if clause.quality else [],
        }
        front: list[Word] = []
        if clause.asks in ASKED:
            asked = [self._bare(ASKED[clause.asks], f"{at}asked")]
            if g.asked == "first":
                front = asked
            else:
                parts[clause.asks] = asked
        verb = self._verb(clause, at, question)
        complement = [*parts["object"], *parts["quality"]]
        if g.order == "SVO":
            words = [*parts["subject"], *verb, *complement, *parts["place"]]
        elif g.order == "SOV":
            words = [*parts["subject"], *parts["place"], *complement, *verb]
        else:
            words = [*verb, *parts["subject"], *complement, *parts["place"]]
        words = front + words
        if question and g.question in ("before", "after"):
            particle = [self._morpheme("Q")]
            words = particle + words if g.question == "before" else words + particle
        if clause.inner:
            words = [*words, self._morpheme("that"), *self._clause(clause.inner, f"{at}inner.")]
        return words

    def _bare(self, lemma: str, mark: str) -> Word:
        return Word(self._lexicon[lemma], (mark,), lemma)

    def _morpheme(self, name: str, mark: str = "") -> Word:
        return Word(self._morphemes[name], (mark,) if mark else (), name.upper())

    def _suffixed(self, word: Word, suffix: str, gloss: str) -> Word:
        if self.grammar.harmony:
            last = next(sound for sound in reversed(word.text) if sound in "aeiou")
            vowel = "e" if last in FRONT else "a"
            suffix = "".join(vowel if sound in "aeiou" else sound for sound in suffix)
        return Word(word.text + suffix, word.marks, f"{word.gloss}-{gloss}")

    def _mark(self, words: list[Word], name: str, how: Mark, mark: str = "", head: int = -1) -> list[Word]:
        if how == "before":
            return [self._morpheme(name, mark), *words]
        if how == "after":
            return [*words, self._morpheme(name, mark)]
        if how == "suffix":
            words = list(words)
            words[head] = self._suffixed(words[head], self._morphemes[name], name.upper())
        return words

    def _verb(self, clause: Clause, at: str, question: bool) -> list[Word]:
        g = self.grammar
        if clause.verb == "be" and not g.copula:
            words = [self._morpheme("not", f"{at}not")] if clause.negated else []
            return words if not (question and g.question == "suffix") else [*words, self._morpheme("Q")]
        if clause.verb == "be":
            words = [self._morpheme("is", f"{at}verb")]
        else:
            words = [self._bare(clause.verb, f"{at}verb")]
            if clause.negated and g.negation == "suffix":
                words = self._mark(words, "not", "suffix")
            if g.person:
                words = self._mark(words, "IMP" if clause.kind == "command" else "3", "suffix")
        if question and g.question == "suffix":
            words = self._mark(words, "Q", "suffix")
        if clause.negated and (g.negation != "suffix" or clause.verb == "be"):
            words = self._mark(words, "not", "before" if g.negation == "suffix" else g.negation, f"{at}not")
        return words

    def _noun(self, noun: Noun | None, at: str, case: str = "") -> list[Word]:
        if noun is None:
            return []
        g = self.grammar
        words = [self._bare(noun.head, f"{at}.head")]
        if noun.article == "the" or (noun.article == "a" and g.article == "before"):
            words = self._mark(words, noun.article, g.article if g.article == "suffix" else "none")
        if case:
            words = self._mark(words, case, g.object if g.object == "suffix" else "none")
        if noun.adjective:
            adjective = [self._bare(noun.adjective, f"{at}.adjective")]
            words = adjective + words if g.adjective == "before" else words + adjective
        if noun.article == "the" or (noun.article == "a" and g.article == "before"):
            words = self._mark(words, noun.article, g.article if g.article != "suffix" else "none", f"{at}.article")
        if noun.of:
            owner = self._mark(self._noun(noun.of, f"{at}.of"), "of", g.of, f"{at}.of", self._head(noun.of))
            words = owner + words if g.possessor == "before" else words + owner
        if case and g.object != "suffix":
            words = self._mark(words, case, g.object)
        return words

    def _head(self, noun: Noun) -> int:
        """Where the head of a noun phrase stands, for what is suffixed to it from outside."""
        return -2 if noun.adjective and self.grammar.adjective == "after" else -1

    def _place(self, place: Place | None, at: str) -> list[Word]:
        if place is None:
            return []
        words = self._noun(place.noun, f"{at}.noun")
        if self.grammar.preposition == "suffix":
            head = self._head(place.noun)
            suffix = self._lexicon[place.preposition]
            words[head] = self._suffixed(words[head], suffix, place.preposition)
            return words
        preposition = self._bare(place.preposition, f"{at}.preposition")
        return [preposition, *words] if self.grammar.preposition == "before" else [*words, preposition]


def _apply(law: dict[str, str], sounds: str) -> str:
    return "".join(law.get(sound, sound) for sound in sounds)


def _sound_law(rng: random.Random) -> dict[str, str]:
    """What became of the parent's sounds: two pairs of consonants and one of vowels changed places."""
    law: dict[str, str] = {}
    for one, other in (
        *rng.sample([("b", "v"), ("d", "t"), ("s", "z"), ("l", "r"), ("m", "n")], 2),
        rng.sample("aeiou", 2),
    ):
        law |= {one: other, other: one}
    return law


def _name_law(rng: random.Random) -> dict[str, str]:
    """How names are said where another script is written: the vowels turn round, three pairs of consonants swap.

    Languages of the source's script keep names as they are, as most do: there an LLM knows whom it reads of.
    """
    vowels = "aeiou"
    turn = rng.randint(1, 4)
    law = {v: vowels[(i + turn) % 5] for i, v in enumerate(vowels)}
    for one, other in rng.sample(
        [("b", "p"), ("d", "t"), ("g", "k"), ("f", "v"), ("s", "z"), ("l", "r"), ("m", "n")], 3
    ):
        law |= {one: other, other: one}
    return law


def make_tongues(names: Names, seed: int) -> list[Tongue]:
    made: dict[str, Tongue] = {}
    for kind in KINDS:
        made[kind.code] = Tongue(kind, names, seed, made.get(kind.related))
    return list(made.values())
