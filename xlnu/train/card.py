"""README.md of a trained model: how it was made, of what, and under which licences."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from xlnu import __version__
from xlnu.engines.checkpoint import Checkpoint
from xlnu.languages import Language
from xlnu.train.workers import Trained


def card(
    model: Checkpoint,
    trained: Trained,
    languages: Sequence[Language],
    settings: Mapping[str, Any],
    examples: Mapping[str, int],
    licences: Mapping[str, str],
) -> str:
    """`examples`: rows by language; `licences`: of what it was made of."""
    codes = sorted({language.iso1 or language.iso3 for language in languages})
    of_hub = {} if model.content else {"base_model": model.name}
    top = yaml.safe_dump({"language": codes, "library_name": "transformers", **of_hub, "tags": ["xlnu"]})
    progress = trained.progress
    lines = [
        f"# {model.short}, trained by xlnu {__version__}",
        "",
        f"Trained on answers of its own (self-distillation from its best language) in {len(languages)} languages.",
        f"Best held-out loss {progress.best:.4f}, at step {progress.best_step} of {progress.step} that were made.",
        "",
        "| language | examples |",
        "|---|---|",
        *(
            f"| {language.name} (`{language.label}`) | {examples.get(language.label, 0):,} |"
            for language in languages
        ),
        "",
        "## Settings",
        "",
        *(f"- `{name}`: {value}" for name, value in settings.items()),
        "",
        "## Made of, and under which licences",
        "",
        *(f"- {name}: {licence}" for name, licence in licences.items()),
        "",
    ]
    return f"---\n{top}---\n\n" + "\n".join(lines)
