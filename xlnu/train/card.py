"""README.md of a trained model: how it was made, of what, and under which licences."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from xlnu import __version__
from xlnu.config import shown
from xlnu.engines.checkpoint import Checkpoint
from xlnu.languages import Language
from xlnu.markdown import code, table, text
from xlnu.report.document import Score
from xlnu.train.loop import Progress


def card(
    model: Checkpoint,
    method: str,
    progress: Progress,
    languages: Sequence[Language],
    settings: Mapping[str, Any],
    examples: Mapping[str, int],
    licences: Mapping[str, str],
    scores: Sequence[Score] = (),
) -> str:
    """`method` in words; `examples`: rows by language; `licences`: of what it was made of; `scores`: once there are
    any.
    """
    library = "peft" if settings["method"] == "lora" else "transformers"
    codes = sorted({language.iso1 or language.iso3 for language in languages})
    of_hub = {} if model.content else {"base_model": model.name}
    top = yaml.safe_dump({"language": codes, "library_name": library, **of_hub, "tags": ["xlnu"]})
    seen = [[text(each.name), code(each.label), f"{examples.get(each.label, 0):,}"] for each in languages]
    chosen = [[code(name), code(shown(value))] for name, value in settings.items()]
    of = [[text(name), text(licence)] for name, licence in licences.items()]
    how = f"Best held-out loss {progress.best:.4f}, at step {progress.best_step} of {progress.step} that were made."
    parts = [
        f"---\n{top}---",
        f"# {text(model.short)}, trained by xlnu {__version__}",
        f"{text(method[0].upper() + method[1:])}, in {len(languages)} languages. {how}",
        table(["Language", "Code"], ["Examples"], seen),
        *(["## Scores\n\n" + scores_table(scores)] if scores else []),
        "## Settings\n\n" + table(["Setting", "Value"], [], chosen),
        "## Licences of what it was made of\n\n" + table(["Source", "Licence"], [], of),
    ]
    return "\n\n".join(parts) + "\n"


def scores_table(scores: Sequence[Score]) -> str:
    rows = [
        [
            text(one.benchmark),
            code(one.language),
            one.metric.replace("_", " "),
            f"{one.value:.3g}",
            f"{one.ci_low:.3g} to {one.ci_high:.3g}",
            f"{one.n:,}",
        ]
        for one in scores
    ]
    return table(["Benchmark", "Language", "Metric"], ["Value", "95 % interval", "Examples"], rows)
