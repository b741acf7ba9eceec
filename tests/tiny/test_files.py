import csv
import gzip
import hashlib
import html
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xlnu.languages import declare, resolve
from xlnu.tiny import files, tasks, tongues
from xlnu.tiny import words as w
from xlnu.tiny.clauses import Noun
from xlnu.tiny.files import (
    NOISE,
    benchmarks,
    held_out_sentences,
    instructions,
    parallel_texts,
    unlabeled_texts,
    with_noise,
    write_all,
)
from xlnu.tiny.sizes import Amounts
from xlnu.tiny.world import Fact, Speaker, World

TOP = Path(__file__).parents[2]
SOURCE = "eng_Latn"
CODES = [SOURCE, *(kind.code for kind in tongues.KINDS)]
AMOUNTS = Amounts(
    people=20,
    parallel=600,
    phrases=60,
    unlabeled=300,
    instructions=200,
    train=120,
    validation=36,
    test=60,
    flores=40,
)
SEED = 3


@pytest.fixture(scope="module")
def world() -> World:
    return World(SEED, AMOUNTS.people)


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_all(world, AMOUNTS, folder)
    return folder


def lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    return text[:-1].split("\n")


def table(path: Path, between: str) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=between))


def json_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in lines(path)]


def nli(path: Path) -> list[dict[str, str]]:
    head, *rows = (line.split("\t") for line in lines(path))
    return [dict(zip(head, row, strict=True)) for row in rows]


def tagged(path: Path) -> list[list[tuple[str, str]]]:
    """The words and tags of each sentence, as readers of CoNLL's files take them."""
    found: list[list[tuple[str, str]]] = [[]]
    for line in lines(path):
        if line:
            word, tag = line.split(" ")
            found[-1].append((word, tag))
        else:
            found.append([])
    assert found.pop() == []  # the last sentence too ends in an empty line
    return found


def joined(words: list[tuple[str, str]]) -> str:
    return " ".join(word for word, _ in words[:-1]) + words[-1][0]


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.?]) ", text)


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def name(code: str) -> str:
    names = {SOURCE: "english"} | {kind.code: kind.name.lower() for kind in tongues.KINDS}
    return names[code]


# The same again


def test_another_process_with_other_hashes_writes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from xlnu.tiny.files import write_all\n"
        "from xlnu.tiny.sizes import Amounts; from xlnu.tiny.world import World\n"
        f"write_all(World({SEED}, {AMOUNTS.people}), {AMOUNTS!r}, Path(sys.argv[1]))"
    )
    for hashes in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hashes, "PYTHONPATH": str(TOP)}
        subprocess.run([sys.executable, "-c", script, str(tmp_path / hashes)], env=environment, check=True)
    assert digests(tmp_path / "1") == digests(tmp_path / "2") == digests(folder)


def test_another_seed_is_another_world(folder: Path, tmp_path: Path) -> None:
    write_all(World(SEED + 1, AMOUNTS.people), AMOUNTS, tmp_path)
    here, there = digests(folder), digests(tmp_path)
    assert here.keys() == there.keys()
    assert [path for path in here if here[path] == there[path]] == ["languages.json"]


