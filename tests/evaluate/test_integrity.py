"""What is odd in a benchmark's files is told, and so is training data that holds a test's text."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.evaluate.evaluated import belebele, report, run
from xlnu.evaluate import asked as benchmarks
from xlnu.evaluate import integrity
from xlnu.evaluate.asked import Benchmark
from xlnu.languages import Language, resolve, resolve_all
from xlnu.tiny.build import Built

ENGLISH = resolve("eng_Latn")
REAL = os.environ.get("XLNU_REAL_DATA")


def topics(folder: Path, code: str, rows: Sequence[tuple[str, str]]) -> None:
    place = folder / code
    place.mkdir()
    lines = [f"{number}\t{label}\t{text}" for number, (label, text) in enumerate(rows)]
    (place / "test.tsv").write_text("\n".join(["index_id\tcategory\ttext", *lines]) + "\n", encoding="utf-8")


def findings(benchmark: Benchmark, asked: list[Language]) -> set[tuple[str, str, str]]:
    return {(one.check, one.where, one.finding) for one in integrity.of_files([benchmark], asked)}


def test_files_that_are_odd(tmp_path: Path) -> None:
    topics(tmp_path, "eng_Latn", [("sports", f"a match {n}") for n in range(9)] + [("health", "a cure")])
    topics(tmp_path, "swh_Latn", [("sports", "mechi"), ("sports", "mechi"), ("health", "dawa"), ("sports", "")])
    asked = resolve_all(["swh_Latn", "yor_Latn"])
    found = findings(benchmarks.found(f"sib200={tmp_path}", ENGLISH, asked), asked)
    assert found == {
        ("languages", "sib200", "has no file for yor_Latn"),
        ("labels", "sib200, eng_Latn", "90% are sports"),
        ("duplicates", "sib200, swh_Latn", "1 of 3 examples stand there more than once"),
        ("rejected", "sib200, swh_Latn", "1 of 4 examples: empty text"),
    }


def test_a_language_that_lacks_a_label(tmp_path: Path) -> None:
    topics(tmp_path, "eng_Latn", [("sports", "a match"), ("health", "a cure")])
    topics(tmp_path, "swh_Latn", [("sports", "mechi"), ("sports", "mpira")])
    found = findings(benchmarks.found(f"sib200={tmp_path}", ENGLISH, []), [])
    assert ("labels", "sib200, swh_Latn", "none is health") in found


def test_what_a_benchmark_calls_otherwise_is_told(tmp_path: Path) -> None:
    for code in ("eng_Latn", "hin_Latn"):
        lines = [
            {"link": "l", "question_number": 1, "flores_passage": "p", "question": f"q {n}", "mc_answer1": "1",
             "mc_answer2": "2", "mc_answer3": "3", "mc_answer4": "4", "correct_answer_num": str(n)}
            for n in (1, 2)
        ]  # fmt: skip
        text = "".join(json.dumps(line | {"question_number": n}) + "\n" for n, line in enumerate(lines))
        (tmp_path / f"{code}.jsonl").write_text(text, encoding="utf-8")
    stand_in = resolve_all(["hin_Latn->hin_Deva"])
    found = findings(benchmarks.found(f"belebele={tmp_path}", ENGLISH, stand_in), stand_in)
    told = [finding for check, where, finding in found if where == "belebele, hin_Latn->hin_Deva"]
    assert len(told) == 1
    assert "Latin script" in told[0]
    assert "hin_Deva stands in for hin_Latn" in told[0]


def test_training_data_that_holds_a_tests_text_is_found(tiny: Built, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    lines = (tiny.data / "topic" / "qaa_Latn" / "test.tsv").read_text(encoding="utf-8").splitlines()
    leaked = max((line.split("\t")[2] for line in lines[1:]), key=len)
    chats = [[{"role": "user", "content": text}] for text in ("something of its own", f"translate: {leaked}")]
    (tmp_path / "set").mkdir()
    pq.write_table(pa.table({"messages": chats}), tmp_path / "set" / "train.parquet")
    (tmp_path / "clean.txt").write_text("nothing of it is here, not one line of it\n", encoding="utf-8")
    done = run(
        tmp_path, tiny, "benchmarks=[sib200=tiny:data/topic]", f"training=[{tmp_path}/set, {tmp_path}/clean.txt]"
    )
    assert done.returncode == 0, done.stderr
    found = [one for one in report(tmp_path)["findings"] if one["check"] == "contamination"]
    assert [(one["where"], one["serious"]) for one in found] == [("set/train.parquet", True)]
    assert found[0]["finding"].startswith("1 of ")
    assert leaked[:40] in found[0]["finding"]


@pytest.mark.skipif(not REAL, reason="needs real data")
def test_guesses_on_real_benchmarks_score_what_their_labels_say(tiny: Built, tmp_path: Path) -> None:
    """majority the share of the commonest label to the letter, random what chance gives."""
    questions = belebele(Path(REAL or "", "belebele_en_de", "deu_Latn.jsonl"), tmp_path / "data")
    given = ", ".join(f"{name}={REAL}/{name}" for name in ("nusax", "sib200", "xcopa"))
    done = run(tmp_path, tiny, f"benchmarks=[{given}, belebele={tmp_path}]", "languages=[]")
    assert done.returncode == 0, done.stderr
    scores = {
        (one["benchmark"], one["language"], one["mode"]): one
        for one in report(tmp_path)["scores"]
        if one["metric"] == "accuracy"
    }
    labels: dict[tuple[str, str], Counter[str]] = {}
    folder = Path(REAL or "")
    rows = (folder / "nusax/sentiment/acehnese/test.csv").read_text(encoding="utf-8").rstrip().splitlines()[1:]
    labels["nusax", "ace_Latn"] = Counter(row.rpartition(",")[2] for row in rows)
    rows = (folder / "sib200/eng_Latn/test.tsv").read_text(encoding="utf-8").rstrip().splitlines()[1:]
    labels["sib200", "eng_Latn"] = Counter(row.split("\t")[1] for row in rows)
    rows = (folder / "xcopa/qu/test.qu.jsonl").read_text(encoding="utf-8").splitlines()
    labels["xcopa", "quy_Latn"] = Counter(str(json.loads(row)["label"]) for row in rows)
    labels["belebele", "deu_Latn"] = Counter(row["correct_answer_num"] for row in questions)
    for (benchmark, language), counted in labels.items():
        majority, drawn = (scores[benchmark, language, mode] for mode in ("majority", "random"))
        total, kinds = counted.total(), {"xcopa": 2, "belebele": 4}.get(benchmark, len(counted))
        assert (majority["n"], drawn["n"]) == (total, total), benchmark
        assert majority["value"] == pytest.approx(counted.most_common(1)[0][1] / total, abs=1e-4), benchmark
        spread = (1 / kinds * (1 - 1 / kinds) / total) ** 0.5
        assert abs(drawn["value"] - 1 / kinds) < 4 * spread, benchmark
