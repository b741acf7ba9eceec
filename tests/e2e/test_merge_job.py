"""The merging of two experts as a user runs it: its exit code, its streams, its memory, and how it dies."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

TOP = Path(__file__).parents[2]
JOB = str(TOP / "jobs" / "merge.py")
MODEL: Any = AutoModelForCausalLM
CONFIG: Any = LlamaConfig

# Runs the job, and kills it at the n-th time that an event of this name meets a path with this text in it.
KILLED = """
import os, runpy, signal, sys
name, text, n, *sys.argv = sys.argv[1:]
left = int(n)
def watch(event, arguments):
    global left
    if event == name and text in str(arguments[0]) + str(arguments[1]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
# Prints the most memory, in kB, that was ever held: when all is imported and opened, and when all is merged.
MEASURED = """
import sys
from xlnu.config import load, settings
from xlnu.merge.job import MergeConfig, work
from xlnu.run import Run
config = load(MergeConfig, None, sys.argv[1:])
for plan, config.method in ((True, "swap"), (False, "adaptive")):
    work(config, Run("merge", config, plan))
    print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def start(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


def expert(folder: Path, seed: int, **shape: int) -> str:
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    config = CONFIG(num_attention_heads=4, num_key_value_heads=4, dtype=torch.bfloat16, **shape)
    MODEL.from_config(config).save_pretrained(folder)
    return folder.name


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_killed_merge_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    shape = {"vocab_size": 99, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4}
    experts = [f"{role}={expert(tmp_path / role, seed, **shape)}" for seed, role in enumerate(("language", "task"))]
    job = (JOB, *experts, "transition=1", "bottom=1", "top=0", "shard_size=0.00001")
    undisturbed = start(tmp_path, *job)
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert undisturbed.stdout.splitlines()[-1] == "runs/merge/model"
    whole = files(tmp_path / "runs/merge/model")

    # behind the second shard; then when nothing is missing but the name
    shards = sum(name.endswith(".safetensors") for name in whole)
    assert shards > 2
    for event, text, n, left in (
        ("shutil.copymode", ".safetensors", "2", 2),
        ("os.rename", ".unfinished-model", "1", shards),
    ):
        killed = start(tmp_path, "-c", KILLED, event, text, n, *job, "run.dir=out")
        assert killed.returncode == -signal.SIGKILL
        assert not (tmp_path / "out/model").exists()
        assert len(list((tmp_path / "out/.unfinished-model").glob("*.safetensors"))) == left

    again = start(tmp_path, *job, "run.dir=out")
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines() == [*undisturbed.stdout.splitlines()[:-1], "out/model"]
    assert files(tmp_path / "out/model") == whole
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["_lock", "config.yaml", "model"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["language=x"], "task: must be given, as task=VALUE; the expert of the task, of the same architecture"),
        (["language=x", "task=y", "method=adaptive"], "base: adaptive needs the model that both experts were "),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = start(tmp_path, JOB, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"merge: {message}")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not (tmp_path / "runs/merge/model").exists()


def test_no_model_is_in_memory_as_a_whole(tmp_path: Path) -> None:
    shape = {"vocab_size": 8_000, "hidden_size": 1_024, "intermediate_size": 2_816, "num_hidden_layers": 8}
    name = expert(tmp_path / "one", 0, **shape)
    size = (tmp_path / "one/model.safetensors").stat().st_size
    assert size > 200e6
    merged = (f"language={name}", f"task={name}", f"base={name}", "shard_size=0.02")
    done = start(tmp_path, "-c", MEASURED, *merged, "run.dir=out")
    assert done.returncode == 0, done.stderr
    before, peak = (int(line) for line in done.stdout.splitlines() if line.isdigit())
    assert "half of each" in done.stdout
    assert (peak - before) * 1e3 < size / 2, "a shard, and what is computed with"
