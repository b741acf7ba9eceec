"""What is said to the model around the texts of a transfer set, in the source language."""

from collections.abc import Callable
from dataclasses import dataclass

from xlnu.config import setting
from xlnu.languages import Language


def holds(*names: str) -> Callable[[str], None]:
    def check(text: str) -> None:
        try:
            told = {name: f"<{name}>" for name in names}
            filled = text.format(**told)
        except (KeyError, IndexError, ValueError):
            filled = ""
        if not all(f"<{name}>" in filled for name in names):
            raise ValueError(
                f"it must hold {' and '.join('{' + name + '}' for name in names)}, and no other braces"
            )

    return check


@dataclass
class AskConfig:
    """What is said to the model around the texts, in the source language."""

    cue: str = setting(
        "Answer in {language}.", "follows a question whose answer is in another language", check=holds("language")
    )
    translate: str = setting(
        "Translate this sentence from {source} to {target}:\n{text}",
        "asks for a translation",
        check=holds("source", "target", "text"),
    )
    complete: str = setting(
        "Complete this sentence in {language}:\n{text}",
        "asks for the rest of a sentence",
        check=holds("language", "text"),
    )
    lowercase: bool = setting(False, "write names of languages without capitals")

    def name(self, language: Language) -> str:
        return language.name.lower() if self.lowercase else language.name
