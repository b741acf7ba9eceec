"""A world's data, in the files and formats of the real data sets, so that what reads those reads these.

Tests are drawn first. What training is drawn from passes over every sentence of a test or dev file: the source
language's, and in text of a made language that language's too, where two meanings may be one sentence. No line of
parallel or unlabeled text states a fact of a person. Every file of one language is drawn for itself: with one
language more, the others' files are the same.

- languages.json, facts.json: what there is and what is true
- instructions/train.json: as Alpaca; clean.jsonl is the same without its noise, noise.json says which and where
- dictionaries/ONE-OTHER.txt: as MUSE, whose pairs are separated by a space in some files and by a tab in others
- parallel/ONE-OTHER.ONE and .OTHER: as Moses; unlabeled/CODE.txt: a sentence a line
- topic: SIB-200; sentiment: NusaX; nli: MultiNLI in XNLI's languages; choice: Belebele; ner: MasakhaNER; flores;
  mkqa. What is for training or tuning is in the source language alone, tests are in all
"""

import csv
import dataclasses
import io
import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlnu.tiny import tasks
from xlnu.tiny import words as w
from xlnu.tiny.clauses import Clause, Noun, Place
from xlnu.tiny.tongues import SOURCE, Tongue
from xlnu.tiny.world import ASK_AGAIN, ASK_MOOD, ASK_REST, ASK_TOPIC, Fact, Speaker, Text, World

if TYPE_CHECKING:
    from xlnu.tiny.sizes import Amounts

SOURCE_NAME = "English"
FACTS = 0.6  # share of the instructions that ask for a fact
NOISE = {  # what is wrong with a real file of instructions, and in what share of its records
    "duplicate": 0.02,
    "wrong": 0.015,
    "empty": 0.01,
    "cut": 0.01,
    "blanks": 0.02,
    "missing_output": 0.005,
    "null_input": 0.005,
    "entities": 0.01,
    "newline": 0.01,
}
Record = dict[str, str | None]


def write_all(world: World, amounts: "Amounts", folder: Path) -> None:
    out = _Out(folder)
    _write_world(world, amounts, out)
    _write_instructions(world, amounts, out)
    _write_benchmarks(world, amounts, out)
    _write_unlabeled(world, amounts, SOURCE, out)
    for tongue in world.tongues:
        _write_dictionaries(world, tongue, out)
        _write_parallel(world, amounts, tongue, out)
        _write_unlabeled(world, amounts, tongue.code, out)


# ---------------------------------------------------------------------------- texts, and what they must not hold


def parallel_texts(world: World, amounts: "Amounts", tongue: Tongue) -> list[Text]:
    """What is written in the source language and in the tongue: the files of both kinds, one after the other."""
    texts = _sentences(world, amounts, tongue)
    return texts + _phrases(world, amounts, tongue) if tongue.resource == "low" else texts


def _sentences(world: World, amounts: "Amounts", tongue: Tongue) -> list[Text]:
    speaker = Speaker(world, world.rng(f"parallel {tongue.code}"))
    n = round(tongue.kind.text * amounts.parallel)
    return _draw(world, amounts, tongue.code, speaker.anything, n)


def _phrases(world: World, amounts: "Amounts", tongue: Tongue) -> list[Text]:
    speaker = Speaker(world, world.rng(f"phrases {tongue.code}"))
    return _draw(world, amounts, tongue.code, lambda: (speaker.fragment(),), amounts.phrases)


def unlabeled_texts(world: World, amounts: "Amounts", code: str) -> list[Text]:
    """Single sentences, in one language only."""
    speaker = Speaker(world, world.rng(f"unlabeled {code}"))
    return _draw(world, amounts, code, lambda: (speaker.one(),), amounts.unlabeled)


def _draw(world: World, amounts: "Amounts", code: str, say: Callable[[], Text], n: int) -> list[Text]:
    held, said = held_out(world, amounts), held_out_sentences(world, amounts, code)
    texts: list[Text] = []
    while len(texts) < n:
        text = say()
        ones: list[Text] = [(clause,) for clause in text]
        if not any(one in held or world.say(one, code) in said for one in ones):
            texts.append(text)
    return texts


