"""Translating on processors: the step as the pipeline runs it, against transformers and against the bare engine.

The model has NLLB-600M's shape and random weights. The row of </s> is zero and its logit with it, so that among
256,206 others there is always a likelier one: all write as many tokens as they may, and so do the same work. The
sentences hold nothing that is masked, for such a model copies no placeholder.
"""

import atexit
import functools
import json
import os
import pickle
import posixpath
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from xlnu import machine
from xlnu.bench.frame import Bench
from xlnu.bench.startup import python
from xlnu.cluster.pools import Placed, PoolConfig
from xlnu.engines.checkpoint import find
from xlnu.engines.ct2 import convert
from xlnu.engines.open import ModelConfig, TranslatorSpec
from xlnu.languages import resolve
from xlnu.progress import Display
from xlnu.rows import ROW, SENTENCES, row_id
from xlnu.spread import spread
from xlnu.steps import Files, Part, Rows, Step, Together, Writer, run
from xlnu.store import Store
from xlnu.tiny.optimise import padded
from xlnu.tiny.vocabularies import save_translation_tokenizer, token_ids, translation_tokenizer
from xlnu.transfer.translate import Way, _Translate

STEP, BATCH_TOKENS = "translated", 4096  # as TranslatorConfig has it
SOURCE, TARGET = "eng_Latn", "deu_Latn"
Said = list[tuple[str, int]]  # each sentence's translation, and the tokens made for it


@dataclass(frozen=True)
class Shape:
    """The model and the work; as it stands, NLLB-600M's, and on two cores some 30 s of its work."""

    hidden: int = 1024
    layers: int = 12  # of the encoder, and as many of the decoder
    heads: int = 16
    feed_forward: int = 4096
    vocabulary: int = 256_206
    tokens: int = 32  # of each translation
    sentences: int = 256
    parts: int = 2
    fewer: int = 32  # of the sentences, evenly over their lengths, are enough for transformers


NLLB_600M = Shape()


def made_words(drawings: int) -> list[str]:
    """Words that do not exist, of one to five syllables; fewer than drawn, for short ones come again."""
    drawn = random.Random(0)

    def word() -> str:
        return "".join(
            drawn.choice("bcdfghjklmnpqrstvwz") + drawn.choice("aeiou") for _ in range(drawn.randint(1, 5))
        )

    return list(dict.fromkeys(word() for _ in range(drawings)))


def made_sentences(words: Sequence[str], number: int) -> list[str]:
    """Sentences of 5 to 30 of them, 22 tokens in the mean."""
    drawn = random.Random(1)
    return [" ".join(drawn.choices(words, k=drawn.randint(5, 30))).capitalize() + "." for _ in range(number)]


