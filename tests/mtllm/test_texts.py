"""Unlabeled text: read from files as they come, and cut so that teacher and student read the same."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.mtllm.worlds import parents, run, settings
from xlnu.errors import UserError
from xlnu.languages import resolve
from xlnu.mtllm import texts, tokens
from xlnu.mtllm.parts import stack_config
from xlnu.mtllm.schemas import HELD_OUT, TRAIN
from xlnu.mtllm.texts import TextsConfig, _documents, _files, fitting
from xlnu.steps import Result
from xlnu.tiny.build import Built

ENGLISH = resolve("eng_Latn")


def read(path: Path, **more: Any) -> list[str]:
    config = TextsConfig(path=str(path), **more)
    return list(_documents(config, _files(config)))


def test_text_json_lines_and_parquet_give_the_same_documents(tmp_path: Path) -> None:
    wanted = ["one line.", "", "ünd two — \u2028 of them"]
    (tmp_path / "a.txt").write_text("".join(f"{one}\n" for one in wanted), encoding="utf-8")
    lines = "".join(json.dumps({"text": one, "n": 1}) + "\n" for one in wanted)
    with gzip.open(tmp_path / "b.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(lines)
    pq.write_table(pa.table({"body": wanted}), tmp_path / "c.parquet")
    assert read(tmp_path / "a.txt") == wanted
    assert read(tmp_path / "b.jsonl.gz") == wanted
    assert read(tmp_path / "c.parquet", column="body") == wanted
    assert read(tmp_path / "c.parquet", column="body", at_most=2) == wanted[:2]


def test_what_is_wrong_is_said_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text('{"text": "good"}\n{"body": "none"}\n')
    with pytest.raises(UserError, match=r"b\.jsonl, line 2: no JSON with 'text' in it"):
        read(tmp_path / "b.jsonl")
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "c.parquet")
    with pytest.raises(UserError, match=r"c\.parquet: has no column 'text': set texts\.column"):
        read(tmp_path / "c.parquet")
    with pytest.raises(UserError, match=r"texts\.path: must be given"):
        _files(TextsConfig())
    with pytest.raises(UserError, match=r"texts\.path: .*nowhere: no such file"):
        _files(TextsConfig(path=str(tmp_path / "nowhere")))


@pytest.fixture(scope="module")
def made(tiny: Built, ray_here: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[str, Result]]:
    assert ray_here.is_initialized()
    folder = tmp_path_factory.mktemp("texts")
    sentence = "the boy sees the old horse near the river."
    documents = [
        "the boy sees the horse.",
        " ".join([sentence] * 9),  # some of it fits
        "the " * 60 + "horse.",  # no sentence of it does
        "",
        *(f"{sentence} {'the king buys a cup. ' * n}" for n in range(6)),
    ]
    (folder / "texts.txt").write_text("\n".join(documents) + "\n", encoding="utf-8")
    config, _ = settings(tiny, f"texts.path={folder / 'texts.txt'}", "stack.length=40", "texts.held_out=0.5")
    todo = texts.steps(config.texts, config.stack, parents(config), ENGLISH)
    return config, run(folder / "store", todo)


def test_both_read_the_same_up_to_a_sentences_end(made: tuple[Any, dict[str, Result]]) -> None:
    config, results = made
    both = tokens.readers(stack_config(config.stack, parents(config)), parents(config).folders())
    rows = results["texts"].table().to_pylist()
    kept = [row for row in rows if row["reject"] is None]
    assert len(kept) == 8
    for row in kept:
        assert max(len(row["encoder_ids"]), len(row["llm_ids"])) <= 40
        said = [
            one.tokenizer.decode([i for i in row[f"{part}_ids"] if i not in one.tokenizer.all_special_ids])
            for part, one in (("encoder", both.encoder), ("llm", both.llm))
        ]
        assert said[0].replace(" ", "") == said[1].replace(" ", "")
        assert said[0].strip().endswith(".")
    longest = max(kept, key=lambda row: len(row["encoder_ids"]))
    assert len(longest["encoder_ids"]) + 8 > 40, "as many sentences as fit"


def test_no_row_is_lost_and_the_reasons_are_told(made: tuple[Any, dict[str, Result]]) -> None:
    manifest = made[1]["texts"].manifest
    assert (manifest.rows_in, manifest.rows_out) == (10, 8)
    assert manifest.rejected == {"empty": 1, "its first sentence alone is too long": 1}
    assert len(made[1]["texts"].rows(TRAIN))
    assert len(made[1]["texts"].rows(HELD_OUT))


def test_words_that_are_one_token_in_both_lie_where_they_are_said_to(made: tuple[Any, dict[str, Result]]) -> None:
    config, results = made
    both = tokens.readers(stack_config(config.stack, parents(config)), parents(config).folders())
    found = 0
    for row in results["texts"].rows(TRAIN).read(0, 99).to_pylist():
        for ours, theirs in zip(row["encoder_at"], row["llm_at"], strict=True):
            one = both.encoder.tokenizer.decode([row["encoder_ids"][ours]])
            other = both.llm.tokenizer.decode([row["llm_ids"][theirs]])
            assert one.strip() == other.strip()
            found += 1
    assert found > 20


def test_cutting_looks_at_both_tokenizers(tiny: Built) -> None:
    config, _ = settings(tiny)
    both = tokens.readers(stack_config(config.stack, parents(config)), parents(config).folders())
    text = "the boy sees the horse. the king buys a cup. a guest."
    sizes = both.sizes([[text]], [ENGLISH])
    assert fitting([text], ENGLISH, both, sizes[0]) == [text]
    (cut,) = fitting([text], ENGLISH, both, sizes[0] - 1)
    assert cut == "the boy sees the horse. the king buys a cup."
    assert fitting([text], ENGLISH, both, 3) == [None]
