"""How each family of translation models is told the two languages. Wrong framing gives garbage, not an error."""

from dataclasses import dataclass
from typing import Any, Literal

from xlnu.errors import UserError
from xlnu.languages import Language

Family = Literal["nllb", "m2m100", "madlad"]

# M2M-100 and MADLAD have ISO codes, most of them without a script: of a language that is written in several, which
# script such a code means; and what else some languages are called there.
_USUAL = {
    "ace": "Latn", "arb": "Arab", "bjn": "Latn", "kas": "Arab", "kaz": "Cyrl", "knc": "Latn", "min": "Latn",
    "mni": "Beng", "snd": "Arab", "taq": "Latn", "zho": "Hans",
}  # fmt: skip
_ALSO = {"heb": ("iw",), "jav": ("jw",), "nob": ("no",), "nso": ("ns",), "tgl": ("fil",)}


@dataclass(frozen=True)
class Framing:
    """NLLB and M2M-100 read `code tokens </s>` and begin to write with a code; MADLAD is told in the text."""

    family: Family
    end: str
    known: frozenset[str]

    def code(self, language: Language) -> str | None:
        """What the model calls the language; None when it does not know it."""
        if self.family == "nllb":
            names = [language.nllb or ""]
        else:
            around = "__{}__" if self.family == "m2m100" else "<2{}>"
            names = [around.format(name) for name in _iso_names(language)]
        return next((name for name in names if name in self.known), None)

    def source(self, tokens: list[str], source: str, target: str) -> list[str]:
        return [target if self.family == "madlad" else source, *tokens, self.end]

    def prefix(self, target: str) -> list[str]:
        return [] if self.family == "madlad" else [target]


def _iso_names(language: Language) -> list[str]:
    plain = [name for name in (language.iso1, language.iso3, *_ALSO.get(language.iso3, ())) if name]
    usual = _USUAL.get(language.iso3, language.script) == language.script
    return [*(f"{name}_{language.script}" for name in plain), *(plain if usual else ())]


def positions(model: str) -> int:
    """The tokens of a sentence that the model has positions for, besides a code and the end: NLLB 1,022."""
    from transformers import AutoConfig

    found: int = getattr(AutoConfig.from_pretrained(model), "max_position_embeddings", 1024)  # T5's are relative
    return found - 2


def framing(tokenizer: Any, name: str) -> Framing:
    """By what the tokenizer holds: its class differs between versions, and between fast and slow ones."""
    # M2M-100's own, which transformers 4.57 forgets to count among the special ones
    special = frozenset([*tokenizer.all_special_tokens, *getattr(tokenizer, "lang_token_to_id", ())])
    told = frozenset(token for token in tokenizer.get_vocab() if token.startswith("<2") and token.endswith(">"))
    end = tokenizer.eos_token
    if told:
        return Framing("madlad", end, told)
    if any(token.startswith("__") and token.endswith("__") for token in special):
        return Framing("m2m100", end, special)
    if any(len(token) == 8 and token[3] == "_" for token in special):
        return Framing("nllb", end, special)
    raise UserError(f"{name}: its tokenizer has no language codes as NLLB, M2M-100 or MADLAD have them")
