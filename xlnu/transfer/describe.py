"""What is told of a transfer set: its card, counted from the files themselves, and samples for a human reader."""

import posixpath
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from xlnu import manifest
from xlnu.engines.chat import user_turn
from xlnu.steps import Rows, Work, read_part
from xlnu.transfer.assemble import HELD_OUT, REJECTED, TRAIN
from xlnu.transfer.card import Facts, Switching, card
from xlnu.transfer.families import OF_INSTRUCTIONS
from xlnu.transfer.samples import Sample
from xlnu.transfer.verdict import Ingredients, Tables, TransferConfig, judge, refuse

CARD = "README.md"
TAUS = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
AT_ONCE = 8192


def write_card(
    work: Work,
    config: TransferConfig,
    given: Ingredients,
    dictionaries: Mapping[str, str],
    engines: Mapping[str, str],
    licences: Mapping[str, str],
    settings: Mapping[str, Any],
) -> None:
    counts = Counter[tuple[str, str, str]]()
    rejected = Counter[str]()
    words = {name: Counter[str]() for name in ("words", "known", "switched")}
    for folder, table in _tables(work):
        if folder == REJECTED:
            reasons = pc.value_counts(table["reject"]).to_pylist()
            rejected.update({each["values"]: each["counts"] for each in reasons})
            continue
        sums = [(name, "sum") for name in words]
        for row in table.group_by(["language", "family"]).aggregate([([], "count_all"), *sums]).to_pylist():
            counts[row["language"], row["family"], folder] += row["count_all"]
            for name, by_language in words.items():
                by_language[row["language"]] += row[f"{name}_sum"]
    of_rows = sorted({(language, family) for language, family, _ in counts})
    facts = Facts(
        title=f"Transfer set: {given.source.name} to {len(given.languages)} languages",
        source=given.source,
        targets=[tables.language for tables in given.languages],
        counts={key: (counts[(*key, TRAIN)], counts[(*key, HELD_OUT)]) for key in of_rows},
        rejected=dict(sorted(rejected.items())),
        survival={t.language.label: survival(t) for t in given.languages if t.quality is not None},
        switching={
            label: Switching(config.switch.p, n, words["known"][label], words["switched"][label])
            for label, n in sorted(words["words"].items())
            if n
        },
        dictionaries=dictionaries,
        gates={t.language.label: _gate(t.quality) for t in given.languages if t.quality is not None},
        engines=engines,
        licences=licences,
        settings=settings,
    )
    work.write_part.store.write(posixpath.join(work.write_part.address, CARD), card(facts))


def _tables(work: Work) -> Iterator[tuple[str, pa.Table]]:
    store, address = work.write_part.store, work.write_part.address
    columns = ["language", "family", "words", "known", "switched", "reject"]
    for entry in manifest.data_files(store, address):
        folder = posixpath.dirname(posixpath.relpath(entry.name, address))
        if folder in (TRAIN, HELD_OUT, REJECTED):
            yield folder, read_part(store, posixpath.join(store.root, entry.name), columns)


def survival(tables: Tables) -> dict[float, float]:
    """By tau, the share of rows whose question and answer both reach it."""
    assert tables.quality is not None
    reached, rows = Counter[float](), tables.quality
    for start in range(0, len(rows), AT_ONCE):
        scores = rows.read(start, min(start + AT_ONCE, len(rows)), ["question_score", "answer_score"])
        lower = pc.min_element_wise(scores["question_score"], scores["answer_score"])  # of one alone that one
        for tau in TAUS:
            reached[tau] += pc.sum(pc.greater_equal(lower, tau)).as_py() or 0
    return {tau: reached[tau] / max(1, len(rows)) for tau in TAUS}


def _gate(quality: Rows) -> str:
    if not len(quality):
        return "none"
    gate: str = quality.read(0, 1, ["gate"])["gate"][0].as_py()
    return gate


def samples(config: TransferConfig, given: Ingredients, n: int) -> list[Sample]:
    """So many rows of each language, the same ones for all languages, drawn by the seed."""
    total = len(given.answers)
    places = sorted(random.Random(config.seed).sample(range(total), min(n, total)))
    found = []
    for tables in given.languages:
        if tables.bitext is None or tables.quality is None:
            continue
        for place in places:
            found.append(_sample(config, given.answers, tables, place))
    return found


def _sample(config: TransferConfig, answers: Rows, tables: Tables, place: int) -> Sample:
    def row(rows: Rows | None) -> dict[str, Any]:
        if rows is None:
            return {}
        only: dict[str, Any] = rows.read(place, place + 1).to_pylist()[0]
        return only

    source, bitext, quality, switched = (row(r) for r in (answers, tables.bitext, tables.quality, tables.switched))
    judged = judge(OF_INSTRUCTIONS["tgt_tgt"], bitext, quality, bitext, quality)
    flags = [f"question: {f}" for f in bitext["question_flags"]] + [f"answer: {f}" for f in bitext["answer_flags"]]
    return Sample(
        language=tables.language,
        id=bitext["id"],
        origin=source["origin"],
        question=user_turn(source["instruction"], source["input"]),
        answer=source["answer"],
        question_translated=user_turn(bitext["instruction"] or "", bitext["input"] or ""),
        answer_translated=bitext["answer"] or "",
        source_switched=switched.get("source_question"),
        switched=switched.get("question"),
        question_score=quality["question_score"],
        answer_score=quality["answer_score"],
        gate=quality["gate"],
        engine=f"{bitext['engine']} {bitext['model']}",
        flags=flags,
        reject=bitext["reject"] or refuse(judged, config),
    )
