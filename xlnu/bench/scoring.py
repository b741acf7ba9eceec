"""Scoring translations on processors: our scorer against comet's own predict, and against the bare forward pass.

The metric is laid out as COMETKiwi and has random weights; its scores differ from pair to pair, and all ways of
scoring must give the same.
"""

import atexit
import logging
import random
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from xlnu import machine
from xlnu.bench.frame import Bench
from xlnu.bench.translation import SOURCE, TARGET, made_sentences, made_words
from xlnu.engines.comet import CometScorer
from xlnu.tiny.qe import Judged, QEShape, qe_tokenizer, train
from xlnu.tiny.vocabularies import translation_tokenizer

SAME = 1e-4  # what sums in another order may change; of scores, of which two digits are read


@dataclass(frozen=True)
class Shape:
    """The metric and the work."""

    hidden: int = 256
    layers: int = 6
    vocabulary: int = 8000
    pairs: int = 2000
    batch: int = 64  # pairs at once, for comet and for the bare forward pass
    batch_tokens: int = 4096  # for ours: about as many


@dataclass(frozen=True, eq=False)
class Scores:
    values: list[float]

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Scores)
        pairs = list(zip(self.values, other.values, strict=True))
        return all(abs(one - another) <= SAME for one, another in pairs)


class World:
    """The metric, and what it judges. What is needed of it is made when it first is."""

    def __init__(self, shape: Shape) -> None:
        self.shape, self.cores = shape, machine.cores()

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """Sources of 5 to 30 words, with translations about as long."""
        drawn, words = random.Random(2), made_words(self.shape.vocabulary)
        sources = made_sentences(words, self.shape.pairs)
        lengths = [round(drawn.uniform(0.8, 1.25) * len(source.split())) for source in sources]
        return [(source, " ".join(drawn.choices(words, k=n))) for source, n in zip(sources, lengths, strict=True)]

    @cached_property
    def folder(self) -> Path:
        """A metric's folder, deleted at exit."""
        place = tempfile.TemporaryDirectory(prefix="xlnu-bench-")
        atexit.register(place.cleanup)
        folder = Path(place.name)
        words = made_words(self.shape.vocabulary)
        sources = [source for source, _ in self.pairs]
        tokenizer = translation_tokenizer([*words, *sources], [SOURCE, TARGET], self.shape.vocabulary)
        hidden = self.shape.hidden
        init = 0.8 / hidden**0.5  # with half of it scores hardly differ; with three times, not at all
        shape = QEShape(hidden, self.shape.layers, hidden // 64, 4 * hidden, steps=0, init=init)
        train(folder, qe_tokenizer(tokenizer), [Judged("a", "b", 1)], shape, 0, "cpu", None, lambda _: None)
        return folder

    @cached_property
    def scorer(self) -> CometScorer:
        tokens = self.shape.batch_tokens
        return CometScorer(str(self.folder), batch_tokens=tokens, threads=self.cores, device="cpu")

    @cached_property
    def metric(self) -> Any:
        import torch
        from comet import load_from_checkpoint

        for name in ("comet", "pytorch_lightning", "lightning"):  # which greet, at every predict
            logging.getLogger(name).setLevel(logging.ERROR)
        torch.set_num_threads(self.cores)
        return load_from_checkpoint(str(self.folder / "checkpoints" / "model.ckpt")).eval()

    @cached_property
    def samples(self) -> list[dict[str, str]]:
        return [{"src": source, "mt": translation} for source, translation in self.pairs]

    @cached_property
    def batches(self) -> tuple[list[int], list[Any]]:
        """The pairs from the shortest to the longest, by number, and as tensors."""
        tokenizer = self.metric.encoder.tokenizer
        lengths = [len(tokenizer.tokenize(source)) + len(tokenizer.tokenize(said)) for source, said in self.pairs]
        order, size = sorted(range(len(lengths)), key=lengths.__getitem__), self.shape.batch
        batches = [[self.samples[i] for i in order[at : at + size]] for at in range(0, len(order), size)]
        return order, [self.metric.prepare_sample(batch, stage="predict")[0] for batch in batches]

    def ours(self) -> tuple[float, Scores]:
        scorer, pairs = self.scorer, self.pairs
        start = time.perf_counter()
        found = scorer.score(pairs)
        return len(pairs) / (time.perf_counter() - start), Scores(found)

    def predict(self) -> tuple[float, Scores]:
        """comet's own, which sorts by length too; without workers, each of which would load the samples first."""
        metric, samples = self.metric, self.samples
        start = time.perf_counter()
        found = metric.predict(
            samples, batch_size=self.shape.batch, gpus=0, num_workers=0, progress_bar=False, accelerator="cpu"
        )
        return len(samples) / (time.perf_counter() - start), Scores(found["scores"])

    def forward(self) -> tuple[float, Scores]:
        """The model alone, on what is sorted and tokenised already."""
        import torch

        metric, (order, batches) = self.metric, self.batches
        start = time.perf_counter()
        with torch.inference_mode():
            found = torch.cat([metric(**inputs).score for inputs in batches])
        seconds = time.perf_counter() - start
        return len(order) / seconds, Scores([score for _, score in sorted(zip(order, found.tolist(), strict=True))])


DEFAULT = Shape()


def benches(shape: Shape = DEFAULT) -> list[Bench]:
    world = World(shape)
    return [
        Bench(
            name="score",
            baseline="comet predict",
            goal=1,
            unit="pairs/s",
            higher_is_better=True,
            ours=world.ours,
            theirs=world.predict,
            limit="the bare forward pass, on what is sorted and tokenised already",
            ceiling=lambda: world.forward()[0],
        ),
        Bench(
            name="score",
            baseline="bare forward pass",
            goal=0.97,
            unit="pairs/s",
            higher_is_better=True,
            ours=world.ours,
            theirs=world.forward,
            limit="the baseline itself, which neither sorts nor tokenises",
        ),
    ]
