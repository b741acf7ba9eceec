"""A stack as a module of sentence-transformers: `SentenceTransformer(DIR).encode(texts)` gives its pooled states.

Which language a text is in, the stack must be told. From the nearest to the farthest:

    encode([{"text": "paka amelala", "language": "swh_Latn"}, ...])      each text by itself
    encode(texts, language="swh_Latn")                                  all of a call
    encode(texts, prompt="swh_Latn") or prompt_name="swh_Latn"           the same: a stack reads no instructions
    encode(texts)                                                       the stack's source language

sentence-transformers hands a prompt through wherever it chooses one by the name of a task, so that is one more way
in for a language; any other prompt is refused, not read as a part of the text. For MTEB see mteb.py.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from sentence_transformers.base.modules import InputModule

from xlnu.errors import UserError
from xlnu.stack import artefact
from xlnu.stack.predict import Predictor

Text = str | Sequence[str] | Mapping[str, Any]  # a text, the two of a pair, or either of these with its language


class Sentences(InputModule):
    """Reads as `Predictor` does: long texts in windows, texts of all languages together. What a text is pooled into
    is one state, whatever the head of the stack would answer.
    """

    forward_kwargs = {"language"}  # noqa: RUF012  as it is declared there

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.model, self.tokenizer = predictor.model, predictor.reader.tokenizer
        self.predictor = predictor.as_text()

    @classmethod
    def load(cls, folder: str, *_: Any, **given: Any) -> "Sentences":  # type: ignore[override]
        """`model_kwargs` of SentenceTransformer: what `from_pretrained` of a stack takes."""
        place = artefact.place(folder, given.get("revision"), given.get("token"))
        return cls(Predictor.open(str(place), **(given.get("model_kwargs") or {})))

    def save(self, output_path: str, *_: Any, **_unused: Any) -> None:
        artefact.save(self.model, Path(output_path))
        self.tokenizer.save_pretrained(output_path)

    def preprocess(  # type: ignore[override]
        self, inputs: Sequence[Text], prompt: str | None = None, language: str | None = None, **_: Any
    ) -> dict[str, Any]:
        """Nothing is tokenised yet: how many windows a text makes is for the predictor to say."""
        default = language or self._of(prompt)
        return {"texts": [_said(one, default) for one in inputs]}

    def _of(self, prompt: str | None) -> str:
        if not prompt:
            source: str = self.predictor.config.source
            return source
        try:
            self.predictor.reader.begin(prompt)
        except UserError as error:
            raise UserError(f"prompt: {prompt!r}: to a stack it is the language of the texts; {error}") from None
        return prompt

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        texts, languages = zip(*features["texts"], strict=True)
        read = self.predictor.read(texts, languages)
        device = next(self.model.parameters()).device
        return {"sentence_embedding": torch.stack([one.pooled[0] for one in read]).to(device)}

    def get_embedding_dimension(self) -> int:
        width: int = self.predictor.config.hidden_size
        return width

    @property
    def max_seq_length(self) -> int:
        """Of a window: a text may be longer."""
        length: int = self.predictor.config.length
        return length


def _said(given: Text, default: str) -> tuple[list[str], str]:
    text, language = given, default
    if isinstance(given, Mapping):
        if given.keys() - {"text", "language"} or "text" not in given:
            raise UserError(f"a text is given as {{'text': ..., 'language': ...}}: not with {', '.join(given)}")
        text, language = given["text"], given.get("language") or default
    return [text] if isinstance(text, str) else list(text), language