class World:
    """The model in each of the engines, and the sentences. What is needed of it is made when it first is."""

    def __init__(self, shape: Shape) -> None:
        self.shape, self.cores = shape, machine.cores()
        size = shape.sentences // shape.parts
        self.parts = [Part(i, i * size, (i + 1) * size) for i in range(shape.parts)]

    @cached_property
    def folder(self) -> Path:
        """Where all of it lies: 3 GB at full shape, deleted at exit."""
        place = tempfile.TemporaryDirectory(prefix="xlnu-bench-")
        atexit.register(place.cleanup)
        folder = Path(place.name)
        words = made_words(2 * self.shape.vocabulary)  # from 1.6 times on they have pieces enough
        texts = made_sentences(words, self.shape.sentences)
        tokenizer = translation_tokenizer([*words, *texts], [SOURCE, TARGET], self.shape.vocabulary)
        save_model(folder / "model", tokenizer, self.shape)
        store = Store(str(folder / "store"))
        converted = folder / "store" / "converted"
        converted.mkdir(parents=True)
        convert(str(folder / "model"), "int8", converted)
        rows = [{"id": row_id(i), "reject": None, "text": text, "row": i} for i, text in enumerate(texts)]
        part = Part(0, 0, len(rows))
        Writer(store, "sentences")(part, pa.Table.from_pylist(rows, schema=SENTENCES))
        sentences = Rows(store, (posixpath.join(store.root, "sentences", part.name),), (len(rows),), rejected=False)
        spec = TranslatorSpec(
            engine="ct2",
            config=ModelConfig(model=str(folder / "model")),
            checkpoint=find("model", str(folder / "model")),
            converted=Files(store, "converted", ()),
            compute="int8",
            batch_tokens=BATCH_TOKENS,
            beam=1,
            max_tokens=self.shape.tokens,
            llm=None,
            shots={},
            pool=PoolConfig(),
        )
        ways = {STEP: Way(resolve(SOURCE), resolve(TARGET))}
        (folder / "stage").write_bytes(pickle.dumps(functools.partial(_Translate, sentences, ways, spec)))
        return folder

    @cached_property
    def stage(self) -> _Translate:
        """As an actor opens it that has this machine to itself."""
        return _opened(self.folder)

    @cached_property
    def tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        folder = self.folder / "store" / "converted" / "tokenizer"
        return AutoTokenizer.from_pretrained(folder)  # type: ignore[no-untyped-call]

    @cached_property
    def asked(self) -> list[list[str]]:
        """The sentences as the model is given them."""
        texts = self.stage.rows.read(0, self.shape.sentences, ["text"])["text"].to_pylist()
        return [[SOURCE, *self.tokenizer.tokenize(text), self.tokenizer.eos_token] for text in texts]

    @cached_property
    def bare(self) -> Any:
        import ctranslate2

        folder = str(self.folder / "store" / "converted")
        return ctranslate2.Translator(folder, compute_type="int8", intra_threads=1, inter_threads=self.cores)

    @cached_property
    def model(self) -> Any:
        import torch
        from transformers import AutoModelForSeq2SeqLM

        torch.set_num_threads(self.cores)
        return AutoModelForSeq2SeqLM.from_pretrained(self.folder / "model", dtype=torch.float32).eval()

    @cached_property
    def chosen(self) -> list[int]:
        """Sentences of all lengths, the shortest first, so that a batch holds little padding."""
        by_length = sorted(range(len(self.asked)), key=lambda i: len(self.asked[i]))
        return by_length[:: len(by_length) // self.shape.fewer][: self.shape.fewer]

    @cached_property
    def best_batch(self) -> int:
        return max((8, 16, 32), key=lambda batch: self.generate(batch)[0])

    def pipeline(self) -> tuple[float, Said]:
        """Tokens a second of the step: parts read, masked, tokenised, translated, flagged and written."""
        stage, write = self.stage, Writer(self.stage.rows.store, STEP)
        start, tokens, tables = time.perf_counter(), 0, []
        for part in self.parts:
            table, made = stage(STEP, part)
            write(part, table)
            tokens += made
            tables.append(table)
        seconds = time.perf_counter() - start
        return tokens / seconds, [(row["text"], row["tokens"]) for row in pa.concat_tables(tables).to_pylist()]

    def engine(self) -> tuple[float, Said]:
        """Of the engine alone, on the same parts, tokenised beforehand."""
        bare, asked = self.bare, self.asked
        start, found = time.perf_counter(), []
        for part in self.parts:
            found += bare.translate_batch(
                asked[part.start : part.stop],
                target_prefix=[[TARGET]] * (part.stop - part.start),
                beam_size=1,
                max_decoding_length=1 + self.shape.tokens,
                max_batch_size=BATCH_TOKENS,
                batch_type="tokens",
                return_end_token=True,
            )
        seconds = time.perf_counter() - start
        said = [one.hypotheses[0][1:] for one in found]
        texts = self.tokenizer.batch_decode(
            [self.tokenizer.convert_tokens_to_ids(tokens) for tokens in said], skip_special_tokens=True
        )
        counts = [len(tokens) for tokens in said]
        return sum(counts) / seconds, list(zip(texts, counts, strict=True))

    def generate(self, batch: int) -> tuple[float, Said]:
        """Of transformers, on the sentences that `chosen` names."""
        import torch

        model, stop, pad = self.model, self.tokenizer.eos_token_id, self.tokenizer.pad_token_id
        ids = [self.tokenizer.convert_tokens_to_ids(self.asked[i]) for i in self.chosen]
        start, said = time.perf_counter(), []
        for at in range(0, len(ids), batch):
            given = padded(ids[at : at + batch], pad)
            with torch.inference_mode():
                made = model.generate(
                    input_ids=given,
                    attention_mask=(given != pad).long(),
                    forced_bos_token_id=self.tokenizer.convert_tokens_to_ids(TARGET),
                    max_new_tokens=1 + self.shape.tokens,
                    num_beams=1,
                    do_sample=False,
                )
            said += made[:, 2:].tolist()  # what every one begins with is no translation
        seconds = time.perf_counter() - start
        counts = [row.index(stop) + 1 if stop in row else len(row) for row in said]
        texts = self.tokenizer.batch_decode(said, skip_special_tokens=True)
        return sum(counts) / seconds, list(zip(texts, counts, strict=True))

    def first_part(self, how: str) -> tuple[float, str]:
        """Seconds until the first sentence is written, and what it says, in a fresh process; see `first_part`."""
        code = f"from xlnu.bench.translation import first_part; first_part({str(self.folder)!r}, {how!r})"
        seconds, text = json.loads(python("-c", code)[1])
        return seconds, text


def save_model(folder: Path, tokenizer: Any, shape: Shape) -> None:
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration

    ids = token_ids(tokenizer)
    assert ids["vocab_size"] == shape.vocabulary, "the model would say what the tokenizer lacks"
    config = M2M100Config(  # type: ignore[no-untyped-call]
        d_model=shape.hidden,
        encoder_layers=shape.layers,
        decoder_layers=shape.layers,
        encoder_attention_heads=shape.heads,
        decoder_attention_heads=shape.heads,
        encoder_ffn_dim=shape.feed_forward,
        decoder_ffn_dim=shape.feed_forward,
        decoder_start_token_id=tokenizer.eos_token_id,
        init_std=3 / shape.hidden**0.5,  # with the default of .02 it repeats a token, whatever it read
        **ids,
    )
    torch.manual_seed(0)
    model: Any = M2M100ForConditionalGeneration(config)
    with torch.no_grad():
        model.get_input_embeddings().weight[tokenizer.eos_token_id] = 0  # of the logits too: they are tied
    model.save_pretrained(folder)
    save_translation_tokenizer(tokenizer, folder, SOURCE)


def _opened(folder: Path) -> _Translate:
    stage = pickle.loads((folder / "stage").read_bytes())
    opened: _Translate = stage(Placed(1, machine.cores(), 0))
    return opened


class _Nothing:
    """A stage that loads nothing and does nothing."""

    def __init__(self, _placed: Placed) -> None:
        pass

    def __call__(self, _step: str, part: Part) -> tuple[pa.Table, int]:
        return pa.Table.from_pylist([{"id": row_id(part.start), "reject": None}], schema=pa.schema(ROW)), 0


def first_part(folder: str, how: str) -> None:
    """Translate one sentence in this process ("alone") or by an actor ("spread"), or have an actor do "nothing";
    print the seconds that it took until it was written, and what was written.
    """
    start, store = time.perf_counter(), Store(f"{folder}/first/{os.getpid()}")
    if how == "alone":
        table = _opened(Path(folder))(STEP, Part(0, 0, 1))[0]
        Writer(store, STEP)(Part(0, 0, 1), table)
    else:
        stage = _Nothing if how == "nothing" else pickle.loads(Path(folder, "stage").read_bytes())
        together = Together(STEP, lambda works: spread(works, {STEP: 1}, 1, stage, PoolConfig()))
        step = Step(STEP, {}, together)
        table = run([step], store, Display())[step.address].table()
    seconds = time.perf_counter() - start
    json.dump([seconds, "" if how == "nothing" else table["text"][0].as_py()], sys.stdout)


def benches(shape: Shape = NLLB_600M) -> list[Bench]:
    world = World(shape)

    def lengths(run: Callable[[], tuple[float, Said]]) -> tuple[float, set[int]]:
        """What is the same of all that is said in the engine's rounded weights and in others."""
        rate, said = run()
        return rate, {tokens for _, tokens in said}

    return [
        Bench(
            name="translate",
            baseline="transformers generate",
            goal=10,
            unit="tokens/s",
            higher_is_better=True,
            ours=lambda: lengths(world.pipeline),
            theirs=lambda: lengths(lambda: world.generate(world.best_batch)),
            limit="the bare engine, on sentences that are tokenised already",
            ceiling=lambda: world.engine()[0],
        ),
        Bench(
            name="translate",
            baseline="bare ctranslate2",
            goal=0.97,
            unit="tokens/s",
            higher_is_better=True,
            ours=world.pipeline,
            theirs=world.engine,
            limit="the baseline itself, which neither reads nor tokenises nor writes",
        ),
        Bench(
            name="first translation",
            baseline="the stage without Ray",
            goal=0.5,
            unit="s",
            higher_is_better=False,
            ours=functools.partial(world.first_part, "spread"),
            theirs=functools.partial(world.first_part, "alone"),
            limit="starting Ray and an actor that does nothing",
            ceiling=lambda: world.first_part("nothing")[0],
        ),
    ]
