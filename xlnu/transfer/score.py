"""The steps `quality_LANGUAGE`: how good each translation is, question and answer apart.

COMETKiwi scores the languages it was made for; elsewhere its scores mean nothing, and the round trip decides. What
gave a score stands on the row. Nothing is refused here: tau comes later, so that another tau costs no model call.
"""

import functools
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from xlnu.cluster.pools import Placed, ScorerPool
from xlnu.config import section, setting
from xlnu.engines.base import Scorer
from xlnu.engines.chat import user_turn
from xlnu.engines.checkpoint import Checkpoint
from xlnu.languages import Language
from xlnu.rows import QUALITY
from xlnu.spread import spread
from xlnu.steps import Part, Rows, Work

COMET, ROUND_TRIP = "COMETKiwi", "round trip"


@dataclass
class QualityConfig:
    """What judges translations."""

    model: str = setting(
        "", "a COMETKiwi checkpoint: its model.ckpt or the folder above; empty: every language by the round trip"
    )
    revision: str = setting("main", "branch, tag or commit, of a model on the hub")
    covers: Literal["xlm-r", "all"] = setting(
        "xlm-r", "the languages it can judge: the hundred of XLM-R, or all of them"
    )
    batch_tokens: int = setting(8192, "tokens computed at once, padding included", at_least=1)
    rows_per_part: int = setting(1024, "rows written at once, and so lost at most to a kill", at_least=1)
    pool: ScorerPool = section(ScorerPool)


def gate(config: QualityConfig, source: Language, target: Language) -> str:
    if not config.model:
        return ROUND_TRIP
    return COMET if config.covers == "all" or (source.xlmr and target.xlmr) else ROUND_TRIP


def judge(
    works: dict[str, Work],
    sources: Rows,
    translations: dict[str, Rows],
    gates: dict[str, str],
    answer: str,
    judge: Checkpoint | None,
    config: QualityConfig,
) -> dict[str, int]:
    """One step a language. `sources` and all `translations` have their rows in the same order; `answer` is the
    column of the source that was translated as the answer.
    """
    stage = functools.partial(_Judge, sources, translations, gates, answer, judge, config)
    return spread(works, {name: len(sources) for name in works}, config.rows_per_part, stage, config.pool)


class _Judge:
    def __init__(
        self,
        sources: Rows,
        translations: dict[str, Rows],
        gates: dict[str, str],
        answer: str,
        judge: Checkpoint | None,
        config: QualityConfig,
        placed: Placed,
    ) -> None:
        self.sources, self.translations, self.gates, self.answer = sources, translations, gates, answer
        self.scorer: Scorer | None = None
        if judge is not None and COMET in gates.values():
            from xlnu.engines.comet import CometScorer

            device = "cuda" if placed.gpus else "cpu"
            self.scorer = CometScorer(
                judge.local(), batch_tokens=config.batch_tokens, threads=placed.threads, device=device
            )

    def __call__(self, step: str, part: Part) -> tuple[pa.Table, int]:
        given = self.translations[step].read(part.start, part.stop).to_pylist()
        columns = ["instruction", "input", self.answer]
        sources = self.sources.read(part.start, part.stop, columns).to_pylist()
        if self.gates[step] == COMET:
            scores = self._comet(sources, given)
        else:
            scores = [(row["question_round_trip"], row["answer_round_trip"]) for row in given]
        made = [
            {
                **{name: row[name] for name in ("id", "reject", "parent", "language")},
                "question_score": question,
                "answer_score": answer,
                "gate": self.gates[step],
            }
            for row, (question, answer) in zip(given, scores, strict=True)
        ]
        return pa.Table.from_pylist(made, schema=QUALITY), 0

    def _comet(self, sources: list[dict[str, Any]], given: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
        assert self.scorer is not None
        pairs: list[tuple[str, str] | None] = []
        for source, row in zip(sources, given, strict=True):
            asked = user_turn(source["instruction"], source["input"])
            said = None if row["instruction"] is None else user_turn(row["instruction"], row["input"] or "")
            pairs.append(None if said is None else (asked, said))
            both = (source[self.answer], row["answer"])
            pairs.append(None if None in both else both)
        scores = iter(self.scorer.score([pair for pair in pairs if pair is not None]))
        found = [None if pair is None else next(scores) for pair in pairs]
        return list(zip(found[::2], found[1::2], strict=True))
