"""What `python jobs/merge.py` does: it opens the experts, chooses layers, and leaves a model with its card; or it
puts a stack and its parents into one directory.
"""

import dataclasses
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from xlnu.config import section, setting
from xlnu.engines.checkpoint import find
from xlnu.errors import Halt, UserError, first_line
from xlnu.job import CONFIG_FILE
from xlnu.lock import held
from xlnu.merge import choose
from xlnu.merge.card import card
from xlnu.merge.choose import Choice
from xlnu.merge.parents import Parent, compare, compare_base, open_parent
from xlnu.merge.write import copy_rest, sync, write_weights
from xlnu.progress import Display
from xlnu.run import FolderConfig, Run, print_out
from xlnu.store import UNFINISHED

MODEL, RECORD, LOCK = "model", "merge.json", "_lock"


@dataclass
class MergeConfig:
    language: str = setting("", "the expert of the language: a folder with a checkpoint, or a name on the hub")
    task: str = setting("", "the expert of the task, of the same architecture")
    base: str = setting("", "what both were fine-tuned from, which adaptive needs")
    method: Literal["swap", "adaptive"] = setting(
        "swap", "swap: outer layers from language, the middle from task; adaptive: each from who changed it more"
    )
    bottom: int | None = setting(None, "swap: the first layers, from language; null: a quarter of them", at_least=0)
    top: int | None = setting(None, "swap: the last layers, from language; null: an eighth of them", at_least=0)
    transition: int | None = setting(
        None, "swap: layers that are half of each, where the two meet; null: one for every 32", at_least=0
    )
    threshold: float = setting(0.001, "adaptive: a smaller difference makes a layer half of each", at_least=0)
    shard_size: float = setting(4.0, "GB that a file of weights has at most; no tensor is cut", above=0)
    stack: str = setting(
        "", "instead of experts: a stack (MT-LLM), which is merged with its parents, and its adapter into its LLM"
    )
    encoder: str = setting("", "where the stack's encoder lies now, if not where it was")
    llm: str = setting("", "where the stack's LLM lies now, if not where it was")
    run: FolderConfig = section(FolderConfig)


def work(config: MergeConfig, run: Run) -> None:
    if not run.folder.local:
        raise UserError(f"run.dir: {run.folder.label}: a model is merged into a folder of this machine; name one")
    if config.stack:
        _stack(config, run)
        return
    parents = _open(config)
    settings = _settings(config, parents["language"].depth)
    if run.plan:
        print_out(_table(_choose(parents, settings, run.display)))
        return
    inputs = {
        "method": config.method,
        **settings,
        "shard_size": config.shard_size,
        "parents": {role: parent.checkpoint.identity for role, parent in parents.items()},
    }

    def make(beside: Path) -> dict[str, Any]:
        choice = _choose(parents, settings, run.display)
        checkpoints = {role: parent.checkpoint for role, parent in parents.items()}
        (beside / "README.md").write_bytes(card(checkpoints, config.method, settings, choose.table(choice)))
        _write(beside, parents, choice, round(config.shard_size * 1e9), run.display)
        return {"choice": dataclasses.asdict(choice)}

    record = _once(run, inputs, make)
    print_out(_table(Choice(**record["choice"])))
    print_out(run.folder.place(MODEL))


def _stack(config: MergeConfig, run: Run) -> None:
    for name in ("language", "task", "base"):
        if getattr(config, name):
            raise UserError(f"{name}: a stack is merged with its own parents: leave out {name}, or stack")
    from xlnu.stack import artefact

    stack = find("stack", config.stack)
    folder = stack.local()
    if run.plan:
        print_out("\n".join(f"{part}  {where}" for part, where in artefact.parts(folder).items()))
        return
    moved = {part: where for part, where in (("encoder", config.encoder), ("llm", config.llm)) if where}

    def make(beside: Path) -> dict[str, Any]:
        artefact.merge(folder, beside, **moved)
        return {}

    _once(run, {"stack": stack.identity}, make)
    print_out(run.folder.place(MODEL))


