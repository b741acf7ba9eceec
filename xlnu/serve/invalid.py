"""What a body that does not fit its schema is told, in one line: where the fault lies, and not all that follows."""

import difflib
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from xlnu.serve.refused import Refusal

_BARE = ("string_type", "model_attributes_type", "list_type", "model_type")  # of a branch that was not meant


def refusal(errors: Sequence[dict[str, Any]], schemas: Sequence[type[BaseModel]]) -> Refusal:
    """Of what pydantic found, the deepest: the branch of a union that was meant is the one that came furthest."""
    if any(one["type"] == "json_invalid" for one in errors):
        return Refusal(
            400, "not_json", f"the body is no JSON: {errors[0].get('ctx', {}).get('error', 'cannot be read')}"
        )
    worst = max(errors, key=lambda one: (one["type"] not in _BARE, len(one["loc"])))
    fields = {name for schema in schemas for name in schema.model_fields}
    path = [one for one in worst["loc"][1:] if isinstance(one, int) or one in fields or worst["loc"][-1] is one]
    where = ".".join(map(str, path)) or str(worst["loc"][0])
    if worst["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(path[-1]), fields, n=1)
        said = f"there is no such field{f'; did you mean {near[0]}?' if near else ''}"
    elif worst["type"] == "missing":
        said = "is missing"
    elif worst["type"] in _BARE:
        said = "should be a text, an object with a text, or a list of these"
    elif worst["type"] == "string_pattern_mismatch":
        said = "is blank"
    else:
        said = worst["msg"][0].lower() + worst["msg"][1:]
    return Refusal(422, "invalid_request", f"{where}: {said}", where)
