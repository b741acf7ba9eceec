"""CTranslate2: the engine of first choice for translating, and for answering on CPU.

A Hugging Face checkpoint is converted once; the converted folder holds the tokenizer too, so that whoever runs it
needs nothing else. One engine a process; its threads are given to it, for Ray sets OMP_NUM_THREADS by itself.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from xlnu.engines.base import Answer, Decoding, Question, Translation
from xlnu.engines.chat import ends, render
from xlnu.engines.framing import framing, positions
from xlnu.errors import UserError, first_line
from xlnu.languages import Language

Compute = Literal["auto", "int8", "int8_float16", "float16", "bfloat16", "float32"]
KNOWN = "xlnu.json"  # what CTranslate2 does not keep of a checkpoint


def compute_type(asked: Compute, gpus: int) -> str:
    """int8 on CPU (615M NLLB: 263 tokens/s against 29 in float32), float16 on GPUs (int8 is slower there)."""
    return asked if asked != "auto" else "float16" if gpus else "int8"


def convert(model: str, compute: str, folder: Path) -> None:
    """Write the model and its tokenizer, as CTranslate2 reads them, into a folder."""
    import ctranslate2
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory(dir=folder) as beside:
        try:
            # float16 while it is read: half the memory, and what the weights of nearly all checkpoints are anyway
            converter = ctranslate2.converters.TransformersConverter(model, load_as_float16=compute != "float32")
            made = Path(
                converter.convert(f"{beside}/model", quantization=None if compute == "float32" else compute)
            )
        except (ValueError, NotImplementedError, OSError) as error:
            raise UserError(
                f"{model}: CTranslate2 does not convert it: {first_line(error)}; take the engine hf instead"
            ) from None
        for path in made.iterdir():
            path.rename(folder / path.name)
    tokenizer.save_pretrained(folder / "tokenizer")
    known = {"ends": ends(model, tokenizer), "positions": positions(model)}
    (folder / KNOWN).write_text(json.dumps(known))


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder / "tokenizer")  # type: ignore[no-untyped-call]


def _open(kind: Any, folder: Path, compute: str, threads: int, gpus: int, batches: int = 1) -> Any:
    """`batches`: computed at once, each with its share of the threads."""
    device = "cuda" if gpus else "cpu"
    shared = {"intra_threads": threads // batches, "inter_threads": batches}
    try:
        return kind(str(folder), device=device, compute_type=compute, **shared)
    except ValueError as error:  # of numbers that this processor or GPU does not compute with
        raise UserError(f"compute={compute}: {first_line(error)}; compute=auto always can") from None


class Ct2Translator:
    def __init__(
        self, folder: Path, compute: str, *, beam: int, max_tokens: int, batch_tokens: int, threads: int, gpus: int
    ) -> None:
        import ctranslate2

        self.tokenizer = _tokenizer(folder)
        self.framing = framing(self.tokenizer, folder.name)
        self.longest: int = json.loads((folder / KNOWN).read_text())["positions"]
        self.beam, self.max_tokens, self.batch_tokens = beam, max_tokens, batch_tokens
        # Two batches on a core each: 325 tokens/s of a 615M model; one on both cores: 279. No more than four, for a
        # part is some fifteen of them. An LLM's are too large to hold several.
        batches = 1 if gpus else next(n for n in (4, 3, 2, 1) if threads % n == 0)
        self.engine = _open(ctranslate2.Translator, folder, compute, threads, gpus, batches)

    def knows(self, language: Language) -> bool:
        return self.framing.code(language) is not None

    def translate(self, texts: Sequence[str], source: Language, target: Language) -> list[Translation]:
        begin, end = self.framing.code(source), self.framing.code(target)
        assert begin is not None
        assert end is not None
        if not texts:
            return []
        pieces = self._pieces(texts)
        asked = [self.framing.source(one[: self.longest], begin, end) for one in pieces]
        prefix = self.framing.prefix(end)
        found = self.engine.translate_batch(
            asked,
            target_prefix=[prefix] * len(asked),
            beam_size=self.beam,
            max_decoding_length=len(prefix) + self.max_tokens,
            max_batch_size=self.batch_tokens,  # sorted by length and cut by tokens in there
            batch_type="tokens",
            return_end_token=True,
        )
        hypotheses = [one.hypotheses[0][len(prefix) :] for one in found]
        ids = [self.tokenizer.convert_tokens_to_ids(tokens) for tokens in hypotheses]
        written = self.tokenizer.batch_decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return [
            Translation(text, len(tokens), tokens[-1:] != [self.tokenizer.eos_token] or len(one) > self.longest)
            for text, tokens, one in zip(written, hypotheses, pieces, strict=True)
        ]

    def _pieces(self, texts: Sequence[str]) -> list[list[str]]:
        if self.tokenizer.is_fast:  # all at once, in Rust
            return [one.tokens for one in self.tokenizer(list(texts), add_special_tokens=False).encodings]
        return [self.tokenizer.tokenize(text) for text in texts]  # M2M-100 has no fast one


class Ct2Generator:
    """Greedy only: what CTranslate2 draws depends on the thread that draws and on what that drew before, and its
    state cannot be set again (seen: the same seed gives other words at the second call).
    """

    def __init__(self, folder: Path, compute: str, *, batch_tokens: int, threads: int, gpus: int) -> None:
        import ctranslate2

        self.tokenizer = _tokenizer(folder)
        self.ends: list[int] = json.loads((folder / KNOWN).read_text())["ends"]
        self.batch_tokens = batch_tokens
        self.engine = _open(ctranslate2.Generator, folder, compute, threads, gpus)

    def answer(self, questions: Sequence[Question], decoding: Decoding) -> list[Answer]:
        if not questions:
            return []
        if decoding.temperature:
            raise UserError("ct2 cannot draw by a seed of each row: take temperature 0, or hf, vllm or openai")
        prompts = [self.tokenizer.convert_ids_to_tokens(ids) for ids in render(self.tokenizer, questions)]
        found = self.engine.generate_batch(
            prompts,
            max_length=decoding.max_new_tokens,
            sampling_topk=1,
            include_prompt_in_result=False,
            max_batch_size=self.batch_tokens,
            batch_type="tokens",
            end_token=self.ends,
            return_end_token=True,
        )
        ids = [one.sequences_ids[0] for one in found]
        # "cleaning up" is what Llama 3's tokenizer does unless it is told not to: "a != b" becomes "a!= b"
        written = self.tokenizer.batch_decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return [
            Answer(text.strip(), len(one), one[-1:] == [] or one[-1] not in self.ends)
            for text, one in zip(written, ids, strict=True)
        ]
