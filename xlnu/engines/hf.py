"""transformers: the reference that other engines are held against, and what runs when nothing else can."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from xlnu.engines.attention import suited
from xlnu.engines.base import Answer, Decoding, Question, Translation
from xlnu.engines.chat import ends, render
from xlnu.engines.framing import framing, positions
from xlnu.languages import Language

if TYPE_CHECKING:
    import torch


def batched(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """What is about as long goes together, longest first, with no more than so many tokens, padding included."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    at = 0
    while at < len(order):
        size = max(1, tokens // max(1, lengths[order[at]]))
        yield order[at : at + size]
        at += size


def _open(kind: Any, model: str, dtype: str, gpus: int) -> Any:
    import torch

    loaded = kind.from_pretrained(model, dtype=getattr(torch, dtype), attn_implementation=suited(model))
    return loaded.eval().to("cuda" if gpus else "cpu")


class HfTranslator:
    def __init__(
        self, model: str, dtype: str, *, beam: int, max_tokens: int, batch_tokens: int, threads: int, gpus: int
    ) -> None:
        import torch
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        torch.set_num_threads(threads)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(model)  # type: ignore[no-untyped-call]
        self.framing, self.longest = framing(self.tokenizer, model), positions(model)
        self.beam, self.max_tokens, self.batch_tokens = beam, max_tokens, batch_tokens
        self.model = _open(AutoModelForSeq2SeqLM, model, dtype, gpus)

    def knows(self, language: Language) -> bool:
        return self.framing.code(language) is not None

    def translate(self, texts: Sequence[str], source: Language, target: Language) -> list[Translation]:
        import torch

        begin, end = self.framing.code(source), self.framing.code(target)
        assert begin is not None
        assert end is not None
        tokens = [self.tokenizer.tokenize(text) for text in texts]
        asked = [
            self.tokenizer.convert_tokens_to_ids(self.framing.source(one[: self.longest], begin, end))
            for one in tokens
        ]
        prefix = self.tokenizer.convert_tokens_to_ids(self.framing.prefix(end))
        stop = self.tokenizer.eos_token_id
        found: list[Translation | None] = [None] * len(asked)
        for batch in batched([len(ids) for ids in asked], self.batch_tokens):
            ids, mask = _padded([asked[i] for i in batch], self.tokenizer.pad_token_id, left=False)
            with torch.inference_mode():
                out = self.model.generate(
                    input_ids=ids.to(self.model.device),
                    attention_mask=mask.to(self.model.device),
                    forced_bos_token_id=prefix[0] if prefix else None,
                    max_new_tokens=len(prefix) + self.max_tokens,
                    num_beams=self.beam,
                    do_sample=False,
                )
            for i, row in zip(batch, out[:, 1 + len(prefix) :].tolist(), strict=True):
                whole = row[: row.index(stop) + 1] if stop in row else row
                text = self.tokenizer.decode(whole, skip_special_tokens=True, clean_up_tokenization_spaces=False)
                found[i] = Translation(text, len(whole), stop not in row or len(tokens[i]) > self.longest)
        return [one for one in found if one is not None]


class HfGenerator:
    def __init__(self, model: str, dtype: str, *, batch_tokens: int, threads: int, gpus: int) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(threads)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(model)  # type: ignore[no-untyped-call]
        self.ends, self.batch_tokens = ends(model, self.tokenizer), batch_tokens
        self.model = _open(AutoModelForCausalLM, model, dtype, gpus)

    def answer(self, questions: Sequence[Question], decoding: Decoding) -> list[Answer]:
        import torch

        prompts = render(self.tokenizer, questions)
        pad = self.tokenizer.pad_token_id
        found: list[Answer | None] = [None] * len(prompts)
        for batch in batched([len(ids) + decoding.max_new_tokens for ids in prompts], self.batch_tokens):
            ids, mask = _padded([prompts[i] for i in batch], self.ends[0] if pad is None else pad, left=True)
            drawn = [_Drawn([questions[i].seed for i in batch], decoding)] if decoding.temperature else []
            with torch.inference_mode():
                out = self.model.generate(
                    input_ids=ids.to(self.model.device),
                    attention_mask=mask.to(self.model.device),
                    max_new_tokens=decoding.max_new_tokens,
                    do_sample=False,  # the noise that `drawn` adds makes the greedy choice a draw
                    num_beams=1,
                    eos_token_id=self.ends,
                    pad_token_id=self.ends[0] if pad is None else pad,
                    logits_processor=drawn,
                )
            for i, row in zip(batch, out[:, ids.shape[1] :].tolist(), strict=True):
                stop = next((at for at, token in enumerate(row) if token in self.ends), None)
                whole = row if stop is None else row[: stop + 1]
                text = self.tokenizer.decode(whole, skip_special_tokens=True, clean_up_tokenization_spaces=False)
                found[i] = Answer(text.strip(), len(whole), stop is None)
        return [one for one in found if one is not None]


class _Drawn:
    """Sampling by the Gumbel trick: the largest of logits/T + noise is a draw from softmax(logits/T). The noise of
    a row comes from its own seed, so that what a row gets does not depend on the rows beside it.
    """

    def __init__(self, seeds: Sequence[int], decoding: Decoding) -> None:
        import torch

        self.noise = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.decoding = decoding

    def __call__(self, _ids: "torch.Tensor", scores: "torch.Tensor") -> "torch.Tensor":
        import torch

        scores = scores.float() / self.decoding.temperature
        if self.decoding.top_p < 1:
            ordered, order = scores.sort(dim=-1, descending=True)
            before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
            cut = torch.zeros_like(scores, dtype=torch.bool).scatter(-1, order, before >= self.decoding.top_p)
            scores = scores.masked_fill(cut, float("-inf"))
        uniform = torch.stack([torch.rand(scores.shape[-1], generator=one) for one in self.noise])
        gumbel = -torch.log(-torch.log(uniform.clamp_min(1e-20)))
        return scores + gumbel.to(scores.device)


def _padded(rows: Sequence[Sequence[int]], pad: int, *, left: bool) -> "tuple[torch.Tensor, torch.Tensor]":
    import torch

    width = max(map(len, rows))
    ids, mask = torch.full((len(rows), width), pad), torch.zeros(len(rows), width, dtype=torch.long)
    for i, row in enumerate(rows):
        place = slice(width - len(row), width) if left else slice(0, len(row))
        ids[i, place] = torch.tensor(row)
        mask[i, place] = 1
    return ids, mask
