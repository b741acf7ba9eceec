"""The step `comet`: translations, judged by a COMET model that the user has, with or without the reference."""

import functools
from pathlib import Path
from typing import Any

import pyarrow as pa

from xlnu.cluster.pools import Placed
from xlnu.engines.checkpoint import Checkpoint, find
from xlnu.evaluate.metrics import FROM_SOURCE, TO_SOURCE
from xlnu.evaluate.questions import AnswerConfig
from xlnu.evaluate.schemas import ANSWERED
from xlnu.spread import spread
from xlnu.steps import NOBODY_KNOWS, Part, Rows, Step, Work

METRIC = "comet"


def step(given: str, questions: Step, answers: Step, config: AnswerConfig) -> Step:
    """`given`: the checkpoint as the user named it. Answers that are no translations are left out."""
    name, _, revision = (given, "", "") if Path(given).expanduser().exists() else given.partition("@")
    checkpoint = find("comet", name, revision or "main")

    def run(work: Work) -> int:
        asked, said = work.inputs[questions.name].rows(), work.inputs[answers.name].rows(rejected=True)
        assert len(asked) == len(said), "an answer each, in the order of the questions"
        kinds = said.read(0, len(said), ["kind"])["kind"].to_pylist()
        places = [at for at, kind in enumerate(kinds) if kind in (TO_SOURCE, FROM_SOURCE)]
        stage = functools.partial(_Judge, asked, said, places, checkpoint, config.batch_tokens)
        spread({work.name: work}, {work.name: len(places)}, config.rows_per_part, stage, config.pool)
        return len(places)

    return Step("comet", dict(checkpoint.identity), run, (questions, answers), estimate=NOBODY_KNOWS)


class _Judge:
    def __init__(
        self,
        asked: Rows,
        said: Rows,
        places: list[int],
        checkpoint: Checkpoint,
        batch_tokens: int,
        placed: Placed,
    ) -> None:
        from xlnu.engines.comet import AnyComet

        self.asked, self.said, self.places, self.name = asked, said, places, checkpoint.short
        device = "cuda" if placed.gpus else "cpu"
        self.model = AnyComet(checkpoint.local(), batch_tokens=batch_tokens, threads=placed.threads, device=device)

    def __call__(self, _step: str, part: Part) -> tuple[pa.Table, int]:
        places = self.places[part.start : part.stop]
        first, last = min(places, default=0), max(places, default=-1)
        sources = self.asked.read(first, last + 1, ["segments"])["segments"].to_pylist()
        rows: list[dict[str, Any]] = self.said.read(first, last + 1).to_pylist()
        given = [(sources[at - first][0], rows[at - first]) for at in places]
        scores = self.model.score([(source, row["said"][0], row["right"][0]) for source, row in given])
        made = [
            row | {"judged": [(METRIC, score)], "prompt": f"COMET {self.name}"}
            for (_, row), score in zip(given, scores, strict=True)
        ]
        return pa.Table.from_pylist(made, schema=ANSWERED), 0
