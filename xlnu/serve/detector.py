"""What tells the language of a text that comes without one, as the user names it."""

import importlib
from typing import Any

from xlnu.errors import UserError
from xlnu.evaluate.identify import FastText, Tells


def opened(named: str) -> Tells | None:
    """A fastText model's file, or MODULE:NAME of a class or an object with the method `of`."""
    if not named:
        return None
    module, colon, name = named.partition(":")
    if not colon:
        return FastText(named)
    try:
        found: Any = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"detect: {named}: cannot be imported: {error}") from None
    made = found() if isinstance(found, type) else found
    if not callable(getattr(made, "of", None)):
        raise UserError(f"detect: {named}: has no method `of(text)`, which gives a language's code, or None")
    return made  # type: ignore[no-any-return]
