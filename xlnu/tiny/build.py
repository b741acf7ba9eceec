"""Making a world, or finding it made: steps on a store in the user's cache folder.

Data, LLM, translation model, quality model, numbers: each a step, so a changed setting makes anew only what hangs
on it, a killed build goes on, and two builds at once do not collide. Training runs in processes of its own, one
thread each: the LLM beside the translator is the best use of two cores (two threads took 5.7 times the CPU time of
one while another process ran), and the caller's torch is left alone.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlnu import manifest, steps
from xlnu.cache import cache_folder as user_cache
from xlnu.config import setting
from xlnu.errors import Halt, UserError
from xlnu.progress import Display
from xlnu.report.document import Tiny, TinyNumbers, TinyPaths
from xlnu.steps import Estimate, Step, Work
from xlnu.store import Store
from xlnu.tiny.sizes import SIZES, Size, SizeName
from xlnu.tiny.tongues import SOURCE

DATA = ("words", "clauses", "tongues", "world", "tasks", "files")


def _is_local(cache: str) -> None:
    if "://" in cache:
        raise ValueError("a world is made on this machine: name a local folder")


@dataclass
class TinyConfig:
    """The embedded world: made languages, with real models of them made on the spot."""

    size: SizeName = setting("s", "xs: seconds, for tests; s: two minutes on two cores; m: for a GPU")
    seed: int = setting(0, "another seed is another world: other words, names, facts and weights", at_least=0)
    aligned: bool = setting(
        True,
        "teach the translator which words stand for each other (first its cross-attention, then its encoder), for "
        "the neutrality that NLLB has from its size; false: the control without",
    )
    masked: bool = setting(
        True,
        "keep the translator's decoder from learning to translate low-resource languages into the source language, "
        "which only its encoder then reads; false: the control without",
    )
    cache: str = setting(
        "", "the local folder where worlds are kept; empty: xlnu/tiny in the user's cache folder", check=_is_local
    )


@dataclass(frozen=True)
class Built:
    """Where a world lies. Models and data are opened from these folders like any others."""

    data: Path
    llm: Path
    mt: Path
    qe: Path  # the checkpoint is qe/checkpoints/model.ckpt
    numbers: dict[str, Any]

    def report(self) -> Tiny:
        """The section `tiny` of a report."""
        n = self.numbers
        return Tiny(
            TinyPaths(str(self.llm), str(self.mt), str(self.qe / "checkpoints" / "model.ckpt")),
            TinyNumbers(
                qe_auc=n["qe_auc"],
                llm_source_accuracy=n["llm"][SOURCE]["facts"],
                bleu_to_source=n["bleu_to_source"],
                bleu_from_source=n["bleu_from_source"],
                cpu_seconds=round(sum(n["cpu_seconds"].values()), 1),
            ),
        )


def cache_folder(config: TinyConfig) -> Path:
    if config.cache:
        return Path(config.cache).expanduser().absolute()
    return user_cache("tiny")


def open_cache(config: TinyConfig, writable: bool) -> Store:
    try:
        store = Store(str(cache_folder(config)))
        store.check(writable)
    except (Halt, RuntimeError) as error:  # RuntimeError: a user without a home
        raise UserError(f"tiny.cache: {error}") from None
    return store


def world_steps(config: TinyConfig) -> dict[str, Step]:
    """The steps of a world by name. They are made in the order in which they stand here."""
    size = SIZES[config.size]
    plain = dataclasses.asdict
    data = Step(
        "tiny_data",
        {"seed": config.seed, "amounts": plain(size.amounts), "code": _code(*DATA)},
        _maker(config, "make_data"),
        estimate=_takes(config, 3),
    )
    llm = Step(
        "tiny_llm",
        {"shape": plain(size.llm), "code": _code("llm", "vocabularies", "optimise", "models")},
        _maker(config, "make_llm"),
        (data,),
        estimate=_takes(config, 41),
    )
    mt = Step(
        "tiny_mt",
        {
            "shape": plain(size.mt),
            "aligned": config.aligned,
            "masked": config.masked,
            "code": _code("mt", "lines", "vocabularies", "optimise", "models"),
        },
        _maker(config, "make_mt"),
        (data,),
        estimate=_takes(config, 50),
    )
    qe = Step(
        "tiny_qe",
        {"shape": plain(size.qe), "code": _code("qe", "judgements", "models", "numbers")},
        _maker(config, "make_qe"),
        (data, mt),
        estimate=_takes(config, 31),
    )
    numbers = Step(
        "tiny_numbers",
        {"code": _code("numbers")},
        _maker(config, "make_numbers"),
        (data, llm, mt, qe),
        estimate=_takes(config, 12),
    )
    return {"data": data, "llm": llm, "mt": mt, "qe": qe, "numbers": numbers}


def _takes(config: TinyConfig, seconds: float) -> Estimate | None:
    """Measured at size s on one core; xs is mostly start-up, and m is for machines that were not measured."""
    share = {"xs": 0.2, "s": 1.0}.get(config.size)
    return None if share is None else Estimate(rows=0, hours=share * seconds / 3600)


def _code(*names: str) -> str:
    """What a step's code is: a world made by other code is another world."""
    read = (Path(__file__).with_name(f"{name}.py").read_bytes() for name in names)
    return hashlib.sha256(b"\0".join(read)).hexdigest()[:16]