@dataclasses.dataclass(frozen=True)
class Benchmarks:
    """All that is tested or tuned on. For tuning there is the same in the source language as for tests."""

    topics: dict[tasks.Split, list[tasks.Labelled]]
    moods: dict[tasks.Split, list[tasks.Labelled]]
    entailments: dict[tasks.Split, list[tasks.Entailment]]
    choices: dict[tasks.Split, list[tasks.Choice]]
    names: dict[tasks.Split, list[Text]]
    questions: list[tasks.Question]
    flores: dict[str, list[Text]]

    def texts(self) -> Iterator[Text]:
        for labelled in (*self.topics.values(), *self.moods.values()):
            yield from (item.text for item in labelled)
        for pairs in self.entailments.values():
            yield from (text for pair in pairs for text in (pair.premise, pair.hypothesis))
        for choices in self.choices.values():
            yield from (text for item in choices for text in (item.passage, item.question))
        for texts in self.names.values():
            yield from texts
        yield from (question.text for question in self.questions)
        for said in self.flores.values():
            yield from said


@lru_cache(maxsize=1)
def benchmarks(world: World, amounts: "Amounts") -> Benchmarks:
    sizes: dict[tasks.Split, int] = {"validation": amounts.validation, "test": amounts.test}
    return Benchmarks(
        topics={split: tasks.topics(world, split, n) for split, n in sizes.items()},
        moods={split: tasks.moods(world, split, n) for split, n in sizes.items()},
        entailments={split: tasks.entailments(world, split, n) for split, n in sizes.items()},
        choices={split: tasks.choices(world, split, n) for split, n in sizes.items()},
        names={split: tasks.names(world, split, n) for split, n in sizes.items()},
        questions=tasks.questions(world),
        flores=_flores(world, amounts.flores),
    )


@lru_cache(maxsize=1)
def held_out(world: World, amounts: "Amounts") -> frozenset[Text]:
    """Every sentence of a test or dev file, as a text of its own."""
    return frozenset((clause,) for text in benchmarks(world, amounts).texts() for clause in text)


@lru_cache(maxsize=2)
def held_out_sentences(world: World, amounts: "Amounts", code: str) -> frozenset[str]:
    return frozenset(world.say(text, code) for text in held_out(world, amounts))


def _flores(world: World, n: int) -> dict[str, list[Text]]:
    """Sentences of which there are many: were "in mukand." held out, no translator would learn to say it."""
    seen: set[Clause] = set()
    found: dict[str, list[Text]] = {}
    for split in ("devtest", "dev"):
        speaker = Speaker(world, world.rng(f"flores {split}"))
        found[split] = []
        while len(found[split]) < n:
            text = tuple(_open_sentence(speaker) for _ in range(2 if speaker.chance(0.1) else 1))
            if seen.isdisjoint(text):
                seen.update(text)
                found[split].append(text)
    return found


def _open_sentence(speaker: Speaker) -> Clause:
    says = (speaker.event, speaker.liking, speaker.quality, speaker.harmless, speaker.question)
    (say,) = speaker.rng.choices(says, (30, 6, 8, 12, 8))
    return say()


def _write_parallel(world: World, amounts: "Amounts", tongue: Tongue, out: "_Out") -> None:
    files = {"": _sentences(world, amounts, tongue)}
    if tongue.resource == "low":
        files[".phrases"] = _phrases(world, amounts, tongue)
    for kind, texts in files.items():
        for code in (SOURCE, tongue.code):
            name = f"parallel/{SOURCE}-{tongue.code}{kind}.{code}"
            out.lines(name, (world.say(text, code) for text in texts))


def _write_unlabeled(world: World, amounts: "Amounts", code: str, out: "_Out") -> None:
    texts = unlabeled_texts(world, amounts, code)
    out.lines(f"unlabeled/{code}.txt", (world.say(text, code) for text in texts))


# --------------------------------------------------------------------------------------------- instructions


@dataclasses.dataclass(frozen=True)
class Instruction:
    instruction: str
    input: str
    output: str
    wrong: str = ""  # another answer, of the kind of the right one

    def record(self) -> Record:
        return {"instruction": self.instruction, "input": self.input, "output": self.output}


