"""What --plan says of MT-LLM's trainings, held against what they read."""

import gzip
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.mtllm.worlds import ONE_TASK, TOP, parents, run, settings
from xlnu.errors import UserError
from xlnu.mtllm import texts
from xlnu.mtllm.estimate import of_texts, of_training, of_translations, together
from xlnu.mtllm.schemas import HELD_OUT, TRAIN
from xlnu.mtllm.texts import TextsConfig, _amount
from xlnu.steps import NOBODY_KNOWS, Step
from xlnu.tiny.build import Built


def test_texts_are_about_as_many_tokens_as_is_told(tiny: Built, ray_here: Any, tmp_path: Path) -> None:
    assert ray_here.is_initialized()
    config, languages = settings(tiny)
    todo = texts.steps(config.texts, config.stack, parents(config), languages[0])
    told = todo[-1].estimate
    assert told is not None
    made = run(tmp_path, todo)["texts"]
    both = [made.rows(folder) for folder in (TRAIN, HELD_OUT)]
    tokens = sum(len(ids) for rows in both for ids in rows.read(0, len(rows), ["llm_ids"])["llm_ids"].to_pylist())
    assert told.rows == pytest.approx(made.manifest.rows_in, rel=0.1)
    assert 1 / 3 < told.tokens / tokens < 3


def lines(count: int) -> str:
    return "".join(f"{'a line of text ' * (1 + n % 3)}\n" for n in range(count))


def test_documents_are_counted_without_reading_all(tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text(lines(900))
    (tmp_path / "many.txt").write_text(lines(90_000))
    pq.write_table(pa.table({"text": ["x"] * 5000}), tmp_path / "c.parquet")
    with gzip.open(tmp_path / "few.txt.gz", "wt") as file:
        file.write(lines(800))
    for name, rows in (("few.txt", 900), ("many.txt", 90_000), ("few.txt.gz", 800)):
        found = _amount(TextsConfig(), [tmp_path / name])
        assert found == pytest.approx((rows, 30), rel=0.05), name
    assert _amount(TextsConfig(at_most=100), [tmp_path / "many.txt", tmp_path / "c.parquet"])[0] == 100
    assert _amount(TextsConfig(), [tmp_path / "few.txt", tmp_path / "c.parquet"])[0] == 5900
    assert of_texts(100, 400, 60).tokens == 100 * 60, "cut"
    (tmp_path / "d.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(UserError, match=r"d\.parquet: cannot be read"):
        _amount(TextsConfig(at_most=1), [tmp_path / "few.txt", tmp_path / "d.parquet"])


def test_what_a_training_asks_for(tiny: Built) -> None:
    config, _ = settings(tiny, "align.epochs=2")
    given = parents(config)
    encoder, llm = given.encoder.parameters, given.llm.parameters
    assert encoder
    assert llm
    data = [Step("texts", {}, lambda _: 0, estimate=of_texts(100, 40))]
    aligned = of_training(config.align, "align", "stack", data, given)
    assert (aligned.tokens, aligned.role) == (2000, "trainer")
    assert aligned.effort == pytest.approx(2000 * (llm + encoder / 3)), "the LLM is the teacher as well"
    teacher = of_training(config.teacher, "task", "llm", data, given)
    assert teacher.tokens == 1000 * -(-config.teacher.least_steps * config.teacher.batch // 100)
    assert teacher.effort == pytest.approx(teacher.tokens * llm * 2 / 3)
    more = Step("translated", {}, lambda _: 0, estimate=of_translations(data[0]))
    both = together([*data, more])
    assert (both.rows, both.tokens) == (200, 2300)
    unknown = Step("pairs", {}, lambda _: 0, estimate=NOBODY_KNOWS)
    found = of_training(config.align, "align", "stack", [*data, unknown], given)
    assert found == NOBODY_KNOWS, "not what is known of some"


def test_a_plan_has_the_money_of_its_trainings(tiny: Built, tmp_path: Path) -> None:
    places = [f"run.store={tmp_path}/store", f"run.dir={tmp_path}/run", "run.cluster=cluster/xlnu.yaml"]
    config = ["--config", "configs/tiny/mtllm.yaml", "tiny.size=xs", f"tiny.cache={tiny.data.parent}", *ONE_TASK]
    command = [sys.executable, "jobs/mtllm.py", "--plan", *config, *places, "modes=[stacked,translate_test]"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    table = done.stdout.partition("\n\n")[2]
    assert re.search(r"^trainer +g6e\.12xlarge +1 +0\.\d\d +\d\.\d\d$", table, re.M), table
    left = table.partition("nobody knows what they take: ")[2]
    assert "tests_... (8)" in left, "of each language, and told together"
    assert "aligned" not in left
    assert "teacher" not in left
