"""README.md of a stack, a teacher or a baseline: what it is, how to open it, how it was trained, what it scores."""

from collections.abc import Sequence

import yaml

from xlnu import __version__
from xlnu.languages import Language
from xlnu.markdown import code, table, text
from xlnu.mtllm.parts import Parents
from xlnu.report.document import Score
from xlnu.train.card import scores_table
from xlnu.train.loop import Progress

WHAT = {
    "map": "An MT encoder in front of an LLM, the way between them learned from bitext.",
    "align": "An MT encoder in front of an LLM, aligned with it by self-distillation: an embedder of text.",
    "task": "Tuned on a task's labels.",
    "distil": "An MT encoder in front of an LLM, distilled from the LLM tuned on the task in its own language.",
}

HOW = """```python
import xlnu
from transformers import AutoModel

model = AutoModel.from_pretrained("THIS FOLDER")
```"""


def card(
    goal: str,
    view: str,
    parents: Parents,
    languages: Sequence[Language],
    progress: Progress,
    licences: dict[str, str],
    scores: Sequence[Score] = (),
) -> str:
    both = {"encoder": parents.encoder, "llm": parents.llm}
    of = {view: both[view]} if view in both else both
    of_hub = [one.name for one in of.values() if not one.content]
    codes = sorted({language.iso1 or language.iso3 for language in languages})
    base = {"base_model": of_hub} if of_hub else {}
    top = yaml.safe_dump({"language": codes, "library_name": "xlnu", **base, "tags": ["xlnu", "mt-llm"]})
    stated = {name: one.licence for name, one in of.items()}
    stated |= {name: said for name, said in licences.items() if name not in both or name in of}
    last = next((row for row in progress.curve if row["step"] == progress.best_step), {})
    measured = ", ".join(
        f"{name.removeprefix('held_out_').replace('_', ' ')} {value:.4f}"
        for name, value in last.items()
        if name.startswith("held_out_")
    )
    parts = [
        f"---\n{top}---",
        f"# {' in front of '.join(text(one.short) for one in of.values())}, by xlnu {__version__}",
        f"{WHAT[goal]} Step {progress.best_step} of {progress.step}, by what was held out: {measured}.",
        HOW,
        table(["Language", "Code"], [], [[text(each.name), code(each.label)] for each in languages]),
        *(["## Scores\n\n" + scores_table(scores)] if scores else []),
        "## Licences of what it was made of\n\n"
        + table(["Source", "Licence"], [], [[text(name), text(said)] for name, said in stated.items()]),
    ]
    return "\n\n".join(parts) + "\n"
