"""The server, asked by single texts as they come, against the same model in a plain app, and against its own parts.

Two models with random weights: one of the size of the demo's, in float32, and one of the shapes of NLLB-600M and
Llama 3.2 1B, in bfloat16 where the processor has it. The servers are processes of their own and stand side by side;
clients of a third process ask each in turn, as many at once as it takes until it answers no more in a second. All
share two cores, the clients too: with the small model HTTP is most of the work, with the large none.
"""

import atexit
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from xlnu.bench.frame import Bench
from xlnu.bench.load import Tally
from xlnu.bench.stacking import LABELS
from xlnu.bench.stacking import Shape as Stack
from xlnu.bench.translation import SOURCE, TARGET, made_sentences, made_words, save_model
from xlnu.bench.translation import Shape as Mt
from xlnu.errors import Halt
from xlnu.machine import free_port

TOP = Path(__file__).parents[2]
TEXTS = 512
WAIT = 5.0  # seconds of work that may lie before a request, in ours


@dataclass(frozen=True)
class Shape:
    """`clients`: at once, from few to more than are answered any faster. `listed`: texts of a request that has
    many. `seconds`: of asking, each time.
    """

    name: str
    stack: Stack
    bfloat16: bool
    clients: tuple[int, ...]
    listed: int
    seconds: float


DEMO = Shape(
    "demo's size",
    Stack(
        mt=Mt(hidden=96, layers=2, heads=4, feed_forward=192, vocabulary=2000),
        hidden=96, layers=3, heads=4, kv_heads=4, feed_forward=256, vocabulary=2000, pieces=1500,
    ),
    False, (1, 4, 16, 64, 128), 256, 6.0,
)  # fmt: skip
LARGE = Shape("NLLB-600M and Llama 1B", Stack(), True, (1, 4, 16, 32), 16, 25.0)


