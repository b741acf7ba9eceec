"""The tiny world in a job's settings: a path that begins with `tiny:` is one of its models or files.

    english.model: tiny:llm   translator.model: tiny:mt   quality.model: tiny:qe   instructions.path: tiny:data/...

In a list of NAME=PLACE the place may be one. The job makes the world if it has to, puts the real paths in their
places, and reads them as it reads any others.
"""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

from xlnu import manifest
from xlnu.errors import UserError
from xlnu.languages import Language, declare
from xlnu.progress import Display
from xlnu.tiny.build import Built, TinyConfig, build, open_cache, world_steps
from xlnu.tiny.tongues import SOURCE

_NAMED = re.compile(r"((?:\w+=)?)tiny:")


def embed(config: Any, tiny: TinyConfig, display: Display, plan: bool) -> tuple[Built | None, tuple[Language, ...]]:
    """The world, if a setting names it, and the languages it declares; `config` has the paths in their places."""
    if not _any(config):
        return None, ()
    if plan:
        store = open_cache(tiny, writable=False)
        if any(manifest.read(store, step.address) is None for step in world_steps(tiny).values()):
            raise UserError(
                "the tiny world is not made yet, and a plan makes nothing: run "
                f"`python jobs/tiny.py tiny.size={tiny.size} tiny.seed={tiny.seed}` first"
            )
    built = build(tiny, display)
    _put(config, {"llm": built.llm, "mt": built.mt, "qe": built.qe, "data": built.data})
    languages = json.loads((built.data / "languages.json").read_text(encoding="utf-8"))
    return built, tuple(declare(each["code"], each["name"]) for each in languages if each["code"] != SOURCE)


def _any(value: Any) -> bool:
    if dataclasses.is_dataclass(value):
        return any(_any(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, list | dict):
        return any(_any(one) for one in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and _NAMED.match(value) is not None


def _put(config: Any, places: dict[str, Path]) -> None:
    def put(value: Any) -> Any:
        if isinstance(value, list):
            return [put(one) for one in value]
        if isinstance(value, dict):
            return {name: put(one) for name, one in value.items()}
        named = _NAMED.match(value) if isinstance(value, str) else None
        if not named:
            return value
        name, slash, rest = value[named.end() :].partition("/")
        if name not in places:
            raise UserError(f"{value}: the tiny world has no {name!r}: there are {', '.join(map(repr, places))}")
        return f"{named[1]}{places[name]}{slash}{rest}"

    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            _put(value, places)
        else:
            setattr(config, field.name, put(value))
