"""What answers are judged by, beside the answers: the languages, and what each of them looks like."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from xlnu.cache import hash_file
from xlnu.engines.checkpoint import Checkpoint, of_file
from xlnu.errors import UserError
from xlnu.evaluate import flores
from xlnu.evaluate.identify import FastText, Identifier, Tells
from xlnu.evaluate.metrics import TO_SOURCE, Asked, has_pieces
from xlnu.languages import Language


@dataclass(frozen=True)
class Judge:
    """It pickles: answers are measured anywhere."""

    source: Language
    languages: tuple[Language, ...]
    texts: Mapping[str, Sequence[str]]  # sentences by language's code; of languages without, none can be told
    spbleu: bool = False
    model: Checkpoint | None = None  # of fastText, that tells languages; None: by `texts`

    def asked(self, kind: str, label: str) -> Asked:
        language = self._by_label[label]
        into = self.source if kind == TO_SOURCE else language
        tells = {language.code, self.source.code} <= self._identifier.names
        return Asked(language, into, self._identifier if tells else None, self.spbleu)

    @cached_property
    def _identifier(self) -> Tells:
        return FastText(self.model.local()) if self.model else Identifier(self.texts)

    @cached_property
    def _by_label(self) -> dict[str, Language]:
        return {language.label: language for language in (self.source, *self.languages)}

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made of it: that is large."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def judge(
    source: Language, languages: Sequence[Language], folder: str, split: Literal["dev", "devtest"], model: str
) -> Judge:
    """Without a model, what languages look like is learned from the other half of FLORES, which nobody is tested on
    then.
    """
    if model and not Path(model).expanduser().is_file():
        raise UserError(f"identify: {model}: no such file; name a fastText model, or nothing")
    texts = {}
    for language in (source, *languages):
        found = flores.sentences(Path(folder).expanduser(), _other(split), language) if folder else None
        if found:
            texts[language.code] = found
    teller = of_file(Path(model).expanduser()) if model else None
    if teller:
        FastText(teller.name)  # what is none is told now, and not when the answers are there
    return Judge(source, tuple(languages), texts, has_pieces(), teller)


def about(
    folder: str, split: Literal["dev", "devtest"], languages: Sequence[Language], model: str
) -> dict[str, str]:
    """What a measure depends on: the files that the languages are told by."""
    if model:
        return {"model": hash_file(Path(model).expanduser())}
    places = {one.code: flores.place(Path(folder).expanduser(), _other(split), one) for one in languages if folder}
    return {code: hash_file(path) for code, path in places.items() if path.is_file()}


def _other(split: Literal["dev", "devtest"]) -> Literal["dev", "devtest"]:
    return "dev" if split == "devtest" else "devtest"