def instructions(world: World, amounts: "Amounts") -> list[Instruction]:
    """In the source language: facts that are not kept, topics and moods by training words, what to repeat or end.

    If there are more questions than fit, some of them.
    """
    rng, n = world.rng("instructions"), amounts.instructions
    speaker, held = Speaker(world, rng), held_out(world, amounts)
    asked = [(fact, form) for fact in world.facts if not world.is_kept(fact) for form in range(3)]
    rng.shuffle(asked)
    found = [_ask(world, fact, form, rng) for fact, form in asked[: round(FACTS * n)]]
    others = (_topic, _mood, _again, _rest)
    seen: set[Text] = set()
    while len(found) < n:
        (make,) = rng.choices(others, (3, 3, 2, 2))
        text, made = make(world, speaker)
        if text not in held and text not in seen:
            seen.add(text)
            found.append(made)
    rng.shuffle(found)
    return found


def _ask(world: World, fact: Fact, form: int, rng: random.Random) -> Instruction:
    others = [value for value in world.values[fact.attribute] if value != fact.value]
    wrong = dataclasses.replace(fact, value=rng.choice(others))
    question, answer, other = world.ask(fact, form), world.answer(fact, form), world.answer(wrong, form)
    return Instruction(world.say(question, SOURCE), "", world.say(answer, SOURCE), world.say(other, SOURCE))


def _topic(world: World, speaker: Speaker) -> tuple[Text, Instruction]:
    topic = speaker.rng.choice(tuple(w.TOPICS))
    text = (speaker.event(speaker.rng.choice(w.TOPICS[topic][w.PARTS["train"]])),)
    other = speaker.rng.choice([each for each in w.TOPICS if each != topic])
    return text, Instruction(
        world.say((ASK_TOPIC,), SOURCE), world.say(text, SOURCE), _word(world, topic), _word(world, other)
    )


def _mood(world: World, speaker: Speaker) -> tuple[Text, Instruction]:
    mood, other = speaker.rng.sample(tuple(w.MOODS), 2)
    text = (speaker.mood_event(w.MOODS[mood][w.PARTS["train"]]),)
    return text, Instruction(
        world.say((ASK_MOOD,), SOURCE), world.say(text, SOURCE), _word(world, mood), _word(world, other)
    )


def _word(world: World, word: str) -> str:
    return world.say(world.fragment(word), SOURCE)


def _again(world: World, speaker: Speaker) -> tuple[Text, Instruction]:
    text = (_open_sentence(speaker),)
    said = world.say(text, SOURCE)
    return text, Instruction(world.say((ASK_AGAIN,), SOURCE), said, said)


def _rest(world: World, speaker: Speaker) -> tuple[Text, Instruction]:
    text = (speaker.event(),)
    said = world.say(text, SOURCE).split()
    cut = speaker.rng.randint(2, len(said) - 1)
    return text, Instruction(world.say((ASK_REST,), SOURCE), " ".join(said[:cut]), " ".join(said[cut:]))


def with_noise(clean: Sequence[Instruction], rng: random.Random) -> tuple[list[Record], dict[str, list[int]]]:
    """The records as a real file has them, and where each kind of noise is in it. A record has one kind at most."""
    shares = {kind: max(1, round(share * len(clean))) for kind, share in NOISE.items()}
    free = rng.sample(range(len(clean)), len(clean))
    kinds = dict.fromkeys(free, "")
    for kind in ("wrong", "cut", *(kind for kind in NOISE if kind not in ("wrong", "cut"))):  # the choosy first
        fitting = [i for i in free if _fits(kind, clean[i])][: shares[kind]]
        free = [i for i in free if i not in fitting]
        kinds |= dict.fromkeys(fitting, kind)
    rows = [("" if kinds[i] == "duplicate" else kinds[i], each.record()) for i, each in enumerate(clean)]
    for number, (kind, record) in enumerate(rows):
        _spoil(record, kind, clean[number])
    for i in sorted((i for i, kind in kinds.items() if kind == "duplicate"), reverse=True):
        rows.insert(rng.randint(i + 1, len(rows)), ("duplicate", rows[i][1]))
    places: dict[str, list[int]] = {kind: [] for kind in NOISE}
    for place, (kind, _) in enumerate(rows):
        if kind:
            places[kind].append(place)
    return [record for _, record in rows], places


