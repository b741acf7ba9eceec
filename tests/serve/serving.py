"""A server as its users start one: by its job, in a process of its own, asked by HTTP."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from transformers import AutoTokenizer

from tests.stack.stacks import stack
from xlnu.machine import free_port
from xlnu.stack import artefact
from xlnu.tiny.build import Built

TOP = Path(__file__).parents[2]
JOB = str(TOP / "jobs" / "serve.py")
LABELS = ["food", "music", "travel"]
# Of every task one: what each reads is at most 40 tokens at once, so that longer texts are read in windows.
STACKS: dict[str, dict[str, Any]] = {
    "topic": {"labels": LABELS},
    "nli": {"task": "pair", "labels": ["no", "maybe", "yes"]},
    "pick": {"task": "choice", "labels": None},
    "words": {"task": "tokens", "labels": ["O", "B-X", "I-X"]},
    "sts": {"task": "regression", "labels": None},
}
SENTENCES = [
    "the boy sees the old horse.",
    "a baker buys a red plum near the river.",
    "the man eats.",
    "she sings " * 30,
]
CODES = ["eng_Latn", "qaa_Latn", "qab_Cyrl", "qac_Geor"]


def made(built: Built, folder: Path, name: str, seed: int = 0, llm: str = "", **about: Any) -> Path:
    """A stack on disk, with random weights."""
    place = folder / name
    artefact.save(stack(str(built.mt), llm or str(built.llm), seed=seed, **({"length": 40} | about)), place)
    AutoTokenizer.from_pretrained(built.mt).save_pretrained(place)  # type: ignore[no-untyped-call]
    return place


class Server:
    """`settings`: key=value of the job. stderr is kept, for when it does not start."""

    def __init__(self, folder: Path, *settings: str, **environment: str) -> None:
        self.folder, self.port, self.metrics = folder, free_port(), free_port()
        command = [sys.executable, JOB, *settings, f"port={self.port}", f"metrics_port={self.metrics}"]
        self.address = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [*command, f"run.dir={folder}"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(TOP), **environment},
        )  # fmt: skip
        self.said: list[str] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        assert self.process.stdout is not None
        self.printed = [self.process.stdout.readline().rstrip("\n") for _ in range(2)]
        if self.printed[0] != self.address:
            self.process.terminate()
            self.process.wait(60)
            raise AssertionError("".join(self.said)[-3000:])
        # Longer than any deadline that a test sets: the server says when it is too late, not its client.
        self.http = httpx.Client(base_url=self.address, timeout=120)

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)

    def ask(self, endpoint: str, headers: Any = None, **body: Any) -> httpx.Response:
        return self.http.post(f"/v1/{endpoint}", json=body, headers=headers)

    def data(self, endpoint: str, **body: Any) -> list[dict[str, Any]]:
        """Of an answer that there must be."""
        got = self.ask(endpoint, **body)
        assert got.status_code == 200, got.text
        found: list[dict[str, Any]] = got.json()["data"]
        return found

    def replicas(self, deployment: str) -> list[int]:
        """The processes that hold a model, or the API."""
        return sorted(pid for pid in _below(self.process.pid) if f"xlnu:{deployment}" in _title(pid))

    def session(self) -> Path:
        """The folder of its Ray."""
        found = (re.search(r"/tmp/ray/session_[\w-]+", _title(pid)) for pid in _below(self.process.pid))
        return Path(next(one[0] for one in found if one))

    def stop(self) -> int:
        if self.process.returncode is not None:
            return self.process.returncode
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(120)
        self._reading.join(10)
        self.http.close()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return status


@contextlib.contextmanager
def serving(folder: Path, *settings: str, **environment: str) -> Iterator[Server]:
    """A server that goes when the block ends, and ends well."""
    server = Server(folder, *settings, **environment)
    try:
        yield server
    finally:
        status = server.stop()
    assert status == 0


def _below(top: int) -> Iterator[int]:
    """All processes that a process has started, by way of others too."""
    parents = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            found = re.search(r"^PPid:\s*(\d+)", _text(place / "status"), re.MULTILINE)
            parents[int(place.name)] = int(found[1]) if found else 0
    for pid in parents:
        at = pid
        while at:
            at = parents.get(at, 0)
            if at == top:
                yield pid
                break


def _title(pid: int) -> str:
    return _text(Path(f"/proc/{pid}/cmdline"))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
