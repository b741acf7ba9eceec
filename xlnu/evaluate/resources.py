"""How much text there is of a language: what the settings say, and else whether XLM-R has it."""

from collections.abc import Mapping, Sequence

from xlnu.languages import Language, resolve
from xlnu.report.document import Resource


def levels(
    said: Mapping[str, Resource], source: Language, languages: Sequence[Language], declared: Sequence[Language]
) -> dict[str, Resource]:
    """By label. Settings that many jobs share may name more languages."""
    known: dict[str, Resource] = {one.label: "high" if one.xlmr else "low" for one in languages}
    asked = {one.code: one.label for one in languages}
    for name, level in said.items():
        code = resolve(name, declared).code
        if code in asked:
            known[asked[code]] = level
    return known | {source.label: "source"}