@dataclass(frozen=True)
class Making:
    """What a maker is given: where to put what it makes, where its parents lie, and whom to tell how far it is."""

    config: TinyConfig
    size: Size
    folder: Path
    parents: dict[str, Path]
    begin: Callable[[int], None]
    tick: Callable[[int], None]


def _maker(config: TinyConfig, name: str) -> Callable[[Work], int]:
    def run(work: Work) -> int:
        from xlnu.tiny import models

        store = work.write_part.store
        for left in manifest.data_files(store, work.write_part.address):  # of a build that was killed
            store.delete(left.name)
        folder = Path(store.place(work.write_part.address))
        folder.mkdir(parents=True, exist_ok=True)
        parents = {
            made.removeprefix("tiny_"): Path(store.place(result.manifest.address))
            for made, result in work.inputs.items()
        }

        def tick(done: int) -> None:
            work.lock.check()
            work.task.advance(done - work.task.at)

        def begin(total: int) -> None:
            work.task.begin(total, done=0, unit="steps")

        began = time.process_time()
        getattr(models, name)(Making(config, SIZES[config.size], folder, parents, begin, tick))
        work.lock.check()
        spent = {"cpu_seconds": round(time.process_time() - began, 1)}
        (folder / "spent.json").write_text(json.dumps(spent) + "\n", encoding="utf-8")
        return 0

    return run


def build(config: TinyConfig, display: Display) -> Built:
    """Make what is missing of the world, and say where it is."""
    store, todo = open_cache(config, writable=False), world_steps(config)
    missing = _missing(store, todo)
    if missing:
        open_cache(config, writable=True)
        display.say(f"the tiny world ({config.size}, seed {config.seed}) is made in {store.place('')}")
        if "data" in missing:
            _run(config, ["data"])
        _run(config, ["data", "llm"], ["data", "mt", "qe"])
        _run(config, list(todo))
        if _missing(store, todo):
            raise Halt("the code of xlnu/tiny changed while the tiny world was made; run the same command again")
    places = {name: Path(store.place(step.address)) for name, step in todo.items()}
    try:
        numbers = json.loads((places["numbers"] / "numbers.json").read_text(encoding="utf-8"))
    except ValueError:
        raise Halt(
            f"{places['numbers']}: damaged; delete this folder and run again: it is made in seconds"
        ) from None
    return Built(places["data"], places["llm"], places["mt"], places["qe"], numbers)


def _missing(store: Store, todo: dict[str, Step]) -> list[str]:
    return [name for name, step in todo.items() if manifest.read(store, step.address) is None]


def _run(config: TinyConfig, *lists: list[str]) -> None:
    """Run lists of steps, each list in a process of its own."""
    one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    quiet = {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-P", "-m", "xlnu.tiny.build", json.dumps(dataclasses.asdict(config))]
    top = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (top, os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, **one_thread, **quiet, "PYTHONPATH": path}
    with contextlib.ExitStack() as stack:
        children = [
            stack.enter_context(
                # its input ends when this process does, and then so does the child
                subprocess.Popen(
                    [*command, *names],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,  # a job's own output holds what was asked for
                    stderr=subprocess.PIPE,
                    env=environment,
                    start_new_session=True,  # an interrupt is for this process, which then ends them
                )
            )
            for names in lists
        ]
        for child in children:
            stack.callback(child.kill)
        listeners = [threading.Thread(target=_pass_on, args=(child,)) for child in children]
        for listener in listeners:
            listener.start()
        for child, listener, names in zip(children, listeners, lists, strict=True):
            listener.join()
            if code := child.wait():
                how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
                raise Halt(f"the tiny world could not be made: the process for {' and '.join(names)} {how}")


def _pass_on(child: "subprocess.Popen[bytes]") -> None:
    assert child.stderr is not None
    for line in child.stderr:
        if b"done before" not in line:  # which the caller was told when it was done
            sys.stderr.write(line.decode(errors="replace"))
            sys.stderr.flush()


def _end_with_parent() -> None:
    def wait() -> None:
        os.read(0, 1)  # not sys.stdin: a thread that holds its lock would stop this process from ending
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main(arguments: list[str]) -> int:
    from xlnu.tiny import judgements, models, numbers, vocabularies  # noqa: F401  as they are now: see _code

    _end_with_parent()
    config = TinyConfig(**json.loads(arguments[0]))
    todo = world_steps(config)
    try:
        steps.run([todo[name] for name in arguments[1:]], Store(str(cache_folder(config))), Display())
    except Halt as halt:
        sys.stderr.write(f"{halt}\n")
        return halt.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
