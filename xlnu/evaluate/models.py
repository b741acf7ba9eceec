"""The models that are evaluated: what each of them is, and which benchmarks it can answer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from xlnu.engines.checkpoint import Checkpoint, cluster_store, find
from xlnu.engines.shared import shared
from xlnu.errors import UserError
from xlnu.evaluate import classified
from xlnu.evaluate.asked import Benchmark
from xlnu.evaluate.harness import PROMPTS
from xlnu.report.document import Mode

Kind = Literal["stack", "classifier", "llm", "adapter"]
STACK = "xlnu_stack"
CONFIGS = ("*.json",)  # of a checkpoint: not its weights


@dataclass(frozen=True)
class Model:
    name: str
    kind: Kind
    checkpoint: Checkpoint
    base: Checkpoint | None = None  # of an adapter
    about: Mapping[str, Any] = field(default_factory=dict, repr=False)  # its config.json

    @property
    def mode(self) -> Mode:
        """How it comes to its answers, by the names that reports have for that."""
        if self.kind == "stack":
            views: dict[str, Mode] = {"llm": "zero_shot", "encoder": "encoder"}
            return views.get(self.about["view"], "stacked")
        return "classifier" if self.kind == "classifier" else "zero_shot"

    def lacks(self, benchmark: Benchmark, labels: Mapping[str, str]) -> str | None:
        """Why it cannot answer a benchmark; None: it can."""
        task = benchmark.task
        if self.kind in ("llm", "adapter"):
            if benchmark.name not in PROMPTS:
                return None if benchmark.generated else f"there is no prompt to ask an LLM for {task.name}"
            known = PROMPTS[benchmark.name].labels
            return None if {*task.labels} <= {*known} or not known else _labels(known, task.labels)
        if benchmark.generated:
            return "it has a head, and writes nothing"
        if self.kind == "classifier":
            theirs = classified.labels(self.checkpoint)
            if task.kind in ("text", "pair"):
                return None if classified.matched(task, theirs, labels) else _labels(theirs, task.labels)
            return f"it classifies texts, and {task.name} asks for something else"
        if self.about["task"] != task.kind:
            was = self.about["task"] or "no task"
            return f"it was trained for {was}, and this is {task.kind}"
        theirs = self.about["labels"] or []
        return None if {*task.labels} <= {*theirs} or task.kind == "choice" else _labels(theirs, task.labels)


def _labels(theirs: Sequence[str], asked: Sequence[str]) -> str:
    return f"it answers {', '.join(theirs)}, and the tests ask for {', '.join(asked)}: see `labels`"


def parents(stack: Model, given: Mapping[str, str]) -> dict[str, str | Checkpoint]:
    """Where they lie. Those that are folders here, or were on a cluster's head, other machines may not have."""
    found: dict[str, str | Checkpoint] = dict(given)
    for part in ("encoder", "llm"):
        about = stack.about.get(part) or {}
        name = given.get(part) or (about.get("name") if about.get("content") else None)
        if name and Path(name).expanduser().is_dir():
            found[part] = find(f"parents.{part}", name)
        elif name and part not in given:
            once = Checkpoint(name, "", about["content"], store=cluster_store())
            found |= {part: once} if shared(once) else {}
    return found


def opened(key: str, given: str, name: str, base: str) -> Model:
    where, _, revision = given.partition("@") if not Path(given).expanduser().exists() else (given, "", "")
    checkpoint = find(key, where, revision or "main")
    if checkpoint.content:
        adapter = Path(checkpoint.local()) / "adapter_config.json"
        if adapter.is_file() and not (adapter.parent / "config.json").is_file():
            told = json.loads(adapter.read_text(encoding="utf-8"))
            below = find("base", base or told.get("base_model_name_or_path") or "")
            return Model(name, "adapter", checkpoint, below)
    about = json.loads(Path(checkpoint.local(CONFIGS), "config.json").read_text(encoding="utf-8"))
    named = " ".join(about.get("architectures") or [])
    if about.get("model_type") == STACK:
        return Model(name, "stack", checkpoint, about={"view": "stack", "task": None, "labels": None} | about)
    if "ForSequenceClassification" in named:
        return Model(name, "classifier", checkpoint, about=about)
    if "ForCausalLM" in named or ("ForConditionalGeneration" in named and not about.get("is_encoder_decoder")):
        return Model(name, "llm", checkpoint, about=about)
    kind = named or about.get("model_type") or "no model that transformers knows"
    raise UserError(
        f"{key}: {given}: is {kind}: what can be evaluated is a stack, a classifier (ForSequenceClassification), "
        "an LLM (ForCausalLM) or an adapter of one"
    )
