"""What a stack makes of a request: which language each text is in, tokens, pooled states, answers. No Ray here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from xlnu.engines.checkpoint import find
from xlnu.errors import UserError
from xlnu.evaluate.identify import Tells
from xlnu.languages import Language, UnknownLanguage, all_languages, declare, is_private, resolve
from xlnu.serve.batches import Size
from xlnu.serve.refused import wrong
from xlnu.stack.predict import BATCH_TOKENS, Predictor
from xlnu.stack.windows import Window

Want = Literal["answer", "embedding"]


@dataclass(frozen=True)
class Example:
    """The segments of one example as its task has them: text, pair, words, or passage, question and choices."""

    kind: Literal["text", "pair", "words", "choice"]
    segments: tuple[str, ...]
    language: str | None
    param: str  # where in the request it stands


@dataclass(frozen=True)
class Said:
    """Of one example: `numbers` is what the model says, by what was wanted: probabilities of labels or choices, a
    score, probabilities of labels for each word, or an embedding.
    """

    language: str
    found: bool  # by the detector
    tokens: int
    numbers: list[float] | list[list[float]]


@dataclass(frozen=True)
class Identity:
    """Which model answered, and what it answers."""

    name: str
    version: str
    task: str | None
    labels: tuple[str, ...]
    width: int

    @property
    def endpoint(self) -> str | None:
        return None if self.task is None else "choose" if self.task == "choice" else "classify"


def size(window: Window) -> Size:
    count = len(window.tokens.ids)
    return Size(1, count, count)


@dataclass(frozen=True)
class Prepared:
    """A request that is ready to be computed: the windows of each of its examples."""

    want: Want
    languages: list[tuple[Language, bool]]
    windows: list[list[Window]]

    @property
    def flat(self) -> list[Window]:
        return [one for some in self.windows for one in some]


class Reading:
    """A stack that is open, and what tells languages where nobody says which."""

    def __init__(self, name: str, version: str, predictor: Predictor, detector: Tells | None = None) -> None:
        self.predictor, self.detector = predictor, detector
        self.embedder = predictor.as_text()
        config = predictor.config
        self.languages = _languages(predictor)
        self.declared = tuple(one for one in self.languages if is_private(one.code))
        self.identity = Identity(name, version, config.task, tuple(config.labels or ()), config.hidden_size)

    @classmethod
    def open(
        cls, name: str, folder: str, *, numbers: str = "auto", device: str = "cpu", batch_tokens: int = 0,
        detector: Tells | None = None,
    ) -> "Reading":  # fmt: skip
        found = find(f"models.{name}", folder)
        about: dict[str, Any] = {} if numbers == "auto" else {"dtype": numbers}
        predictor = Predictor.open(found.local(), device=device, batch_tokens=batch_tokens or BATCH_TOKENS, **about)
        model: Any = predictor.model
        # an adapter costs at every layer; but in fewer bits it would be rounded as it is merged
        if hasattr(model.llm, "merge_and_unload") and next(model.llm.parameters()).dtype == torch.float32:
            model.llm = model.llm.merge_and_unload()
        return cls(name, (found.content or found.revision)[:16], predictor, detector)

    @property
    def at_once(self) -> int:
        return self.predictor.at_once

    def prepare(self, examples: Sequence[Example], want: Want) -> Prepared:
        """Refused where a language is not known, or none is given."""
        if want == "answer":
            for one in examples:
                self._fits(one)
        languages = [self._language(one) for one in examples]
        reader = self.embedder if want == "embedding" else self.predictor
        windows = reader.windows.of([one.segments for one in examples], [one for one, _ in languages])
        return Prepared(want, languages, windows)

    def compute(self, windows: Sequence[Window]) -> list[Tensor | Exception]:
        """For the thread of the model: the pooled states of each window."""
        strange = ArithmeticError("the model's state of this text is not finite")
        return [one if bool(torch.isfinite(one).all()) else strange for one in self.predictor.pooled(windows)]

    def said(self, asked: Prepared, computed: Sequence[Tensor]) -> list[Said]:
        rest = iter(computed)
        made = []
        for windows, (language, found) in zip(asked.windows, asked.languages, strict=True):
            pooled = [next(rest) for _ in windows]
            reader = self.embedder if asked.want == "embedding" else self.predictor
            answer = reader.answer(pooled, windows)
            numbers = answer.pooled[0] if asked.want == "embedding" else self._numbers(answer.logits)
            made.append(Said(language.label, found, answer.tokens, numbers.tolist()))
        return made

    def _fits(self, one: Example) -> None:
        name, task = self.identity.name, self.identity.task
        if task is None:
            raise wrong(f"{name} has no head: it embeds; ask /v1/embeddings or /v1/similarity", "model")
        if (task == "choice") != (one.kind == "choice"):
            raise wrong(f"{name} answers /v1/{self.identity.endpoint}", "model")
        if task == "tokens" and one.kind != "words":
            raise wrong(f'{name} labels words: give them as "words": [...]', one.param)
        if task != "tokens" and one.kind == "words":
            raise wrong(f'{name} reads texts, not words: give "text"', one.param)
        if task == "pair" and one.kind != "pair":
            raise wrong(f'{name} reads pairs: give the second text as "pair"', one.param)
        if task == "text" and one.kind == "pair":
            raise wrong(f'{name} reads single texts: leave "pair" out', one.param)

    def _numbers(self, logits: Tensor) -> Tensor:
        return logits if self.identity.task == "regression" else logits.softmax(-1)

    def _language(self, example: Example) -> tuple[Language, bool]:
        where = f"{example.param}.language"
        if example.language is not None:
            return self._known(example.language, where), False
        if self.detector is None:
            raise wrong(
                "the language of the text is missing: say it, as \"language\": \"sw\"; /v1/languages lists all",
                where, "language_missing",
            )  # fmt: skip
        told = self.detector.of(" ".join(example.segments))
        if told is None:
            raise wrong("which language the text is in cannot be told: say it", where, "language_not_found")
        return self._known(told, where), True

    def _known(self, text: str, where: str) -> Language:
        try:
            language = resolve(text, self.declared)
        except UnknownLanguage as error:
            raise wrong(str(error), where, "language_unknown", error.choices) from None
        except UserError as error:
            raise wrong(str(error), where, "language_unknown") from None
        try:
            self.predictor.reader.begin(language)
        except UserError as error:
            near = [resolve(one) for one in language.near]
            raise wrong(str(error), where, "language_not_read", near) from None
        return language


def _languages(predictor: Predictor) -> list[Language]:
    """Those that the encoder has a code for; all that are known, where it needs none."""
    framing = predictor.reader.framing
    if framing is None or framing.family == "madlad":
        return [one for one in all_languages() if framing is None or framing.code(one)]
    known = [one for one in all_languages() if framing.code(one)]
    return known + [declare(code, code) for code in sorted(framing.known) if is_private(code)]
