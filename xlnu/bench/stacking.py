"""The stack on processors: what it costs to read a foreign text, against translating it first, against the LLM
alone on the text as it is, and against a forward pass that pads everything to one length.

NLLB-600M's and Llama 3.2 1B's shapes with random weights, in bfloat16 where the processor has it; the LLM is the
same object on both sides of every pair. CTranslate2 translates, in int8 as our translator does by default, and
greedily. The same sentences: 64 at once, 8 at once, or 4 one after another. Tokenising is timed on both sides.

What random weights and made words cannot say is put down here:
- A translation is as long as its batch's sources are in the mean. The model never ends by itself (translation.py
  says why), and the engine has one limit for all; in a real batch the longest sets the number of steps.
- An English word is 1.3 tokens for the LLM, and a foreign one three times that: an assumption for languages that
  it saw little of, of which its tokenizer makes 2 to 4 times as many. The LLM's tokens are cut or said again until
  there are as many. For the encoder the made words have 1.55 tokens, as real ones have about 1.5.

The parts are the encoder and the LLM, each alone on the batches that the stack makes: nothing tokenised, masked,
mapped or pooled. That is all the stack could save, so it must reach .95 of it.
"""

import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import cycle, islice
from statistics import NormalDist, mean
from typing import TYPE_CHECKING, Any, Literal

from xlnu import machine
from xlnu.bench import translation
from xlnu.bench.frame import Bench
from xlnu.bench.translation import SOURCE, TARGET, made_sentences, made_words
from xlnu.engines.base import Translation
from xlnu.engines.ct2 import Ct2Translator
from xlnu.languages import resolve

if TYPE_CHECKING:
    import torch

    from xlnu.stack.inputs import Reader, Segments, Tokens
    from xlnu.stack.predict import Answer, Predictor

ENGLISH = 1.3  # an LLM's tokens for an English word
FOREIGN = 3 * ENGLISH  # and for one of a language that it has seen little of
LABELS = ["a", "b", "c"]
Said = list["Answer"]


@dataclass(frozen=True)
class Shape:
    """The models and the work; as it stands, NLLB-600M's and Llama 3.2 1B's."""

    mt: translation.Shape = translation.NLLB_600M
    hidden: int = 2048
    layers: int = 16
    heads: int = 32
    kv_heads: int = 8
    feed_forward: int = 8192
    vocabulary: int = 128_256
    pieces: int = 32_000  # of the LLM's made tokenizer: its tokens are counted anew anyway
    at_once: tuple[int, ...] = (1, 8, 64)  # sentences; the last are all there are
    alone: int = 4  # of them, evenly over their lengths, are read one after another
    median: int = 48  # tokens of the mixed texts, from a sentence to a passage; log-normal
    spread: float = 0.7  # the deviation of their logarithm
    length: int = 256  # to which the reference pads
    fewer: int = 8  # of the mixed texts are enough for it: all cost the same


NLLB_LLAMA = Shape()


class Alike:
    """Pooled states that agree but for what is rounded."""

    def __init__(self, answers: Sequence["Answer"]) -> None:
        self.pooled = [one.pooled[0] for one in answers]

    def __eq__(self, other: object) -> bool:
        import torch

        assert isinstance(other, Alike)
        pairs = zip(self.pooled, other.pooled, strict=True)
        return all(float(torch.cosine_similarity(a, b, dim=0)) > 0.99 for a, b in pairs)

    __hash__ = None  # type: ignore[assignment]


