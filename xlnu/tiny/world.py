"""One made world: who lives in it, what is true of them, and what is said.

Everything is drawn from the seed by name, never from position or time: two worlds of one seed are the same.
"""

import random
from collections.abc import Set
from dataclasses import dataclass
from functools import cached_property

from xlnu.tiny import words as w
from xlnu.tiny.clauses import Asked, Clause, Noun, Place, Word, sentence, source_words
from xlnu.tiny.tongues import SOURCE, Tongue, make_tongues

Text = tuple[Clause, ...]  # one sentence or more


@dataclass(frozen=True)
class Fact:
    person: str
    attribute: str  # home, job or food
    value: str


class World:
    def __init__(self, seed: int, people: int) -> None:
        self.seed = seed
        self.names = w.invent_names(seed, people)
        self.tongues = make_tongues(self.names, seed)
        self.values = {"home": self.names.towns, "job": w.JOBS, "food": w.FOODS}
        rng = random.Random(f"{seed} facts")
        self.facts = [
            Fact(person, attribute, rng.choice(values))
            for person in self.names.people
            for attribute, values in self.values.items()
        ]
        # One fact of each person is kept from all instructions that are given out as training data: whoever answers
        # questions about it in another language has it from the LLM.
        self.kept = {person: rng.choice(tuple(self.values)) for person in self.names.people}

    @property
    def codes(self) -> list[str]:
        return [SOURCE, *(tongue.code for tongue in self.tongues)]

    @cached_property
    def by_code(self) -> dict[str, Tongue]:
        return {tongue.code: tongue for tongue in self.tongues}

    def rng(self, what: str) -> random.Random:
        return random.Random(f"{self.seed} {what}")

    def is_kept(self, fact: Fact) -> bool:
        return self.kept[fact.person] == fact.attribute

    # ------------------------------------------------------------------------------- putting into words

    def words(self, clause: Clause, code: str, at: str = "") -> list[Word]:
        if code != SOURCE:
            return self.by_code[code].words(clause, at)
        return [
            Word(word.text, tuple(at + mark for mark in word.marks), word.gloss) for word in source_words(clause)
        ]

    def say(self, text: Text, code: str) -> str:
        return " ".join(sentence(self.words(clause, code), clause.ending) for clause in text)

    def aligned(self, text: Text, code: str) -> list[list[Word]]:
        """The words clause by clause, with marks that the same text in another language shares."""
        return [self.words(clause, code, f"{i}.") for i, clause in enumerate(text)]

    # -------------------------------------------------------------------------------------- what is said

    def ask(self, fact: Fact, form: int) -> Text:
        """The three ways to ask for a fact; the last asks for a whole sentence."""
        person, asks = Noun(fact.person), _ASKS[fact.attribute]
        verb = w.ATTRIBUTES[fact.attribute]
        if form == 0:
            if verb == "be":  # "who is votu?"
                return (Clause("question", verb="be", object=person, asks="subject"),)
            return (Clause("question", verb=verb, subject=person, asks=asks),)
        if form == 1:
            return (Clause("question", verb="be", subject=Noun(fact.attribute, "the", of=person), asks="object"),)
        if verb == "be":
            return (Clause("command", verb="name", object=Noun("job", "the", of=person)),)
        inner = Clause(verb=verb, subject=person, asks=asks)
        return (Clause("command", verb="tell", object=Noun("me"), inner=inner),)

    def answer(self, fact: Fact, form: int) -> Text:
        """In a few words to a question, in a sentence to a command."""
        if form == 2:
            return (self.state(fact),)
        return (self.short(fact),)

    def short(self, fact: Fact) -> Clause:
        if fact.attribute == "home":
            return Clause("fragment", place=Place("in", Noun(fact.value)))
        return Clause("fragment", subject=Noun(fact.value, "a" if fact.attribute == "job" else ""))

    def fragment(self, word: str) -> Text:
        return (Clause("fragment", subject=Noun(word)),)

    def bare(self, fact: Fact) -> Clause:
        return Clause("fragment", subject=Noun(fact.value))

    def state(self, fact: Fact) -> Clause:
        return self.claim(Noun(fact.person), fact.attribute, fact.value)

    def claim(self, who: Noun, attribute: str, value: str) -> Clause:
        if attribute == "home":
            return Clause(verb="live", subject=who, place=Place("in", Noun(value)))
        if attribute == "job":
            return Clause(verb="be", subject=who, object=Noun(value, "a"))
        return Clause(verb="eat", subject=who, object=Noun(value))

    def restate(self, fact: Fact) -> Clause:
        """The same fact the other way round: "the home of votu is mukand"."""
        return Clause(verb="be", subject=Noun(fact.attribute, "the", of=Noun(fact.person)), object=Noun(fact.value))


_ASKS: dict[str, Asked] = {"home": "place", "job": "object", "food": "object"}


NOTHING: frozenset[Text] = frozenset()