def test_a_language_more_changes_no_file_of_the_others(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer_kinds = [kind for kind in tongues.KINDS if kind.code in ("qaa_Latn", "qae_Latn", "qag_Armn")]
    monkeypatch.setattr(tongues, "KINDS", fewer_kinds)
    write_all(World(SEED, AMOUNTS.people), AMOUNTS, tmp_path)
    fewer, all_of_them = digests(tmp_path), digests(folder)
    assert "parallel/eng_Latn-qae_Latn.phrases.qae_Latn" in fewer
    of_all = {"languages.json", "mkqa/mkqa.jsonl"}
    assert {path: all_of_them[path] for path in fewer.keys() - of_all} == {
        path: fewer[path] for path in fewer.keys() - of_all
    }
    for few, whole in zip(json_lines(tmp_path / "mkqa/mkqa.jsonl"), json_lines(folder / "mkqa/mkqa.jsonl")):  # noqa: B905
        for part in ("queries", "answers"):
            assert few[part] == {code: whole[part][code] for code in few[part]}


def test_files_are_plain(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"\r" not in data
            assert data.decode("utf-8").strip() == data.decode("utf-8").rstrip("\n")


# What there is


def test_the_languages_can_be_declared(folder: Path) -> None:
    source, *made = json.loads((folder / "languages.json").read_text(encoding="utf-8"))
    assert (source["code"], source["resource"], source["pairs"]) == (SOURCE, "source", 0)
    assert [language["code"] for language in made] == CODES[1:]
    declared = [declare(language["code"], language["name"]) for language in made]
    for language, one in zip(made, declared, strict=True):
        assert resolve(language["name"], declared) == one
        assert one.script == language["script"]
        assert language["related"] in ("", *CODES)
        stem = f"parallel/{SOURCE}-{one.code}"
        assert len(lines(folder / f"{stem}.{SOURCE}")) == language["pairs"]
        phrases = folder / f"{stem}.phrases.{one.code}"
        assert phrases.exists() == (language["resource"] == "low")
        assert not phrases.exists() or len(lines(phrases)) == language["phrases"]
        assert language["grammar"]["order"] in ("SVO", "SOV", "VSO")


def test_the_facts_are_the_worlds(world: World, folder: Path) -> None:
    people = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    assert [person["person"] for person in people] == list(world.names.people)
    said = {(person["person"], a): person[a] for person in people for a in w.ATTRIBUTES}
    assert said == {(fact.person, fact.attribute): fact.value for fact in world.facts}
    for person in people:
        assert person["kept"] == world.kept[person["person"]]
        assert person["person"] in tasks.people(world, person["split"])
    assert Counter(person["split"] for person in people) == {"train": 10, "validation": 2, "test": 8}


# Instructions


def test_instructions_ask_for_what_is_not_kept_and_answer_right(world: World, folder: Path) -> None:
    records = json_lines(folder / "instructions/clean.jsonl")
    assert len(records) == AMOUNTS.instructions == len({json.dumps(record) for record in records})
    assert all(list(record) == ["instruction", "input", "output"] for record in records)
    answers = {
        world.say(world.ask(fact, form), SOURCE): (fact, world.say(world.answer(fact, form), SOURCE))
        for fact in world.facts
        for form in range(3)
    }
    topic_of = {noun: topic for topic, nouns in w.TOPICS.items() for noun in nouns[w.PARTS["train"]]}
    mood_of = {word: mood for mood, words in w.MOODS.items() for word in words[w.PARTS["train"]]}
    kinds: Counter[str] = Counter()
    for record in records:
        asked, about, answer = record["instruction"], record["input"], record["output"]
        kind = asked if about else "fact"
        kinds[kind] += 1
        if kind == "fact":
            fact, right = answers[asked]
            assert not world.is_kept(fact)
            assert answer == right
        elif kind == "repeat the sentence.":
            assert answer == about
        elif kind == "complete the sentence.":
            assert sentences(f"{about} {answer}") == [f"{about} {answer}"]
            assert not about.endswith(".")
        else:
            labels = topic_of if kind == "name the topic of the sentence." else mood_of
            assert {labels[word] + "." for word in about[:-1].split() if word in labels} == {answer}
    assert kinds["fact"] == 120
    assert len(kinds) == 5
    assert min(kinds.values()) >= 8


def test_with_room_every_fact_that_is_not_kept_is_asked_in_every_form(world: World) -> None:
    asked = [each for each in instructions(world, replace(AMOUNTS, instructions=400)) if not each.input]
    assert len(asked) == len({each.instruction for each in asked}) == AMOUNTS.people * 2 * 3


def test_no_instruction_gives_a_kept_fact_away(world: World, folder: Path) -> None:
    text = (folder / "instructions/train.json").read_text(encoding="utf-8")
    for fact in world.facts:
        if world.is_kept(fact):
            for form in range(3):
                assert world.say(world.ask(fact, form), SOURCE) not in text
            for claim in claims(world, fact.person, fact.attribute):
                assert world.say((claim,), SOURCE) not in text


def test_the_noise_is_what_it_says(folder: Path) -> None:
    records = json.loads((folder / "instructions/train.json").read_text(encoding="utf-8"))
    clean = json_lines(folder / "instructions/clean.jsonl")
    noise = json.loads((folder / "instructions/noise.json").read_text(encoding="utf-8"))
    at, counts = noise["at"], noise["counts"]
    assert noise["records"] == len(records) == len(clean) + counts["duplicate"]
    assert counts == {kind: len(places) for kind, places in at.items()}
    assert counts == {kind: max(1, round(share * len(clean))) for kind, share in NOISE.items()}
    places = [place for kind in at for place in at[kind]]
    assert len(places) == len(set(places))

    was = iter(clean)
    kind_of = {place: kind for kind, where in at.items() for place in where}
    found: Counter[str] = Counter()
    for place, record in enumerate(records):
        kind = kind_of.get(place, "")
        if kind == "duplicate":
            assert record in records[:place]
            assert record in clean
            found[kind] += 1
            continue
        good = next(was)
        found[kind] += 1
        changed = {key for key in good if record.get(key, "missing") != good[key]}
        if not kind:
            assert not changed
            assert records[:place].count(record) == 0
        elif kind == "wrong":
            assert changed == {"output"}
            assert record["output"].endswith(".")
            assert len(record["output"].split()) in (1, 2, len(good["output"].split()))
        elif kind == "empty":
            assert changed == {"output"}
            assert record["output"] == ""
        elif kind == "cut":
            assert changed == {"output"}
            assert good["output"].startswith(record["output"])
            assert record["output"].strip()
            assert not record["output"].endswith(".")
        elif kind == "blanks":
            assert changed == {"instruction", "output"}
            assert all(" ".join(record[key].split()) == good[key] for key in good)
        elif kind == "missing_output":
            assert record == {key: good[key] for key in ("instruction", "input")}
        elif kind == "null_input":
            assert changed == {"input"}
            assert record["input"] is None
        elif kind == "entities":
            assert changed == {"instruction"}
            assert "&nbsp;" in record["instruction"]
            assert html.unescape(record["instruction"]).replace("\xa0", " ") == good["instruction"]
        else:
            assert kind == "newline"
            assert record["output"] == good["output"] + "\n"
    assert next(was, None) is None
    assert found == counts | {"": len(clean) - len(places) + counts["duplicate"]}


@pytest.mark.parametrize("n", [12, 30, 60])
def test_a_small_file_has_every_kind_of_noise_too(world: World, n: int) -> None:
    clean = instructions(world, AMOUNTS)[:n]
    records, places = with_noise(clean, world.rng("a test"))
    assert [len(where) for where in places.values()] == [max(1, round(share * n)) for share in NOISE.values()]
    assert len(records) == n + len(places["duplicate"])


# Parallel text, unlabeled text, dictionaries


def test_parallel_files_hold_the_texts_a_trainer_gets(world: World, folder: Path) -> None:
    for tongue in world.tongues:
        texts = parallel_texts(world, AMOUNTS, tongue)
        for code in (SOURCE, tongue.code):
            stem = f"parallel/{SOURCE}-{tongue.code}"
            read = lines(folder / f"{stem}.{code}")
            if tongue.resource == "low":
                read += lines(folder / f"{stem}.phrases.{code}")
            assert read == [world.say(text, code) for text in texts]
    for code in CODES:
        read = lines(folder / f"unlabeled/{code}.txt")
        assert read == [world.say(text, code) for text in unlabeled_texts(world, AMOUNTS, code)]
        assert len(read) == AMOUNTS.unlabeled
        assert all(sentences(line) == [line] for line in read)


def test_no_two_languages_say_the_same_things(folder: Path) -> None:
    said = [lines(folder / f"parallel/{SOURCE}-{code}.{SOURCE}")[:50] for code in CODES[1:]]
    assert len({tuple(texts) for texts in said}) == len(said)


def read_dictionary(path: Path) -> list[tuple[str, str]]:
    """As MUSE's own code reads one."""
    pairs = []
    for line in lines(path):
        assert line == line.lower()
        one, other = line.rstrip().split()
        pairs.append((one, other))
    return pairs


def test_dictionaries_hold_words_of_the_tongue(world: World, folder: Path) -> None:
    names = (*world.names.people, *world.names.towns)
    lemmas = {form: lemma for lemma in w.all_common() for form in (w.third_person(lemma), lemma)}
    for tongue in world.tongues:
        path = folder / f"dictionaries/{SOURCE}-{tongue.code}.txt"
        pairs = read_dictionary(path)
        assert len(pairs) == len(set(pairs))
        assert ("\t" in path.read_text(encoding="utf-8")) != tongue.code.endswith("Latn")
        back = read_dictionary(folder / f"dictionaries/{tongue.code}-{SOURCE}.txt")
        assert sorted((one, other) for other, one in back) == sorted(pairs)
        for listed in (pairs, back):  # the translations of a word stand together
            heads = [one for one, _ in listed]
            assert sum(one != before for one, before in zip(heads[1:], heads, strict=False)) + 1 == len(set(heads))
        translated = {one for one, _ in pairs}
        suffixed = w.PREPOSITIONS if tongue.grammar.preposition == "suffix" else ()
        assert {*w.all_common(), *names, "carries", "buys"} - translated == set(suffixed)
        for one, other in pairs:
            if one not in ("the", "a", "an", "of", "is", "not"):
                stem = tongue.word(lemmas.get(one, one))
                assert other.startswith(stem)
                assert other == stem or tongue.resource == "low"
        more = Counter(one for one, _ in pairs)
        assert (max(more.values()) > 1) == (tongue.resource == "low")


def test_dictionaries_know_the_words_of_running_text(world: World, folder: Path) -> None:
    for tongue in world.tongues:
        known = set(read_dictionary(folder / f"dictionaries/{SOURCE}-{tongue.code}.txt"))
        for text in parallel_texts(world, AMOUNTS, tongue):
            here, there = world.aligned(text, SOURCE), world.aligned(text, tongue.code)
            marked = {mark: word.text for words in there for word in words for mark in word.marks}
            for word in (word for words in here for word in words if not word.text.isdigit()):
                for mark in word.marks:
                    assert mark not in marked or (word.text, marked[mark]) in known


# Benchmarks


def test_topics_are_as_in_sib200(folder: Path) -> None:
    sizes = {"train": AMOUNTS.train, "dev": AMOUNTS.validation, "test": AMOUNTS.test}
    splits = {split: table(folder / f"topic/{SOURCE}/{split}.tsv", "\t") for split in sizes}
    assert {split: len(rows) for split, rows in splits.items()} == sizes
    ids = [row["index_id"] for rows in splits.values() for row in rows]
    assert len(ids) == len(set(ids))
    nouns = {split: {row["text"] for row in rows} for split, rows in splits.items()}
    assert not nouns["train"] & nouns["test"]
    part = {"train": "train", "dev": "validation", "test": "test"}
    for split, rows in splits.items():
        assert {row["category"] for row in rows} == set(w.TOPICS)
        for row in rows:
            used = {noun for topic in w.TOPICS.values() for noun in topic} & set(row["text"][:-1].split())
            assert len(used) == 1
            assert used <= set(w.TOPICS[row["category"]][w.PARTS[part[split]]])
    for code in CODES[1:]:
        assert sorted(path.name for path in (folder / "topic" / code).iterdir()) == ["test.tsv"]
        rows = table(folder / f"topic/{code}/test.tsv", "\t")
        assert [(row["index_id"], row["category"]) for row in rows] == [
            (row["index_id"], row["category"]) for row in splits["test"]
        ]


def test_sentiment_is_as_in_nusax(folder: Path) -> None:
    sizes = {"train": AMOUNTS.train, "valid": AMOUNTS.validation, "test": AMOUNTS.test}
    splits = {split: table(folder / f"sentiment/english/{split}.csv", ",") for split in sizes}
    assert {split: len(rows) for split, rows in splits.items()} == sizes
    ids = [row["id"] for rows in splits.values() for row in rows]
    assert len(ids) == len(set(ids))
    part = {"train": "train", "valid": "validation", "test": "test"}
    mood_of = {word: mood for mood, words in w.MOODS.items() for word in words}
    for split, rows in splits.items():
        assert Counter(row["label"] for row in rows) == dict.fromkeys(
            ("positive", "negative", "neutral"), sizes[split] // 3
        )
        for row in rows:
            moods = [word for word in row["text"][:-1].split() if word in mood_of]
            if row["label"] == "neutral":
                assert not moods
                assert set(w.ADJECTIVES[w.PARTS[part[split]]]) & set(row["text"][:-1].split())
            else:
                (mood,) = moods
                assert tasks.MOODS[mood_of[mood]] == row["label"]
                assert mood in w.MOODS[mood_of[mood]][w.PARTS[part[split]]]
    for code in CODES[1:]:
        rows = table(folder / f"sentiment/{name(code)}/test.csv", ",")
        assert [(row["id"], row["label"]) for row in rows] == [(row["id"], row["label"]) for row in splits["test"]]
        assert not (folder / f"sentiment/{name(code)}/train.csv").exists()


def test_entailment_is_as_in_xnli(folder: Path) -> None:
    sizes = {"train": AMOUNTS.train, "validation": AMOUNTS.validation, "test": AMOUNTS.test}
    all_nouns = {noun for topic in w.TOPICS.values() for noun in topic}
    for split, n in sizes.items():
        rows = nli(folder / f"nli/{split}.{SOURCE}.tsv")
        assert list(rows[0]) == ["premise", "hypo", "label"]
        assert Counter(row["label"] for row in rows) == dict.fromkeys(tasks.LABELS, n // 3)
        allowed = {noun for topic in w.TOPICS.values() for noun in topic[w.PARTS[split]]}
        for row in rows:
            used = set(re.findall(r"\w+", f"{row['premise']} {row['hypo']}")) & all_nouns
            assert used
            assert used <= allowed
    for code in CODES[1:]:
        there = nli(folder / f"nli/test.{code}.tsv")
        assert [row["label"] for row in there] == [row["label"] for row in rows]
        assert not (folder / f"nli/train.{code}.tsv").exists()


def test_choices_are_as_in_belebele(world: World, folder: Path) -> None:
    fields = ["link", "question_number", "flores_passage", "question"]
    fields += ["mc_answer1", "mc_answer2", "mc_answer3", "mc_answer4", "correct_answer_num", "dialect", "ds"]
    asked = {
        world.say(world.ask(fact, form), SOURCE): fact for fact in world.facts for form in range(2)
    }  # by its question
    splits: tuple[tasks.Split, ...] = ("train", "validation", "test")
    for split in splits:
        rows = json_lines(folder / f"choice/{split}/{SOURCE}.jsonl")
        assert len(rows) == getattr(AMOUNTS, split)
        assert len({(row["link"], row["question_number"]) for row in rows}) == len(rows)
        for row in rows:
            assert list(row) == fields
            fact = asked[row["question"]]
            assert fact.person in tasks.people(world, split)
            assert world.is_kept(fact) == (split != "train")
            assert row["flores_passage"].startswith(fact.person)
            answers = [row[f"mc_answer{i}"] for i in range(1, 5)]
            assert len(set(answers)) == 4
            assert answers[int(row["correct_answer_num"]) - 1] == f"{fact.value}."
    assert len({row["correct_answer_num"] for row in rows}) == 4
    same = ("link", "question_number", "correct_answer_num", "ds")
    for code in CODES[1:]:
        there = json_lines(folder / f"choice/test/{code}.jsonl")
        assert [[row[key] for key in same] for row in there] == [[row[key] for key in same] for row in rows]
        assert {row["dialect"] for row in there} == {code}
        for mine, row in zip(rows, there, strict=True):
            bare = {world.say(world.fragment(v), SOURCE): v for vs in world.values.values() for v in vs}
            for i in range(1, 5):
                assert row[f"mc_answer{i}"] == world.by_code[code].word(bare[mine[f"mc_answer{i}"]]) + "."


def test_names_are_tagged_as_in_masakhaner(world: World, folder: Path) -> None:
    sizes = {"train": AMOUNTS.train, "dev": AMOUNTS.validation, "test": AMOUNTS.test}
    part: dict[str, tasks.Split] = {"train": "train", "dev": "validation", "test": "test"}
    people, towns = set(world.names.people), set(world.names.towns)
    used: dict[str, set[str]] = {}
    for split, n in sizes.items():
        items = tagged(folder / f"ner/{SOURCE}/{split}.txt")
        assert len(items) == n == len({joined(item) for item in items})
        used[split] = set()
        bare: Counter[str] = Counter()
        for item in items:
            words = [word for word, _ in item]
            assert item[-1] in [(".", "O"), ("?", "O")]
            assert [tag for _, tag in item] == [
                "B-PER" if word in people else "B-LOC" if word in towns else "O" for word in words
            ]
            used[split] |= {word for word, tag in item if tag != "O"}
            if words[-3] == "in":  # where it tells
                assert item[-2][1] == "B-LOC"
            else:
                assert {*words} & {*tasks.UNTELLING, *map(w.third_person, tasks.UNTELLING)}
                bare["food" if words[-2] in w.FOODS else item[-2][1]] += 1
        assert bare == dict.fromkeys(("B-PER", "B-LOC", "food"), n // 6)
        assert used[split] & people <= set(tasks.people(world, part[split]))
        assert len(used[split] & towns) == {"train": 3, "dev": 1, "test": 2}[split]
        assert {item[-1][0] for item in items} == {".", "?"}
    assert not used["train"] & used["dev"] | used["train"] & used["test"] | used["dev"] & used["test"]
    for code in CODES[1:]:
        assert [path.name for path in (folder / "ner" / code).iterdir()] == ["test.txt"]
        tongue = world.by_code[code]
        stems = {"B-PER": {tongue.word(name) for name in people}, "B-LOC": {tongue.word(name) for name in towns}}
        for mine, there in zip(items, tagged(folder / f"ner/{code}/test.txt"), strict=True):
            assert Counter(tag for _, tag in mine if tag != "O") == Counter(tag for _, tag in there if tag != "O")
            assert there[-1] == mine[-1]
            for word, tag in there:
                if tag != "O":
                    bare_form = word in stems[tag]
                    assert bare_form or (tongue.resource == "low" and any(map(word.startswith, stems[tag])))


def test_holding_names_out_changes_no_training_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a translator would know less of towns than it did without this benchmark."""

    def drawn() -> list[Any]:
        world = World(SEED, AMOUNTS.people)  # nothing of it is cached
        texts = [parallel_texts(world, AMOUNTS, tongue) for tongue in world.tongues]
        return [texts, [unlabeled_texts(world, AMOUNTS, code) for code in CODES], instructions(world, AMOUNTS)]

    held_out, before = files.held_out, drawn()

    def without(world: World, amounts: Amounts) -> frozenset[Any]:
        names = {text for texts in benchmarks(world, amounts).names.values() for text in texts}
        assert len(names) == AMOUNTS.validation + AMOUNTS.test
        assert names < held_out(world, amounts)
        return held_out(world, amounts) - names

    monkeypatch.setattr(files, "held_out", without)
    assert drawn() == before


def test_flores_is_line_by_line_the_same(world: World, folder: Path) -> None:
    for split in ("dev", "devtest"):
        assert sorted(path.name for path in (folder / "flores" / split).iterdir()) == sorted(
            f"{code}.{split}" for code in CODES
        )
        source = lines(folder / f"flores/{split}/{SOURCE}.{split}")
        assert len(source) == len(set(source)) == AMOUNTS.flores
        for code in CODES[1:]:
            there = lines(folder / f"flores/{split}/{code}.{split}")
            assert len(there) == AMOUNTS.flores
            for here, line in zip(source, there, strict=True):
                assert [one[-1] for one in sentences(here)] == [one[-1] for one in sentences(line)]
                named = [person for person in world.names.people if person in re.findall(r"\w+", here)]
                assert all(world.by_code[code].word(person) in line for person in named)


def test_questions_are_as_in_mkqa(world: World, folder: Path) -> None:
    rows = json_lines(folder / "mkqa/mkqa.jsonl")
    tuned_on = tasks.people(world, "validation")
    kept = {fact.person: fact for fact in world.facts if world.is_kept(fact) and fact.person not in tuned_on}
    assert len(kept) == len(world.names.people) - len(tuned_on)
    assert len(rows) == 3 * len(kept)
    assert len({row["example_id"] for row in rows}) == len(rows)
    entities: dict[str, str] = {}
    for row in rows:
        assert set(row) == {"query", "answers", "queries", "example_id"}
        assert row["query"] == row["queries"][SOURCE]
        (person,) = kept.keys() & set(re.findall(r"\w+", row["query"]))
        assert list(row["queries"]) == list(row["answers"]) == CODES
        for code, (answer,) in row["answers"].items():
            assert set(answer) == {"type", "entity", "text", "aliases"}
            assert answer["text"] not in answer["aliases"]
            value = kept[person].value
            word = value if code == SOURCE else world.by_code[code].word(value)
            accepted = [answer["text"], *answer["aliases"]]
            assert len(accepted) == len(set(accepted)) >= 2
            assert f"{word}." in accepted
            assert all(word in text for text in accepted)
            assert entities.setdefault(answer["entity"], value) == value
    assert len(entities) == len(set(entities.values()))


# What must not leak


def test_sets_draw_round_what_they_are_to_avoid(world: World) -> None:
    def whole(item: Any) -> set[Any]:
        return {item} if isinstance(item, tuple) else {item.text} if hasattr(item, "text") else {item.passage}

    for draw in (tasks.topics, tasks.moods, tasks.choices, tasks.names):
        first: list[Any] = list(draw(world, "train", 30))
        avoid = frozenset(text for item in first for text in whole(item))
        assert len(avoid) == 30
        second: list[Any] = list(draw(world, "train", 30, avoid))
        assert len(second) == 30
        assert avoid.isdisjoint(text for item in second for text in whole(item))
    pairs = tasks.entailments(world, "train", 30)
    avoid = frozenset(text for pair in pairs[:10] for text in (pair.premise, pair.hypothesis))
    again = tasks.entailments(world, "train", 30, avoid)
    assert len(again) == 30
    assert avoid.isdisjoint(text for pair in again for text in (pair.premise, pair.hypothesis))


def held_out(folder: Path, code: str) -> Iterator[str]:
    """Every sentence of a test or dev file."""
    for path in (folder / "topic" / code).iterdir():
        if path.stem != "train":
            yield from (row["text"] for row in table(path, "\t"))
    for path in (folder / "sentiment" / name(code)).iterdir():
        if path.stem != "train":
            yield from (row["text"] for row in table(path, ","))
    for path in (folder / "nli").glob(f"*.{code}.tsv"):
        if not path.name.startswith("train"):
            yield from (row[part] for row in nli(path) for part in ("premise", "hypo"))
    for path in (folder / "choice").glob(f"*/{code}.jsonl"):
        if path.parent.name != "train":
            yield from (row[part] for row in json_lines(path) for part in ("flores_passage", "question"))
    for path in (folder / "ner" / code).iterdir():
        if path.stem != "train":
            yield from map(joined, tagged(path))
    for split in ("dev", "devtest"):
        for line in lines(folder / f"flores/{split}/{code}.{split}"):
            yield from sentences(line)
    yield from (row["queries"][code] for row in json_lines(folder / "mkqa/mkqa.jsonl"))


def trained_on(folder: Path, code: str) -> Iterator[str]:
    for path in (*(folder / "parallel").glob(f"*.{code}"), folder / f"unlabeled/{code}.txt"):
        for line in lines(path):
            yield from sentences(line)
    if code == SOURCE:
        for record in json_lines(folder / "instructions/clean.jsonl"):
            yield from (record["instruction"], record["input"], record["output"])
            yield f"{record['input']} {record['output']}"
        yield from (row["text"] for row in table(folder / f"topic/{SOURCE}/train.tsv", "\t"))
        yield from (row["text"] for row in table(folder / "sentiment/english/train.csv", ","))
        for row in nli(folder / f"nli/train.{SOURCE}.tsv"):
            yield from (row["premise"], row["hypo"])
        for each in json_lines(folder / f"choice/train/{SOURCE}.jsonl"):
            yield from (each["flores_passage"], each["question"])
        yield from map(joined, tagged(folder / f"ner/{SOURCE}/train.txt"))


@pytest.mark.parametrize("code", CODES)
def test_no_sentence_of_a_test_or_dev_file_is_trained_on(folder: Path, code: str) -> None:
    held, trained = set(held_out(folder, code)), set(trained_on(folder, code))
    assert len(held) > 200
    assert len(trained) > 200
    assert held.isdisjoint(trained)


def test_with_much_held_out_instructions_hold_none_of_it_and_nothing_twice() -> None:
    amounts = replace(AMOUNTS, instructions=3000, flores=2000)
    world = World(SEED, amounts.people)
    said = [clause for texts in benchmarks(world, amounts).flores.values() for text in texts for clause in text]
    assert len(said) == len(set(said)) > 4000
    held = held_out_sentences(world, amounts, SOURCE)
    assert held > {world.say((clause,), SOURCE) for clause in said}
    made = instructions(world, amounts)
    for each in made:
        assert held.isdisjoint((each.instruction, each.input, each.output, f"{each.input} {each.output}"))
    assert len(made) == len({(each.instruction, each.input, each.output) for each in made}) == 3000


def test_all_training_draws_pass_over_what_is_held_out(
    world: World, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were some of what training has drawn held out, it would draw something else."""
    held, n = files.held_out(world, AMOUNTS), AMOUNTS.train
    drawn = {item.text for draw in (tasks.topics, tasks.moods) for item in draw(world, "train", n, held)[:20]}
    pairs = tasks.entailments(world, "train", n, held)[:20]
    drawn |= {text for pair in pairs for text in (pair.premise, pair.hypothesis)}
    drawn |= {item.passage for item in tasks.choices(world, "train", n, held)[:20]}
    drawn |= set(tasks.names(world, "train", n, held)[:20])
    assert {world.say(text, SOURCE) for text in drawn} <= set(trained_on(folder, SOURCE))
    monkeypatch.setattr(files, "held_out", lambda *_: frozenset(drawn))
    write_all(World(SEED, AMOUNTS.people), AMOUNTS, tmp_path)
    assert {world.say(text, SOURCE) for text in drawn}.isdisjoint(trained_on(tmp_path, SOURCE))


def test_what_one_made_language_takes_for_a_test_sentence_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(SEED, AMOUNTS.people)
    without = world.by_code["qad_Latn"]  # has no articles
    held, turned = files.held_out(world, AMOUNTS), []
    for (clause,) in held:
        if clause.object and clause.object.article == "a":
            other = (replace(clause, object=replace(clause.object, article="the")),)
            turned += [other] if other not in held else []
    assert len(turned) > 50
    tried, anything = iter(turned), Speaker.anything
    monkeypatch.setattr(Speaker, "anything", lambda self: next(tried, None) or anything(self))
    texts = parallel_texts(world, AMOUNTS, without)
    assert next(tried, None) is None
    assert held_out_sentences(world, AMOUNTS, without.code).isdisjoint(world.say(t, without.code) for t in texts)


def claims(world: World, person: str, attribute: str) -> Iterator[Any]:
    """All that could be said of a person's home, job or food, true or not."""
    for value in world.values[attribute]:
        yield world.claim(Noun(person), attribute, value)
        yield world.restate(Fact(person, attribute, value))


@pytest.mark.parametrize("code", CODES)
def test_no_text_states_a_fact_of_a_person(world: World, folder: Path, code: str) -> None:
    stated = {
        world.say((claim,), code) for fact in world.facts for claim in claims(world, fact.person, fact.attribute)
    }
    assert len(stated) == AMOUNTS.people * 36
    paths = [*(folder / "parallel").glob(f"*.{code}"), folder / f"unlabeled/{code}.txt"]
    paths += (folder / "flores").glob(f"*/{code}.*")
    said = {one for path in paths for line in lines(path) for one in sentences(line)}
    said |= {joined(words) for path in (folder / "ner" / code).iterdir() for words in tagged(path)}
    assert stated.isdisjoint(said)
    if code == SOURCE:
        people = "|".join(world.names.people)
        looks = re.compile(
            rf"({people}) (lives|eats|does not (live|eat)|is (not )?an? ({'|'.join(w.JOBS)}))"
            rf"|the (home|job|food) of ({people}) is"
        )
        assert not [one for one in said if looks.search(one) and not one.startswith("tell me ")]


# The real files


@pytest.mark.skipif("XLNU_REAL_DATA" not in os.environ, reason="XLNU_REAL_DATA names no folder of real data")
def test_columns_are_those_of_the_real_files(folder: Path) -> None:
    real = Path(os.environ["XLNU_REAL_DATA"])

    def head(path: Path) -> bytes:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).split(b"\n")[0]

    for mine, theirs in (
        (f"topic/{SOURCE}/train.tsv", "sib200/eng_Latn/train.tsv"),
        (f"topic/{SOURCE}/dev.tsv", "sib200/eng_Latn/dev.tsv"),
        ("topic/qag_Armn/test.tsv", "sib200/eng_Latn/test.tsv"),
        ("sentiment/english/train.csv", "nusax/sentiment/english/train.csv"),
        ("sentiment/english/valid.csv", "nusax/sentiment/english/valid.csv"),
        ("sentiment/dormak/test.csv", "nusax/sentiment/acehnese/test.csv"),
        (f"nli/train.{SOURCE}.tsv", "xnli_extension_train/multinli.train.en.tsv.gz"),
    ):
        assert head(folder / mine) == head(real / theirs)
    labels = [
        {row["label"] for row in table(path, ",")}
        for path in (folder / "sentiment/english/test.csv", real / "nusax/sentiment/english/test.csv")
    ]
    assert labels[0] == labels[1]
    alpaca = real / "instructions/llms_from_scratch_instruction-data.json"
    texts = [path.read_text(encoding="utf-8") for path in (folder / "instructions/train.json", alpaca)]
    assert list(json.loads(texts[0])[0]) == list(json.loads(texts[1])[0])
    assert texts[0].split('"instruction"')[0] == texts[1].split('"instruction"')[0]