def _once(run: Run, inputs: dict[str, Any], make: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """The record of this merge, which is made unless it is there already."""
    folder = Path(run.folder.root)
    strange = sorted(path.name for path in folder.iterdir() if not _ours(path.name))
    if strange:
        why = f"there is something else in it ({strange[0]}): name a folder for this merge alone"
        raise UserError(f"run.dir: {run.folder.label}: {why}")

    def waiting(holder: str) -> None:
        run.display.say(f"another run ({holder}) merges into {run.folder.label}; waiting for it")

    with held(run.folder, LOCK, waiting):
        if (folder / MODEL).exists():
            record = _finished(folder / MODEL, inputs, run.folder.place(MODEL))
            run.display.say("nothing was left to do: this merge was made before")
            return record
        return _make(folder, inputs, make)


def _open(config: MergeConfig) -> dict[str, Parent]:
    names = {"language": config.language, "task": config.task}
    for name, value in names.items():
        if not value:
            raise UserError(
                f"{name}: must be given, as {name}=VALUE; the expert of the {name}, of the same architecture as "
                "the other; or stack=DIR alone"
            )
    if config.method == "adaptive":
        if not config.base:
            raise UserError("base: adaptive needs the model that both experts were fine-tuned from: base=FOLDER")
        names["base"] = config.base
    import torch

    torch.set_num_threads(1)  # most of it is reading and writing; on a busy machine threads wait for one another
    parents = {role: open_parent(role, name) for role, name in names.items()}
    compare(parents["language"], parents["task"])
    if "base" in parents:
        compare_base(parents["base"], parents["language"])
    return parents


def _settings(config: MergeConfig, depth: int) -> dict[str, Any]:
    """What the method is given, with numbers where the user named none."""
    if config.method == "adaptive":
        return {"threshold": config.threshold}
    return choose.sizes(depth, config.bottom, config.top, config.transition)


def _choose(parents: dict[str, Parent], settings: dict[str, Any], display: Display) -> Choice:
    depth = parents["language"].depth
    if "base" not in parents:
        return choose.swap(depth, **settings)
    with display.task("compare") as task:
        task.begin(2 * depth, 0, "layers")
        experts = parents["language"], parents["task"], parents["base"]
        return choose.adaptive(*experts, settings["threshold"], task.advance)


def _ours(name: str) -> bool:
    return name in (CONFIG_FILE, MODEL, LOCK) or name.startswith(UNFINISHED)


def _finished(model: Path, inputs: dict[str, Any], place: str) -> dict[str, Any]:
    """The record of the merge that is there already, if it is this one."""
    try:
        record: dict[str, Any] = json.loads((model / RECORD).read_bytes())
        if record["inputs"] == inputs:
            return record
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not written by this job
    raise UserError(f"run.dir: {place} is not this merge, but another: name another run.dir, or delete it")


def _make(folder: Path, inputs: dict[str, Any], make: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """All files beside their place, and there at once when they are whole."""
    from safetensors import SafetensorError

    beside = folder / f"{UNFINISHED}{MODEL}"
    shutil.rmtree(beside, ignore_errors=True)  # of a run that was killed
    try:
        beside.mkdir()
        record = {"format": 1, "inputs": inputs, **make(beside)}
        (beside / RECORD).write_text(json.dumps(record, indent=2), encoding="utf-8")
        sync(beside)
        beside.rename(folder / MODEL)
    except (OSError, SafetensorError) as error:
        again = "mend it and run the same command again"
        raise Halt(f"{folder / MODEL}: cannot be made: {first_line(error)}; {again}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return record


def _write(beside: Path, parents: dict[str, Parent], choice: Choice, shard: int, display: Display) -> None:
    language, task = parents["language"], parents["task"]
    copy_rest(beside, language)
    with display.task("merge") as progress:
        progress.begin(len(language.weights.shapes), 0, "tensors")
        write_weights(beside, language, task, choice, shard, progress.advance)


def _table(choice: Choice) -> str:
    lines = choose.table(choice)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
