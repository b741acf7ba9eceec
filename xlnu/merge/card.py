"""README.md of a merged model: what it was made of, and how."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from xlnu import __version__
from xlnu.config import shown
from xlnu.engines.checkpoint import Checkpoint
from xlnu.markdown import table, text

INTRODUCTION = (
    "Two experts of one architecture, merged tensor by tensor, without training. Nothing was measured of the "
    "result. Configuration, tokenizer and chat template are the language expert's."
)
METHODS = {
    "swap": "The outer layers are the language expert's, those in the middle the task expert's; where the two meet "
    "they are half of each. The embeddings, the last norm and the head are the language expert's.",
    "adaptive": "For each layer and expert, the changes of its seven projections since the base, "
    "‖expert − base‖ / ‖base‖, are summed, and divided by the expert's sum over all layers. Where the task "
    "expert's share is larger by more than the threshold, the layer is the task expert's; where it is smaller by "
    "more, the language expert's; else half of each, as are the embeddings, the last norm and the head.",
}


def card(
    parents: Mapping[str, Checkpoint], method: str, settings: Mapping[str, Any], layers: Sequence[Sequence[str]]
) -> bytes:
    """`parents` by what they are to the merged model; `layers`: where each layer comes from, below a head."""
    licences = {parent.licence for parent in parents.values()}
    known = len(licences) == 1 and not licences & {Checkpoint.licence, "other"}
    about: dict[str, Any] = {
        "license": licences.pop() if known else "other",
        **({} if known else {"license_name": "licences-of-its-parents"}),
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["merge", "cross-lingual"],
    }
    on_hub = [parent.name for parent in parents.values() if not parent.content]
    if on_hub:  # a folder's name would mean nothing there
        about["base_model"] = on_hub
    names = [text(Path(parent.name).name if parent.content else parent.name) for parent in parents.values()]
    rows = [
        [role, name, f"`{parent.content or parent.revision}`", text(parent.licence)]
        for (role, parent), name in zip(parents.items(), names, strict=True)
    ]
    used = ", ".join(f"`{key}={shown(value)}`" for key, value in settings.items())
    parts = [
        f"---\n{yaml.safe_dump(about, sort_keys=False, allow_unicode=True)}---",
        f"# {names[0]} and {names[1]}, merged",
        INTRODUCTION,
        "## Parents",
        table(["role", "model", "content", "licence"], [], rows),
        f"## Layers\n\nMethod: `{method}`, with {used}. {METHODS[method]}",
        table(layers[0], [], layers[1:]),
        f"Made by xlnu {__version__}.",
    ]
    return ("\n\n".join(parts) + "\n").encode()
