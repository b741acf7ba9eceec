"""Files that other tools read: JSON that its schema describes, checked before a byte of it is written."""

import json
import math
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator, TypeChecker
from jsonschema.validators import extend

# put(name, data) writes a file into the caller's folder, which may be local or in object storage.
Put = Callable[[str, bytes], None]


def _is_finite_number(_: TypeChecker, value: Any) -> bool:
    return Draft202012Validator.TYPE_CHECKER.is_type(value, "number") and math.isfinite(value)


# JSON has no NaN and no Infinity. Python's json writes them all the same, and jsonschema calls them numbers.
_Validator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", _is_finite_number),
)


def schema(package: str) -> dict[str, Any]:
    """The schema.json that lies in a package."""
    found: dict[str, Any] = json.loads(files(package).joinpath("schema.json").read_text(encoding="utf-8"))
    return found


def encode(document: dict[str, Any], package: str) -> bytes:
    """The document as bytes of JSON; ValueError, naming each wrong place, if it breaks the schema."""
    errors = sorted(_Validator(schema(package)).iter_errors(document), key=lambda error: error.json_path)
    if errors:
        raise ValueError("\n".join(f"{error.json_path}: {error.message}" for error in errors))
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