class World:
    """The models, opened once, and the sentences. What is needed of it is made when it first is."""

    def __init__(self, shape: Shape) -> None:
        self.shape, self.cores = shape, machine.cores()
        self.mt = translation.World(shape.mt)

    @cached_property
    def words(self) -> list[str]:
        return made_words(2 * self.shape.mt.vocabulary)  # those that the tokenizer was trained on

    @cached_property
    def sentences(self) -> list[str]:
        """The longest first."""
        return sorted(made_sentences(self.words, self.shape.at_once[-1]), key=lambda text: -text.count(" "))

    def asked(self, batch: int) -> list[list[str]]:
        """The sentences call by call, evenly over their lengths: so many at once, or some one after another."""
        number = self.shape.alone if batch == 1 else batch
        some = self.sentences[:: len(self.sentences) // number][:number]
        return [[text] for text in some] if batch == 1 else [some]

    @cached_property
    def dtype(self) -> "torch.dtype":
        """Where it has instructions of its own: 860 GFLOPS on two cores against 200 in float32."""
        import torch

        return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32

    @cached_property
    def encoder(self) -> Any:
        import torch

        from xlnu.stack import parents

        torch.set_num_threads(self.cores)
        return parents.encoder(str(self.mt.folder / "model"), self.dtype)

    @cached_property
    def llm(self) -> Any:
        import torch
        from transformers import LlamaConfig, LlamaModel
        from transformers.modeling_utils import no_init_weights

        shape = self.shape
        config = LlamaConfig(  # type: ignore[no-untyped-call]
            hidden_size=shape.hidden,
            intermediate_size=shape.feed_forward,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.kv_heads,
            vocab_size=shape.vocabulary,
            rope_theta=500_000.0,
        )
        torch.manual_seed(0)
        with no_init_weights():
            made = LlamaModel._from_config(config, dtype=self.dtype, attn_implementation="sdpa")
        with torch.no_grad():
            for one in made.parameters():
                one.fill_(1) if one.dim() == 1 else one.uniform_(-0.03, 0.03)
        return made.requires_grad_(False).eval()

    def _model(self, view: Literal["stack", "llm"]) -> Any:
        from xlnu.stack.config import StackConfig
        from xlnu.stack.model import StackModel

        encoder = self.encoder if view == "stack" else None
        made: Any = StackModel(StackConfig(view=view, task="text", labels=LABELS), encoder, self.llm)
        return made.to(self.dtype)

    @cached_property
    def stack(self) -> "Predictor":
        from xlnu.stack.inputs import Reader
        from xlnu.stack.predict import Predictor

        model = self._model("stack")
        return Predictor(model, Reader(self.mt.tokenizer, model.config, "encoder", "made"))

    @cached_property
    def llm_reader(self) -> "Sized":
        from xlnu.stack.inputs import Reader
        from xlnu.tiny.vocabularies import llm_tokenizer

        tokenizer = llm_tokenizer(self.words[: 2 * self.shape.pieces], self.shape.pieces)
        return Sized(Reader(tokenizer, self._model("llm").config, "llm", "made"))

    @cached_property
    def alone(self) -> "Predictor":
        """The LLM that reads by itself, with all that the stack has behind its own."""
        from xlnu.stack.predict import Predictor

        reader: Any = self.llm_reader
        return Predictor(self._model("llm"), reader)

    @cached_property
    def translator(self) -> Ct2Translator:
        """As our step opens it, but that each batch has all cores: there is none beside it."""
        import ctranslate2

        folder = self.mt.folder / "store" / "converted"
        made = Ct2Translator(folder, "int8", beam=1, max_tokens=1, batch_tokens=1, threads=self.cores, gpus=0)
        made.engine = ctranslate2.Translator(str(folder), compute_type="int8", intra_threads=self.cores)
        return made

    def read(self, batch: int) -> tuple[float, Said]:
        """Seconds of the stack."""
        stack, seconds, found = self.stack, 0.0, list["Answer"]()
        for texts in self.asked(batch):
            start = time.perf_counter()
            found += stack.read([[text] for text in texts], [SOURCE] * len(texts))
            seconds += time.perf_counter() - start
        return seconds, found

    def read_foreign(self, batch: int) -> tuple[float, Said]:
        """Seconds of the LLM on the sentences as they are."""
        seconds, found = 0.0, list["Answer"]()
        for texts in self.asked(batch):
            took, said = self._read_alone(texts, FOREIGN, texts)
            seconds, found = seconds + took, found + said
        return seconds, found

    def translate_test(self, batch: int) -> tuple[float, Said]:
        """Seconds of the translator, and of the LLM on what it wrote."""
        seconds, found = 0.0, list["Answer"]()
        for texts in self.asked(batch):
            took, written = self.translate(texts)
            more, said = self._read_alone(texts, ENGLISH, [one.text for one in written])
            seconds, found = seconds + took + more, found + said
        return seconds, found

    def _read_alone(self, texts: Sequence[str], tokens_a_word: float, read: Sequence[str]) -> tuple[float, Said]:
        alone = self.alone
        self.llm_reader.sizes = [round(tokens_a_word * len(text.split())) for text in texts]
        start = time.perf_counter()
        found = alone.read([[text] for text in read], [TARGET] * len(read))
        return time.perf_counter() - start, found

    def translate(self, texts: Sequence[str]) -> tuple[float, list[Translation]]:
        """One batch of the engine: all of it as long as its sources are in the mean."""
        made = self.translator
        lengths = [len(ids) for ids in self.mt.tokenizer(texts, add_special_tokens=False)["input_ids"]]
        made.max_tokens, made.batch_tokens = round(mean(lengths)), len(texts) * (max(lengths) + 2)
        start = time.perf_counter()
        written = made.translate(texts, resolve(SOURCE), resolve(TARGET))
        return time.perf_counter() - start, written

    def parts(self, batch: int) -> float:
        """Seconds of the encoder and of the LLM, each alone, on the batches that the stack makes."""
        given = self.given(batch)
        return self.encode(given) + self.run_llm(given)

    def given(self, batch: int) -> list["torch.Tensor"]:
        """The ids of all batches that the stack makes of all calls."""
        return [one for texts in self.asked(batch) for one in self._batches(texts)]

    def _batches(self, texts: Sequence[str]) -> list["torch.Tensor"]:
        """The ids of each."""
        from xlnu.stack.inputs import batches, padded

        reader = self.stack.reader
        rows = reader.read([[text] for text in texts], [SOURCE] * len(texts))
        made = batches([len(one.ids) for one in rows], self.stack.at_once)
        return [padded([rows[i] for i in some], reader.pad)[0] for some in made]

    def encode(self, given: Sequence["torch.Tensor"]) -> float:
        import torch

        encoder, start = self.encoder, time.perf_counter()
        with torch.inference_mode():
            for ids in given:
                encoder(
                    input_ids=ids, attention_mask=torch.ones_like(ids)
                )  # which hides nothing, and costs nothing
        return time.perf_counter() - start

    def run_llm(self, given: Sequence["torch.Tensor"]) -> float:
        import torch

        vectors = [torch.randn(*ids.shape, self.shape.hidden).to(self.dtype) for ids in given]
        llm, start = self.llm, time.perf_counter()
        with torch.inference_mode():
            for one in vectors:
                llm(inputs_embeds=one, use_cache=False)
        return time.perf_counter() - start

    @cached_property
    def mixed(self) -> list[str]:
        """Texts of many lengths, in no order."""
        shape, drawn = self.shape, random.Random(2)
        logarithms = NormalDist(math.log(shape.median), shape.spread)
        found = []
        for i in range(shape.at_once[-1]):
            tokens = min(math.exp(logarithms.inv_cdf((i + 0.5) / shape.at_once[-1])), 0.8 * shape.length)
            found.append(" ".join(drawn.choices(self.words, k=max(1, round(tokens / 1.55)))))
        drawn.shuffle(found)
        return found

    @property
    def languages(self) -> list[str]:
        """Of the mixed texts: two, in turn."""
        return [(SOURCE, TARGET)[i % 2] for i in range(self.shape.at_once[-1])]

    def read_mixed(self) -> tuple[float, Alike]:
        """Texts a second of ours, all languages and lengths at once."""
        texts, stack = self.mixed, self.stack
        start = time.perf_counter()
        found = stack.read([[text] for text in texts], self.languages)
        return len(texts) / (time.perf_counter() - start), Alike(found[: self.shape.fewer])

    def mixed_parts(self) -> float:
        """Texts a second of the encoder and of the LLM alone."""
        given = self._batches(self.mixed)
        return len(self.mixed) / (self.encode(given) + self.run_llm(given))

    def read_padded(self) -> tuple[float, Alike]:
        """The same of the reference kind: a batch holds one language, and is padded to the longest there may be."""
        import torch
        from torch.nn.functional import pad

        from xlnu.stack.inputs import padded
        from xlnu.stack.predict import Answer

        stack, texts, some = self.stack, self.mixed[: self.shape.fewer], dict[int, Answer]()
        start = time.perf_counter()
        for language in (SOURCE, TARGET):
            mine = [i for i in range(len(texts)) if self.languages[i] == language]
            rows = stack.reader.read([[texts[i]] for i in mine], [language] * len(mine))
            ids, mask, groups = padded(rows, stack.reader.pad)
            more = (0, self.shape.length - ids.shape[1])
            with torch.inference_mode():
                said = stack.model(pad(ids, more, value=stack.reader.pad), pad(mask, more), pad(groups, more))
            for row, i in enumerate(mine):
                some[i] = Answer(said.pooled[row], said.logits[row], len(rows[row].ids))
        seconds = time.perf_counter() - start
        return len(texts) / seconds, Alike([some[i] for i in range(len(texts))])

    def benches(self) -> list[Bench]:
        return [
            *(bench for batch in self.shape.at_once for bench in self._at(batch)),
            Bench(
                name="stack, mixed texts",
                baseline=f"padded to {self.shape.length}, a language a batch",
                goal=2,
                unit="texts/s",
                higher_is_better=True,
                ours=self.read_mixed,
                theirs=self.read_padded,
                limit="the encoder and the LLM, each alone",
                ceiling=self.mixed_parts,
            ),
        ]

    def _at(self, batch: int) -> list[Bench]:
        bench = partial(
            Bench,
            name=f"stack, {batch} at once" if batch > 1 else "stack, one by one",
            unit="s",
            higher_is_better=False,
            ours=partial(self.read, batch),
            same_output=False,  # other texts, or none at all
        )
        parts = partial(self.parts, batch)
        limit = "the encoder and the LLM, each alone"
        return [
            bench(
                baseline="its parts alone",
                goal=0.95,
                theirs=lambda: (parts(), None),
                limit="the baseline itself, which only multiplies",
            ),
            bench(
                baseline="translate-test",
                goal=1,
                theirs=partial(self.translate_test, batch),
                limit=limit,
                ceiling=parts,
            ),
            bench(
                baseline="the LLM on foreign text",
                goal=1,
                theirs=partial(self.read_foreign, batch),
                limit=limit,
                ceiling=parts,
            ),
        ]


class Sized:
    """A reader that makes of each text as many tokens as it is told."""

    def __init__(self, reader: "Reader") -> None:
        self.reader, self.config, self.pad = reader, reader.config, reader.pad
        self.sizes = list[int]()

    def read(self, examples: Sequence["Segments"], languages: Sequence[Any]) -> list["Tokens"]:
        from xlnu.stack.inputs import Tokens

        found = self.reader.read(examples, languages)
        return [
            Tokens(list(islice(cycle(one.ids), size)), [1] * size)
            for one, size in zip(found, self.sizes, strict=True)
        ]


def benches(shape: Shape = NLLB_LLAMA) -> list[Bench]:
    return World(shape).benches()
