"""What a body that does not fit its schema is told, in one line: where the fault lies, and not all that follows."""

import difflib
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from xlnu.serve.refused import Refusal

_BARE = ("string_type", "model_attributes_type", "list_type", "model_type")  # of a branch that was not meant
_NAMES_IT = ("extra_forbidden", "missing")  # whose place ends with a name that is no field, or not there
_MIXED = ("input", "candidates")


def refusal(errors: Sequence[dict[str, Any]], schemas: Sequence[type[BaseModel]]) -> Refusal:
    """Of what pydantic found, the deepest: the branch of a union that was meant is the one that came furthest."""
    if any(one["type"] == "json_invalid" for one in errors):
        about = errors[0].get("ctx", {}).get("error", "cannot be read")
        return Refusal(400, "not_json", f"the body is no JSON: {about}")
    fields = {name for schema in schemas for name in schema.model_fields}

    def place(one: dict[str, Any]) -> list[str | int]:
        """Without the names of branches."""
        *most, last = one["loc"][1:] or [""]
        some = [*most, *([last] if one["type"] not in _NAMES_IT else [])]
        kept = [part for part in some if isinstance(part, int) or part in fields]
        return [*kept, last] if one["type"] in _NAMES_IT else kept

    worst = max(errors, key=lambda one: (one["type"] not in _BARE, len(place(one))))
    path = place(worst)
    where = ".".join(map(str, path)) or str(worst["loc"][0])
    if worst["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(path[-1]), fields, n=1)
        said = f"there is no such field{f'; did you mean {near[0]}?' if near else ''}"
    elif worst["type"] == "missing":
        said = "is missing"
    elif worst["type"] in _BARE and path and (path[-1] in _MIXED or isinstance(path[-1], int)):
        said = "should be a text, an object with a text, or a list of these"
    elif worst["type"] == "string_pattern_mismatch":
        said = "is blank"
    else:
        said = worst["msg"][0].lower() + worst["msg"][1:]
    return Refusal(422, "invalid_request", f"{where}: {said}", where)
