"""The serving job at its edges: what it refuses before anything starts, and Ray's own way to run the same."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
import yaml
from safetensors.torch import save_file

from tests.serve.serving import SENTENCES, TOP, made
from xlnu.engines.checkpoint import files
from xlnu.machine import free_port
from xlnu.store import Store, beside
from xlnu.tiny.build import Built

JOB = str(TOP / "jobs" / "serve.py")


def run(folder: Path, *settings: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, JOB, *settings], cwd=folder, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.fixture(scope="module")
def stack(tiny: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tiny, tmp_path_factory.mktemp("stack"), "topic")


@pytest.mark.parametrize(
    ("settings", "environment", "said"),
    [
        ([], {}, "model: must be given, as model=DIR"),
        (["model=/nowhere"], {}, "models.nowhere: /nowhere: there is no stack: no config.json is in it"),
        (["model={stack}", "host=0.0.0.0"], {}, "host: 0.0.0.0: others could ask, and there are no keys"),
        (["model={stack}", "host=0.0.0.0"], {"XLNU_API_KEYS": "short"}, "could be guessed"),
        (["model={stack}", "api.keys={me: secret}"], {}, "me: is not the SHA-256 of a key"),
        (["models={a b: {stack}}"], {}, "'a b' is no name for a model"),
        (["model={stack}", "replicas.most=0"], {}, "replicas.most: got 0"),
        (["model={stack}", "replicas.least=3"], {}, "replicas.most: 1; replicas.least is 3"),
        (["model={stack}", "limit.wait=3"], {}, "did you mean limits.wait?"),
        (["model={stack}", "detect=no.such:thing"], {}, "detect: no.such:thing: cannot be imported"),
        (["model={stack}", "detect=lid.bin"], {}, "lid.bin"),
        (["model={world}"], {}, "is no stack, but a model of type"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    settings: list[str], environment: dict[str, str], said: str, stack: Path, tiny: Built, tmp_path: Path
) -> None:
    given = [one.replace("{stack}", str(stack)).replace("{world}", str(tiny.llm)) for one in settings]
    done = run(tmp_path, *given, f"port={free_port()}", **environment)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_model_that_the_stack_is_made_of_and_has_gone_is_named(stack: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(stack, moved)
    about = json.loads((moved / "config.json").read_text())
    about["encoder"]["name"] = "/gone/mt"
    (moved / "config.json").write_text(json.dumps(about))
    done = run(tmp_path, f"model={moved}", f"port={free_port()}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "encoder: /gone/mt: there is no such folder" in done.stderr.splitlines()[-1]


def test_what_keeps_a_replica_from_starting_is_told_in_one_line(stack: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(stack, broken)
    save_file({"other": torch.zeros(2)}, broken / "model.safetensors")
    done = run(tmp_path, f"model={broken}", f"port={free_port()}")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("serve: the server did not start: ")
    assert "model.safetensors" in last
    assert len(last) < 400, last


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no weights", "model.safetensors cannot be read: "),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "is a pointer of git-lfs: run git lfs pull",
        ),
        (None, "model.safetensors cannot be read: "),
    ],
)
def test_weights_that_are_not_whole_are_named(
    content: bytes | None, said: str, stack: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(stack, broken)
    file = broken / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100] if content is None else content)
    done = run(tmp_path, f"model={broken}", f"port={free_port()}")
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr.splitlines()[-1]


def test_a_place_on_object_storage_that_has_no_model_is_named(s3: str, tmp_path: Path) -> None:
    done = run(tmp_path, f"model={beside(s3, 'none')}", f"port={free_port()}")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.match(r"serve: models.none: s3://.*: there is no such folder", done.stderr.splitlines()[-1])


def test_a_port_that_is_taken_is_named(stack: Path, tmp_path: Path) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        port = one.getsockname()[1]
        done = run(tmp_path, f"model={stack}", f"port={port}")
    assert done.returncode == 2
    assert f"port: {port}: something listens there already" in done.stderr


def test_a_run_is_no_model_but_has_some(stack: Path, tmp_path: Path) -> None:
    (tmp_path / "runs/mine/models").mkdir(parents=True)
    (tmp_path / "runs/mine/models/topic").symlink_to(stack)
    done = run(tmp_path, "model=runs/mine")
    assert "did you mean runs/mine/models/topic?" in done.stderr


def test_a_plan_starts_nothing(stack: Path, tmp_path: Path) -> None:
    done = run(tmp_path, f"models={{topic: {stack}}}", "replicas.most=3", "--plan")
    assert done.returncode == 0
    assert "topic: " in done.stdout
    assert "1 to 3 replicas" in done.stdout
    assert not list(tmp_path.iterdir())


def test_ray_runs_the_shipped_file(stack: Path, tmp_path: Path, s3: str) -> None:
    """As it is, but for the port and the place of the models, which a cluster left on object storage."""
    for path in files(stack):
        Store(beside(s3, "topic")).put(path.relative_to(stack).as_posix(), path)
    content: Any = yaml.safe_load((TOP / "configs" / "serve.yaml").read_text())
    port = content["http_options"]["port"] = free_port()
    models = content["applications"][0]["args"]["models"]
    content["applications"][0]["args"]["models"] = dict.fromkeys(models, beside(s3, "topic"))
    (tmp_path / "serve.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    command = [str(Path(sys.executable).with_name("serve")), "run", "serve.yaml"]
    running = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # else Ctrl-C means nothing to it where these tests run in the background of a shell
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        end, wait = time.monotonic() + 200, threading.Event()
        asked = {"input": SENTENCES[0], "language": "en"}
        while time.monotonic() < end:
            try:
                got = httpx.post(f"http://127.0.0.1:{port}/v1/classify", json=asked, timeout=30)
            except httpx.TransportError:
                wait.wait(1)
                continue
            if got.status_code == 200:
                break
            wait.wait(1)
        assert got.json()["model"] == "topic"
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(90)
