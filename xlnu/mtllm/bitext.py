"""The step `bitext`: sentence pairs as tokens, the foreign side the encoder's, the source's side the LLM's."""

import functools
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from xlnu.cluster.pools import ONE_CORE, Placed
from xlnu.errors import UserError
from xlnu.languages import Language
from xlnu.mtllm.estimate import of_pairs
from xlnu.mtllm.parts import Parents, StackSettings, stack_config
from xlnu.mtllm.schemas import HELD_OUT, REJECTED, TOKENS, TRAIN
from xlnu.mtllm.tokens import readers, row
from xlnu.rows import row_id
from xlnu.spread import spread
from xlnu.steps import Part, Rows, Step, Work
from xlnu.transfer import parallel
from xlnu.transfer.chain import slug
from xlnu.transfer.parallel import ParallelConfig

ROWS_PER_PART = 4096
SHARE = 0.02  # that is held out


def steps(
    config: ParallelConfig,
    settings: StackSettings,
    parents: Parents,
    source: Language,
    languages: Sequence[Language],
) -> list[Step]:
    """The pairs of each language that has some, and the tokens of all."""
    pairs = []
    for language in languages:
        files = parallel.corpus(config, source, language, "bitext")
        if files:
            pairs.append(parallel.step(f"pairs_{slug(language)}", files, config, source, language))
    if not pairs:
        raise UserError(f"bitext.source: {config.source or 'must be given'}: fits no language's file")
    about: dict[str, Any] = {**parents.identity, "length": settings.length, "special": settings.special}

    def run(work: Work) -> int:
        rows = Rows.joined([work.inputs[step.name].rows() for step in pairs])
        stage = functools.partial(_Tokens, rows, settings, parents, source, {one.label: one for one in languages})
        spread({work.name: work}, {work.name: len(rows)}, ROWS_PER_PART, stage, ONE_CORE, TRAIN)
        return len(rows)

    return [*pairs, Step("bitext", about, run, tuple(pairs), estimate=of_pairs(config.pairs * len(pairs)))]


class _Tokens:
    def __init__(
        self,
        rows: Rows,
        settings: StackSettings,
        parents: Parents,
        source: Language,
        languages: dict[str, Language],
        _placed: Placed,
    ) -> None:
        self.rows, self.length, self.languages = rows, settings.length, languages
        self.readers = readers(stack_config(settings, parents, source=source.code), parents.folders())

    def __call__(self, _step: str, part: Part) -> tuple[dict[str, pa.Table], int]:
        given = self.rows.read(part.start, part.stop).to_pylist()
        read = self.readers.read(
            [[one["target"]] for one in given],
            [self.languages[one["language"]] for one in given],
            [[one["source"]] for one in given],
        )
        found: dict[str, list[dict[str, Any]]] = {REJECTED: [], HELD_OUT: [], TRAIN: []}
        for one, ours, theirs in zip(given, read["encoder"], read["llm"], strict=True):
            longest = max(len(ours.ids), len(theirs.ids))
            why = f"longer than {self.length} tokens" if longest > self.length else None
            name = row_id("bitext", one["language"], one["id"])
            folder = REJECTED if why else HELD_OUT if int(name[:8], 16) / 2**32 < SHARE else TRAIN
            made = row(name, one["language"], why, row_id(one["source"]))
            if not why:
                made |= {"encoder_ids": ours.ids, "encoder_groups": ours.groups}
                made |= {"llm_ids": theirs.ids, "llm_groups": theirs.groups}
            found[folder].append(made)
        tokens = sum(len(one["encoder_ids"]) for some in found.values() for one in some)
        return {name: pa.Table.from_pylist(some, schema=TOKENS) for name, some in found.items()}, tokens
