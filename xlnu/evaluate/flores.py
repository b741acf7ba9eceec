"""FLORES-200: the same sentences in all languages, a line each in SPLIT/CODE.SPLIT."""

from pathlib import Path

from xlnu.errors import UserError
from xlnu.languages import Language


def place(folder: Path, split: str, language: Language) -> Path:
    return folder / split / f"{language.flores or language.code}.{split}"


def sentences(folder: Path, split: str, language: Language) -> list[str] | None:
    """A language's sentences; None where FLORES has it not, or the folder has not the split."""
    path = place(folder, split, language)
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").split("\n") if path.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None


def pairs(folder: Path, split: str, source: Language, language: Language) -> list[tuple[str, str]]:
    """Lines of the two languages that say the same; none where one of the files is missing."""
    one, other = sentences(folder, split, source), sentences(folder, split, language)
    if one is None or other is None:
        return []
    if len(one) != len(other):
        raise UserError(
            f"{folder / split}: {source.code} has {len(one)} lines and {language.code} {len(other)}: as they are, "
            "nobody knows which belong together"
        )
    return list(zip(one, other, strict=True))