class World:
    """A model on disk, the servers that hold it, and what they are asked. Each is made when it is first needed."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._risen = set[int]()

    @cached_property
    def folder(self) -> Path:
        place = Path(tempfile.mkdtemp(prefix="xlnu-bench-"))
        atexit.register(shutil.rmtree, place, ignore_errors=True)
        shape = self.shape.stack
        words = made_words(2 * shape.mt.vocabulary)
        self._parents(place, words)
        bodies = [
            json.dumps({"input": text, "language": (SOURCE, TARGET)[i % 2]})
            for i, text in enumerate(made_sentences(words, TEXTS))
        ]
        (place / "bodies").write_text("\n".join(bodies) + "\n", encoding="utf-8")
        listed = self.shape.listed
        items = [{"text": one["input"], "language": one["language"]} for one in map(json.loads, bodies)]
        lists = [json.dumps({"input": items[at : at + listed]}) for at in range(0, TEXTS, listed)]
        (place / "lists").write_text("\n".join(lists) + "\n", encoding="utf-8")
        return place

    def _parents(self, place: Path, words: list[str]) -> None:
        import torch
        from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
        from transformers.modeling_utils import no_init_weights

        from xlnu.engines.checkpoint import find
        from xlnu.stack import artefact, parents
        from xlnu.stack.config import StackConfig
        from xlnu.tiny.vocabularies import llm_tokenizer, translation_tokenizer

        shape = self.shape.stack
        fast = self.shape.bfloat16 and torch.cpu._is_avx512_bf16_supported()
        dtype = torch.bfloat16 if fast else torch.float32
        texts = made_sentences(words, TEXTS)
        tokenizer = translation_tokenizer([*words, *texts], [SOURCE, TARGET], shape.mt.vocabulary)
        save_model(place / "mt", tokenizer, shape.mt)
        config = LlamaConfig(  # type: ignore[no-untyped-call]
            hidden_size=shape.hidden, intermediate_size=shape.feed_forward, num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads, vocab_size=shape.vocabulary,
            rope_theta=500_000.0, tie_word_embeddings=True,
        )  # fmt: skip
        torch.manual_seed(0)
        with no_init_weights():
            llm: Any = LlamaForCausalLM._from_config(config, dtype=dtype)
        with torch.no_grad():
            for one in llm.parameters():
                one.fill_(1) if one.dim() == 1 else one.uniform_(-0.03, 0.03)
        llm.save_pretrained(place / "llm")
        llm_tokenizer(words[: 2 * shape.pieces], shape.pieces).save_pretrained(place / "llm")
        del llm
        named = {part: find(part, str(place / name)) for part, name in (("encoder", "mt"), ("llm", "llm"))}
        about = {part: parents.described(one) for part, one in named.items()}
        made = artefact.build(
            StackConfig(**about, task="text", labels=LABELS, length=shape.length),  # type: ignore[arg-type]
            {part: one.local() for part, one in named.items()},
            dtype,
        )
        made.to(dtype)  # type: ignore[arg-type]
        artefact.save(made, place / "stack")
        AutoTokenizer.from_pretrained(place / "mt").save_pretrained(place / "stack")  # type: ignore[no-untyped-call]

    @cached_property
    def ours(self) -> int:
        metrics = f"metrics_port={free_port()}"
        wait = [f"limits.wait={WAIT}", "limits.deadline=60"]
        command = [str(TOP / "jobs" / "serve.py"), f"model={self.folder}/stack", metrics, *wait]
        return self._started("--job", *command)

    @cached_property
    def plain(self) -> int:
        return self._started("-m", "xlnu.bench.plain", f"{self.folder}/stack")

    @cached_property
    def rays(self) -> int:
        return self._started("-m", "xlnu.bench.rays_batches", f"{self.folder}/stack")

    def _started(self, *command: str) -> int:
        """Its port, once it answers."""
        port = free_port()
        job = command[0] == "--job"
        given = [*command[1:], f"port={port}", f"run.dir={self.folder}/run"] if job else [*command, str(port)]
        log = self.folder / f"log-{port}"
        with log.open("wb") as file:
            running = subprocess.Popen([sys.executable, *given], stdout=file, stderr=file)
        atexit.register(_stop, running)
        end, path = time.monotonic() + 600, "healthz" if "xlnu.bench.plain" in given else "readyz"
        while time.monotonic() < end and running.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5):
                return port
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(0.5)
        raise Halt(f"bench serving: a server did not start: {log.read_text(errors='replace')[-2000:]}")

    def load(self, port: int, how: str, number: float, seconds: float, bodies: str = "bodies") -> Tally:
        command = [sys.executable, "-m", "xlnu.bench.load", str(port), "/v1/classify", str(self.folder / bodies)]
        done = subprocess.run(
            [*command, how, str(number), str(seconds)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Halt(f"bench serving: the clients failed: {done.stderr[-2000:]}")
        return Tally(**json.loads(done.stdout))

    def saturated(self, port: int) -> Tally:
        """What the most clients get: requests that none of them waits for in vain."""
        return self.load(port, "clients", self.shape.clients[-1], self.shape.seconds)

    def most(self, whose: str, port: int) -> float:
        """Texts a second of the most clients; the first time it is told of fewer, too."""
        if port not in self._risen:
            self._risen.add(port)
            for number in self.shape.clients[:-1]:
                self._told(f"{whose}, {number} clients", self.load(port, "clients", number, self.shape.seconds))
        return self._told(f"{whose}, {self.shape.clients[-1]} clients", self.saturated(port))

    def lists(self) -> float:
        """Texts a second of two clients who send many at once."""
        tally = self.load(self.ours, "clients", 2, self.shape.seconds, "lists")
        return self._told("lists, 2 clients", tally) * self.shape.listed

    def overloaded(self, port: int, peak: float) -> Tally:
        """Twice as many a second as are answered at the most, for long enough to fill every queue."""
        return self.load(port, "rate", 2 * peak, max(self.shape.seconds, 4 * WAIT))

    @cached_property
    def predictor(self) -> Any:
        import torch

        from xlnu import machine
        from xlnu.stack.predict import Predictor

        torch.set_num_threads(machine.cores())
        return Predictor.open(f"{self.folder}/stack")

    def offline(self) -> float:
        """Texts a second of the model alone, which is given all of them at once."""
        some = [json.loads(line) for line in (self.folder / "bodies").read_text().splitlines()]
        some = some[: max(32, round(self.shape.seconds * 4))] if self.shape.bfloat16 else some * 4
        begun = time.perf_counter()
        self.predictor.read([[one["input"]] for one in some], [one["language"] for one in some])
        return len(some) / (time.perf_counter() - begun)

    def benches(self) -> list[Bench]:
        name = f"serving, {self.shape.name}"
        return [
            Bench(
                name=f"{name}: single texts, as many as it can", baseline="a plain FastAPI app, one after another",
                goal=3, unit="texts/s", higher_is_better=True, same_output=False,
                ours=lambda: (self.most("ours", self.ours), None),
                theirs=lambda: (self.most("plain", self.plain), None),
                limit="the model given all texts at once", ceiling=self.offline,
            ),
            Bench(
                name=f"{name}: twice as many come as it can", baseline="its own most",
                goal=0.9, unit="texts/s", higher_is_better=True, same_output=False,
                ours=self._goodput, theirs=lambda: (self.saturated(self.ours).throughput, None),
                limit="what is refused costs a little, too",
            ),
            Bench(
                name=f"{name}: lists of {self.shape.listed} texts", baseline="the model alone, given all at once",
                goal=0.85, unit="texts/s", higher_is_better=True, same_output=False,
                ours=lambda: (self.lists(), None), theirs=lambda: (self.offline(), None),
                limit="HTTP and Ray's two hops have the same cores",
            ),
            Bench(
                name=f"{name}: batches", baseline="the same server with @serve.batch",
                goal=1, unit="texts/s", higher_is_better=True, same_output=False,
                ours=lambda: (self.saturated(self.ours).throughput, None),
                theirs=lambda: (self.saturated(self.rays).throughput, None),
                limit="HTTP and Ray's two hops have the same cores",
            ),
        ]  # fmt: skip

    def _told(self, whose: str, tally: Tally) -> float:
        times = f"p50 {1000 * tally.p50:.0f} ms, p99 {1000 * tally.p99:.0f} ms"
        sys.stderr.write(f"  {whose}: {tally.throughput:.1f} requests/s, {times}, {tally.statuses}\n")
        return tally.throughput

    def _goodput(self) -> tuple[float, None]:
        peak = self.saturated(self.ours).throughput
        return self._told("at twice that", self.overloaded(self.ours, peak)), None


def _stop(running: subprocess.Popen[bytes]) -> None:
    running.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        running.wait(60)
    running.kill()


def benches() -> list[Bench]:
    return [bench for shape in (DEMO, LARGE) for bench in World(shape).benches()]