def _fits(kind: str, each: Instruction) -> bool:
    return bool(each.wrong) if kind == "wrong" else " " in each.output if kind == "cut" else True


def _spoil(record: Record, kind: str, was: Instruction) -> None:
    if kind == "wrong":
        record["output"] = was.wrong
    elif kind == "empty":
        record["output"] = ""
    elif kind == "cut":
        record["output"] = was.output[: len(was.output) // 2].rstrip()
    elif kind == "blanks":
        record["instruction"] = " " + was.instruction.replace(" ", "  ", 1)
        record["output"] = was.output + "  "
    elif kind == "missing_output":
        del record["output"]
    elif kind == "null_input":
        record["input"] = None
    elif kind == "entities":
        record["instruction"] = was.instruction[:-1].replace(" ", "&nbsp;", 1) + f"&#{ord(was.instruction[-1])};"
    elif kind == "newline":
        record["output"] = was.output + "\n"


def _write_instructions(world: World, amounts: "Amounts", out: "_Out") -> None:
    clean = instructions(world, amounts)
    records, places = with_noise(clean, world.rng("noise"))
    out.write("instructions/train.json", json.dumps(records, indent=4))
    out.json_lines("instructions/clean.jsonl", (each.record() for each in clean))
    counts = {kind: len(where) for kind, where in places.items()}
    out.json("instructions/noise.json", {"records": len(records), "counts": counts, "at": places})


# --------------------------------------------------------------------------------------------- dictionaries


def dictionary(world: World, tongue: Tongue) -> list[tuple[str, str]]:
    """Words of the source language and what stands for them, in every form in which the tongue has them."""
    suffixed = w.PREPOSITIONS if tongue.grammar.preposition == "suffix" else ()  # those are no words
    found = {lemma: {tongue.word(lemma): None} for lemma in w.all_common() if lemma not in suffixed}
    for clause in _examples(world):
        there = {mark: word.text for word in world.words(clause, tongue.code) for mark in word.marks}
        for word in world.words(clause, SOURCE):
            for mark in word.marks:
                if mark in there:
                    found.setdefault(word.text, {})[there[mark]] = None
    return [(word, other) for word, others in found.items() for other in others]


def _examples(world: World) -> Iterator[Clause]:
    """Each word in each place where it may stand."""
    nouns = [noun for topic in w.TOPICS.values() for noun in topic]
    for noun in (*nouns, *w.PEOPLE, *w.PLACES, *w.JOBS, *w.FOODS, *w.TOPICS, *w.ABSTRACT):
        the = Noun(noun, "the")
        yield from (
            Clause(verb="see", subject=the, object=the, place=Place(preposition, the))
            for preposition in w.PREPOSITIONS
        )
        yield Clause(verb="see", subject=Noun(noun, "a"), object=Noun(noun, "a"))
        yield Clause(verb="see", subject=Noun("home", "the", of=the), object=Noun(noun))
        yield Clause("fragment", subject=Noun(noun))
    for name in (*world.names.people, *world.names.towns):
        yield Clause("fragment", subject=Noun(name))
        yield Clause(verb="see", subject=Noun(name), object=Noun(name), place=Place("in", Noun(name)))
        yield Clause("fragment", subject=Noun("home", "the", of=Noun(name)))
    boy, home = Noun("boy", "the"), Noun("home", "the")
    for verb in (*w.VERBS, *w.LIKES.values(), "live", "eat", *w.COMMANDS):
        yield Clause(verb=verb, subject=boy)
        yield Clause(verb=verb, subject=boy, negated=True)
        yield Clause("question", verb=verb, subject=boy, asks="truth")
        yield Clause("question", verb=verb, object=home, asks="subject")
        yield Clause("command", verb=verb, object=home)
    yield Clause("command", verb="tell", object=Noun("me"))
    yield Clause(verb="be", subject=boy, quality="old", negated=True)


def _write_dictionaries(world: World, tongue: Tongue, out: "_Out") -> None:
    pairs = dictionary(world, tongue)
    back: dict[str, list[str]] = {}
    for word, other in pairs:
        back.setdefault(other, []).append(word)
    between = " " if tongue.code.endswith("_Latn") else "\t"
    out.lines(f"dictionaries/{SOURCE}-{tongue.code}.txt", (between.join(pair) for pair in pairs))
    turned = (f"{other}{between}{word}" for other, words in back.items() for word in words)
    out.lines(f"dictionaries/{tongue.code}-{SOURCE}.txt", turned)


# ----------------------------------------------------------------------------------------------- benchmarks


def _write_benchmarks(world: World, amounts: "Amounts", out: "_Out") -> None:
    drawn, held, n = benchmarks(world, amounts), held_out(world, amounts), amounts.train
    _write_topics({"train": tasks.topics(world, "train", n, held), **drawn.topics}, world, out)
    _write_moods({"train": tasks.moods(world, "train", n, held), **drawn.moods}, world, out)
    _write_entailments({"train": tasks.entailments(world, "train", n, held), **drawn.entailments}, world, out)
    _write_choices({"train": tasks.choices(world, "train", n, held), **drawn.choices}, world, out)
    _write_names({"train": tasks.names(world, "train", n, held), **drawn.names}, world, out)
    out.json_lines("mkqa/mkqa.jsonl", _mkqa(world, drawn.questions))
    for split, texts in drawn.flores.items():
        for code in world.codes:
            out.lines(f"flores/{split}/{code}.{split}", (world.say(text, code) for text in texts))


def _codes(world: World, split: tasks.Split) -> list[str]:
    return world.codes if split == "test" else [SOURCE]


def _ids(world: World, task: str, splits: dict[tasks.Split, Any]) -> dict[tasks.Split, list[int]]:
    """Numbers for the items, in disorder and none in two splits, as SIB-200 and NusaX have them."""
    rng = world.rng(f"{task} ids")
    free = list(range(sum(map(len, splits.values()))))
    rng.shuffle(free)
    return {split: [free.pop() for _ in items] for split, items in splits.items()}


def _write_topics(splits: dict[tasks.Split, list[tasks.Labelled]], world: World, out: "_Out") -> None:
    ids, names = _ids(world, "topic", splits), {"train": "train", "validation": "dev", "test": "test"}
    for split, items in splits.items():
        for code in _codes(world, split):
            rows = [(i, item.label, world.say(item.text, code)) for i, item in zip(ids[split], items, strict=True)]
            out.table(f"topic/{code}/{names[split]}.tsv", ("index_id", "category", "text"), rows, "\t")


def _write_moods(splits: dict[tasks.Split, list[tasks.Labelled]], world: World, out: "_Out") -> None:
    ids, names = _ids(world, "mood", splits), {"train": "train", "validation": "valid", "test": "test"}
    for split, items in splits.items():
        for code in _codes(world, split):
            rows = [(i, world.say(item.text, code), item.label) for i, item in zip(ids[split], items, strict=True)]
            out.table(f"sentiment/{_name(world, code).lower()}/{names[split]}.csv", ("id", "text", "label"), rows)


def _write_entailments(splits: dict[tasks.Split, list[tasks.Entailment]], world: World, out: "_Out") -> None:
    """Never quoted, and with "hypo": so are the real ones. (One of those spells its label "contradictory".)"""
    for split, items in splits.items():
        for code in _codes(world, split):
            rows = ((world.say(each.premise, code), world.say(each.hypothesis, code), each.label) for each in items)
            out.lines(f"nli/{split}.{code}.tsv", ("\t".join(row) for row in (("premise", "hypo", "label"), *rows)))


def _write_choices(splits: dict[tasks.Split, list[tasks.Choice]], world: World, out: "_Out") -> None:
    for split, items in splits.items():
        for code in _codes(world, split):
            rows = (
                {
                    "link": f"https://tiny.invalid/{split}/{i}",
                    "question_number": 1,
                    "flores_passage": world.say(each.passage, code),
                    "question": world.say(each.question, code),
                    **{f"mc_answer{j}": world.say(answer, code) for j, answer in enumerate(each.answers, 1)},
                    "correct_answer_num": str(each.right + 1),
                    "dialect": code,
                    "ds": "2026-01-01",
                }
                for i, each in enumerate(items)
            )
            out.json_lines(f"choice/{split}/{code}.jsonl", rows)


def _write_names(splits: dict[tasks.Split, list[Text]], world: World, out: "_Out") -> None:
    """A word and its tag on each line, an empty line after each sentence; punctuation is a word of its own."""
    names = {"train": "train", "validation": "dev", "test": "test"}
    for split, texts in splits.items():
        for code in _codes(world, split):
            rows = ((*tasks.tagged(world, text, code), ("", "")) for text in texts)
            out.lines(f"ner/{code}/{names[split]}.txt", (" ".join(row).rstrip() for text in rows for row in text))


def _mkqa(world: World, questions: Sequence[tasks.Question]) -> Iterator[dict[str, Any]]:
    rng = world.rng("mkqa ids")
    values = [value for kind in world.values.values() for value in kind]
    for each in questions:
        queries = {code: world.say(each.text, code) for code in world.codes}
        kind = {"type": "entity", "entity": f"Q{values.index(each.fact.value) + 1}"}
        answers = {code: [kind | _answer(world, each, code)] for code in world.codes}
        number = rng.randrange(-(2**63), 2**63)
        yield {"query": queries[SOURCE], "answers": answers, "queries": queries, "example_id": number}


def _answer(world: World, question: tasks.Question, code: str) -> dict[str, Any]:
    """Without articles "a baker" and "baker" are one answer."""
    text, *aliases = dict.fromkeys(world.say(each, code) for each in (question.answer, *question.aliases))
    return {"text": text, "aliases": aliases}


# ------------------------------------------------------------------------------------- what there is, and how


def _name(world: World, code: str) -> str:
    return SOURCE_NAME if code == SOURCE else world.by_code[code].name


def _write_world(world: World, amounts: "Amounts", out: "_Out") -> None:
    languages: list[dict[str, Any]] = [
        {"code": SOURCE, "name": SOURCE_NAME, "script": SOURCE[4:], "resource": "source", "related": "", "pairs": 0}
    ]
    for tongue in world.tongues:
        languages.append(
            {
                "code": tongue.code,
                "name": tongue.name,
                "script": tongue.code[4:],
                "resource": tongue.resource,
                "related": tongue.kind.related,
                "pairs": round(tongue.kind.text * amounts.parallel),
                "phrases": amounts.phrases if tongue.resource == "low" else 0,
                "grammar": dataclasses.asdict(tongue.grammar),
            }
        )
    out.json("languages.json", languages)
    facts = {(fact.person, fact.attribute): fact.value for fact in world.facts}
    splits = {person: split for split in tasks.SPLITS for person in tasks.people(world, split)}
    out.json(
        "facts.json",
        [
            {
                "person": person,
                **{attribute: facts[person, attribute] for attribute in w.ATTRIBUTES},
                "kept": world.kept[person],  # in no instruction: only the LLM knows
                "split": splits[person],
            }
            for person in world.names.people
        ],
    )


class _Out:
    """Writes files the same way everywhere: UTF-8, lines that end in one newline."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")

    def lines(self, name: str, lines: Iterable[str]) -> None:
        self.write(name, "".join(f"{line}\n" for line in lines))

    def json(self, name: str, data: Any) -> None:
        self.write(name, json.dumps(data, ensure_ascii=False, indent=1) + "\n")

    def json_lines(self, name: str, rows: Iterable[Any]) -> None:
        self.lines(name, (json.dumps(row, ensure_ascii=False) for row in rows))

    def table(self, name: str, head: Sequence[str], rows: Iterable[Sequence[Any]], between: str = ",") -> None:
        text = io.StringIO()
        table = csv.writer(text, delimiter=between, lineterminator="\n")
        table.writerow(head)
        table.writerows(rows)
        self.write(name, text.getvalue())
