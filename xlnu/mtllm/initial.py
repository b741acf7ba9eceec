"""The step `initial`: a stack that has learned nothing yet, its projection fitted in closed form if asked for; and
the LLM alone and the encoder alone in the same form.
"""

import tempfile
from pathlib import Path
from typing import Any

from xlnu import machine
from xlnu.languages import Language
from xlnu.mtllm.parts import Parents, StackSettings, about, stack_config
from xlnu.mtllm.tokens import readers
from xlnu.mtllm.trained import put, save
from xlnu.spread import call
from xlnu.steps import NOBODY_KNOWS, Rows, Step, Work, Writer

NAMES = {"stack": "initial", "llm": "initial_llm", "encoder": "initial_encoder"}


def step(view: str, settings: StackSettings, parents: Parents, source: Language, documents: Step | None) -> Step:
    fitted = view == "stack" and settings.init == "least_squares"
    made: dict[str, Any] = {**about(settings, view), **parents.identity, "view": view, "source": source.label}
    if view == "stack":
        made |= {"init": settings.init, "seed": settings.seed}
    if fitted:
        made |= {"init_texts": settings.init_texts}

    def run(work: Work) -> int:
        rows = work.inputs["documents"].rows() if fitted else None
        arguments = (work.write_part, view, settings, parents, source, rows)
        call(_make, *arguments, task=work.task)
        return 0

    inputs = (documents,) if fitted and documents else ()
    return Step(NAMES[view], made, run, inputs, estimate=NOBODY_KNOWS)


def _make(
    writer: Writer, view: str, settings: StackSettings, parents: Parents, source: Language, rows: Rows | None
) -> None:
    import torch

    from xlnu.mtllm.texts import fitting
    from xlnu.stack import artefact, fit

    folders = parents.folders()
    config = stack_config(settings, parents, view, source=source.code)
    torch.manual_seed(settings.seed)
    torch.set_num_threads(machine.cores())
    model = artefact.build(config, folders, "auto")
    if rows is not None:
        both = readers(config, folders)
        given = rows.read(0, settings.init_texts, ["text"])["text"].to_pylist()
        cut = fitting(given, source, both, settings.length)
        texts = [text for text in cut if text and text.strip()]
        fit.fit(model, both.encoder, both.llm, texts, settings.seed)
    with tempfile.TemporaryDirectory() as place:
        made = Path(place, "made")
        tokenizer = folders["llm" if view == "llm" else "encoder"]
        save(model, made, tokenizer, f"# Not trained yet: {view}\n")
        put(writer, made)
