"""How each family of translation models is told the two languages. Wrong framing gives garbage, not an error."""

from dataclasses import dataclass
from typing import Any, Literal

from xlnu.errors import UserError
from xlnu.languages import Language

Family = Literal["nllb", "m2m100", "madlad"]


@dataclass(frozen=True)
class Framing:
    """NLLB and M2M-100 read `code tokens </s>` and begin to write with a code; MADLAD is told in the text."""

    family: Family
    end: str
    known: frozenset[str]

    def code(self, language: Language) -> str | None:
        """What the model calls the language; None when it does not know it."""
        name = {
            "nllb": language.nllb or "",
            "m2m100": f"__{language.iso1 or language.iso3}__",
            "madlad": f"<2{language.iso1 or language.iso3}>",
        }[self.family]
        return name if name in self.known else None

    def source(self, tokens: list[str], source: str, target: str) -> list[str]:
        return [target if self.family == "madlad" else source, *tokens, self.end]

    def prefix(self, target: str) -> list[str]:
        return [] if self.family == "madlad" else [target]


def positions(model: str) -> int:
    """The tokens of a sentence that the model has positions for, besides a code and the end: NLLB 1,022."""
    from transformers import AutoConfig

    found: int = getattr(AutoConfig.from_pretrained(model), "max_position_embeddings", 1024)  # T5's are relative
    return found - 2


def framing(tokenizer: Any, name: str) -> Framing:
    """By what the tokenizer holds: its class differs between versions, and between fast and slow ones."""
    special = frozenset(tokenizer.all_special_tokens)
    told = frozenset(token for token in tokenizer.get_vocab() if token.startswith("<2") and token.endswith(">"))
    end = tokenizer.eos_token
    if told:
        return Framing("madlad", end, told)
    if any(token.startswith("__") and token.endswith("__") for token in special):
        return Framing("m2m100", end, special)
    if any(len(token) == 8 and token[3] == "_" for token in special):
        return Framing("nllb", end, special)
    raise UserError(f"{name}: its tokenizer has no language codes as NLLB, M2M-100 or MADLAD have them")