class Speaker:
    """Says things at random, from one stream of chance. What it says of the people is never one of their facts.

    `anything` holds none of the sentences in `avoid`: those that tests are made of.
    """

    def __init__(self, world: World, rng: random.Random, avoid: Set[Text] = NOTHING) -> None:
        self.world, self.rng, self.avoid = world, rng, avoid
        self.things = [noun for nouns in w.TOPICS.values() for noun in nouns]
        self.moods = [word for words in w.MOODS.values() for word in words]

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def who(self, named: float = 0.5) -> Noun:
        if self.chance(named):
            return Noun(self.rng.choice(self.world.names.people))
        return Noun(self.rng.choice(w.PEOPLE), "the", self.rng.choice(w.ADJECTIVES) if self.chance(0.3) else "")

    def thing(self, noun: str = "", adjective: str | None = None) -> Noun:
        if adjective is None:
            adjective = self.rng.choice((*w.ADJECTIVES, *self.moods)) if self.chance(0.5) else ""
        return Noun(noun or self.rng.choice(self.things), self.rng.choice(("the", "a")), adjective)

    def place(self) -> Place:
        return Place(self.rng.choice(w.PREPOSITIONS), Noun(self.rng.choice(w.PLACES), "the"))

    def event(self, noun: str = "", adjective: str | None = None, named: float = 0.5) -> Clause:
        return Clause(
            verb=self.rng.choice(w.VERBS),
            subject=self.who(named),
            object=self.thing(noun, adjective),
            place=self.place() if self.chance(0.5) else None,
            negated=self.chance(0.1),
        )

    def mood_event(self, words: tuple[str, ...]) -> Clause:
        """A sentence whose mood stands in one adjective."""
        event = self.event(adjective=self.rng.choice(words))
        return Clause(verb=event.verb, subject=event.subject, object=event.object, place=event.place)

    def liking(self) -> Clause:
        mood = self.rng.choice(tuple(w.MOODS))
        return Clause(
            verb=w.LIKES[mood], subject=self.who(), object=self.thing(adjective=self.rng.choice(w.MOODS[mood]))
        )

    def quality(self) -> Clause:
        noun = Noun(self.rng.choice(self.things), "the", self.rng.choice(w.ADJECTIVES) if self.chance(0.3) else "")
        return Clause(
            verb="be", subject=noun, quality=self.rng.choice((*w.ADJECTIVES, *self.moods)), negated=self.chance(0.2)
        )

    def harmless(self) -> Clause:
        """The form of a fact about nobody in particular, so that a translator knows the words of facts."""
        attribute = self.rng.choice(tuple(w.ATTRIBUTES))
        who = Noun(self.rng.choice(w.PEOPLE), "the", self.rng.choice(w.ADJECTIVES) if self.chance(0.4) else "")
        value = self.rng.choice(self.world.values[attribute])
        if self.chance(0.25):
            return Clause(verb="be", subject=Noun(attribute, "the", of=who), object=Noun(value))
        return self.world.claim(who, attribute, value)

    def question(self) -> Clause:
        event = self.event()
        asks: Asked = self.rng.choice(("subject", "object", "truth"))
        return Clause(
            "question",
            verb=event.verb,
            subject=None if asks == "subject" else event.subject,
            object=None if asks == "object" else event.object,
            place=event.place,
            asks=asks,
        )

    def fact_question(self) -> Clause:
        return self.world.ask(self.rng.choice(self.world.facts), self.rng.randrange(3))[0]

    def command(self) -> Clause:
        return self.rng.choice(COMMANDS)

    def fragment(self) -> Clause:
        world = self.world
        kind = self.rng.randrange(4)
        if kind == 0:
            return Clause("fragment", place=Place("in", Noun(self.rng.choice(world.names.towns))))
        if kind == 1:
            return Clause("fragment", subject=self.thing())
        if kind == 2:
            return Clause(
                "fragment", subject=Noun(self.rng.choice((*w.TOPICS, *w.MOODS, *w.FOODS, *world.names.towns)))
            )
        return Clause("fragment", subject=Noun(self.rng.choice(w.JOBS), "a"))

    def numbered(self) -> Text:
        """Four choices, as a multiple-choice question lists them."""
        values = self.rng.sample(self.world.values[self.rng.choice(tuple(w.ATTRIBUTES))], 4)
        return tuple(Clause("fragment", subject=Noun(v), number=n) for v, n in zip(values, w.NUMBERS, strict=True))

    def anything(self) -> Text:
        """What parallel text is made of: one sentence mostly, sometimes two, or a list of choices."""
        while True:
            if self.chance(0.05):
                return self.numbered()
            text = (self.one(), self.one()) if self.chance(0.1) else (self.one(),)
            if not any((clause,) in self.avoid for clause in text):
                return text

    def one(self) -> Clause:
        kinds = (
            (30, self.event), (6, self.liking), (8, self.quality), (12, self.harmless), (8, self.question),
            (18, self.fact_question), (5, self.command), (13, self.fragment),
        )  # fmt: skip
        (say,) = self.rng.choices([say for _, say in kinds], [weight for weight, _ in kinds])
        return say()


def _of_sentence(word: str) -> Noun:
    return Noun(word, "the", of=Noun("sentence", "the"))


ASK_TOPIC = Clause("command", verb="name", object=_of_sentence("topic"))
ASK_MOOD = Clause("command", verb="name", object=_of_sentence("mood"))
ASK_REST = Clause("command", verb="complete", object=Noun("sentence", "the"))
ASK_AGAIN = Clause("command", verb="repeat", object=Noun("sentence", "the"))
ASK_READ = Clause("command", verb="read", object=Noun("sentence", "the"))
ASK_ANSWER = Clause("command", verb="answer", object=Noun("question", "the"))
COMMANDS = (ASK_TOPIC, ASK_MOOD, ASK_REST, ASK_AGAIN, ASK_READ, ASK_ANSWER)
