"""The steps `translated_LANGUAGE`, `returned_LANGUAGE`: every distinct sentence in every language, each once.

`returned` is the translation translated back, for languages in which no quality model can judge.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pyarrow as pa

from xlnu.cluster.pools import Placed, TranslatorPool
from xlnu.config import section, setting
from xlnu.engines.base import Translation, Translator
from xlnu.engines.open import ModelConfig, TranslatorSpec
from xlnu.languages import Language
from xlnu.rows import RETURNED, TRANSLATED
from xlnu.spread import spread
from xlnu.steps import Part, Rows, Work
from xlnu.transfer.gates import flags, round_trip
from xlnu.transfer.protect import fragments, protect, restore

Engine = Literal["ct2", "hf", "llm", "openai", "echo"]


@dataclass
class TranslatorConfig(ModelConfig):
    """What translates, sentence by sentence."""

    engine: Engine = setting(
        "ct2", "what translates; llm: the LLM that answers, prompted with examples; echo: nothing does"
    )
    beam: int = setting(4, "beams; 1: greedy, three to five times as fast", at_least=1)
    max_tokens: int = setting(256, "a translated sentence that is longer is cut off, and flagged", at_least=1)
    shots: int = setting(5, "engines llm and openai: examples a language, from the parallel corpus", at_least=0)
    batch_tokens: int = setting(4096, "tokens computed at once, padding included", at_least=1)
    sentences_per_part: int = setting(2048, "sentences written at once, and so lost at most to a kill", at_least=1)
    pool: TranslatorPool = section(TranslatorPool)  # the engine llm runs where the LLM does, in english.pool


def about(config: TranslatorConfig) -> dict[str, Any]:
    """What of the settings changes a translation, besides the model."""
    limits = {"beam": config.beam, "max_tokens": config.max_tokens}
    return limits | ({"shots": config.shots} if config.engine in ("llm", "openai") else {})


@dataclass(frozen=True)
class Way:
    """From which language into which."""

    source: Language
    target: Language


def translate(
    works: dict[str, Work], ways: dict[str, Way], rows: Rows, config: TranslatorConfig, spec: TranslatorSpec
) -> dict[str, int]:
    """One step a language; `rows` are the sentences."""
    stage = functools.partial(_Translate, rows, ways, spec)
    given = {name: len(rows) for name in works}
    return spread(works, given, config.sentences_per_part, stage, spec.pool)


class _Translate:
    def __init__(self, rows: Rows, ways: dict[str, Way], spec: TranslatorSpec, placed: Placed) -> None:
        self.rows, self.ways = rows, ways
        self.engine: Translator = spec.open(placed)

    def __call__(self, step: str, part: Part) -> tuple[pa.Table, int]:
        given = self.rows.read(part.start, part.stop, ["id", "text"])
        way, texts = self.ways[step], given["text"].to_pylist()
        if not (self.engine.knows(way.source) and self.engine.knows(way.target)):
            table = [
                {"id": i, "reject": UNKNOWN, "text": "", "tokens": 0, "flags": []} for i in given["id"].to_pylist()
            ]
            return pa.Table.from_pylist(table, schema=TRANSLATED), 0
        found = translated(self.engine, texts, way)
        table = [
            {
                "id": name,
                "reject": one.refused,
                "text": one.text,
                "tokens": one.tokens,
                "flags": flags(text, one.text, way.source, way.target, one.cut_off),
            }
            for name, text, one in zip(given["id"].to_pylist(), texts, found, strict=True)
        ]
        return pa.Table.from_pylist(table, schema=TRANSLATED), sum(one.tokens for one in found)


UNKNOWN = "the translator does not know the language"


def translated(engine: Translator, texts: Sequence[str], way: Way) -> list[Translation]:
    """What must survive (URLs, code, placeholders) is masked; where a mask is lost, what lies around is translated
    piece by piece, so that it survives for sure.
    """
    masked = [protect(text) for text in texts]
    found = engine.translate([one.text for one in masked], way.source, way.target)
    whole: list[Translation | None] = []
    for one, said in zip(masked, found, strict=True):
        text = restore(said.text, one)
        whole.append(None if text is None else replace(said, text=text))
    broken = {i: fragments(texts[i]) for i, one in enumerate(whole) if one is None}
    asked = list(dict.fromkeys(piece for pieces in broken.values() for piece in pieces[1::2]))
    answers = dict(zip(asked, engine.translate(asked, way.source, way.target), strict=True)) if asked else {}
    for i, pieces in broken.items():
        parts = [answers[piece] for piece in pieces[1::2]]
        text = "".join(answers[piece].text if at % 2 else piece for at, piece in enumerate(pieces))
        tokens = found[i].tokens + sum(part.tokens for part in parts)
        refused = next((part.refused for part in parts if part.refused), None)
        whole[i] = Translation(text, tokens, any(part.cut_off for part in parts), refused)
    return [one for one in whole if one is not None]


def give_back(
    works: dict[str, Work],
    ways: dict[str, Way],
    sentences: Rows,
    translations: dict[str, Rows],
    config: TranslatorConfig,
    spec: TranslatorSpec,
) -> dict[str, int]:
    """Translations translated back; `translations` by the same names as `works`."""
    stage = functools.partial(_Return, sentences, translations, ways, spec)
    given = {name: len(sentences) for name in works}
    return spread(works, given, config.sentences_per_part, stage, spec.pool)


class _Return:
    def __init__(
        self,
        sentences: Rows,
        translations: dict[str, Rows],
        ways: dict[str, Way],
        spec: TranslatorSpec,
        placed: Placed,
    ) -> None:
        self.sentences, self.translations, self.ways = sentences, translations, ways
        self.engine: Translator = spec.open(placed)

    def __call__(self, step: str, part: Part) -> tuple[pa.Table, int]:
        way = self.ways[step]
        given = self.translations[step].read(part.start, part.stop, ["id", "reject", "text"]).to_pylist()
        sources = self.sentences.read(part.start, part.stop, ["text"])["text"].to_pylist()
        live = [row["text"] for row in given if row["reject"] is None]
        found = iter(translated(self.engine, live, way) if live else [])
        made, tokens = [], 0
        for row, source in zip(given, sources, strict=True):
            back = next(found) if row["reject"] is None else Translation("", 0, False)
            tokens += back.tokens
            score = round_trip(source, back.text)
            reject = row["reject"] or back.refused
            made.append({"id": row["id"], "reject": reject, "text": back.text, "round_trip": score})
        return pa.Table.from_pylist(made, schema=RETURNED), tokens
