"""README.md of a trained model: how it was made, of what, and under which licences."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from xlnu import __version__
from xlnu.config import shown
from xlnu.engines.checkpoint import Checkpoint
from xlnu.languages import Language
from xlnu.markdown import code, table, text
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
    seen = [[text(each.name), code(each.label), f"{examples.get(each.label, 0):,}"] for each in languages]
    chosen = [[code(name), code(shown(value))] for name, value in settings.items()]
    of = [[text(name), text(licence)] for name, licence in licences.items()]
    how = f"Best held-out loss {progress.best:.4f}, at step {progress.best_step} of {progress.step} that were made."
    parts = [
        f"---\n{top}---",
        f"# {text(model.short)}, trained by xlnu {__version__}",
        f"Trained on answers of its own (self-distillation) in {len(languages)} languages. {how}",
        table(["Language", "Code"], ["Examples"], seen),
        "## Settings\n\n" + table(["Setting", "Value"], [], chosen),
        "## Licences of what it was made of\n\n" + table(["Source", "Licence"], [], of),
    ]
    return "\n\n".join(parts) + "\n"
