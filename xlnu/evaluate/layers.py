"""What models make of sentences, layer by layer: an LLM by itself, with an adapter, or a stack."""

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from xlnu.engines.attention import suited
from xlnu.errors import UserError, first_line
from xlnu.languages import Language

if TYPE_CHECKING:
    from torch import Tensor

    from xlnu.stack.inputs import Reader, Tokens


@dataclass
class Read:
    """What a model made of sentences: by part [layers, sentences, width]; and what it makes of each in the end."""

    layers: dict[str, "Tensor"] = field(default_factory=dict)
    pooled: "Tensor | None" = None
    tokens: int = 0


class Model(Protocol):
    def read(self, texts: Sequence[str], language: Language) -> Read: ...

    def taught(self, texts: Sequence[str], source: Language) -> "Tensor | None":
        """What a stack's LLM, untouched, makes of sentences; None where there is no such."""

    def lacks(self, language: Language) -> str | None:
        """Why it cannot read a language."""


def distinct(model: Model, texts: Sequence[str], language: Language) -> Read:
    """Each text once: of two that are the same, the states are the same to the last bit, and so they tie."""
    places = {text: at for at, text in enumerate(dict.fromkeys(texts))}
    read, order = model.read(list(places), language), [places[text] for text in texts]
    layers = {part: states[:, order] for part, states in read.layers.items()}
    return Read(layers, None if read.pooled is None else read.pooled[order], read.tokens)


class Llm:
    """A causal LLM by itself, or with an adapter, on raw sentences with its own special tokens."""

    def __init__(self, folder: str, adapter: str | None, gpus: int, batch_tokens: int) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.device, self.batch_tokens = "cuda" if gpus else "cpu", batch_tokens
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)  # type: ignore[no-untyped-call]
        numbers: Any = "auto" if gpus else "float32"
        whole: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=numbers, attn_implementation=suited(folder))
        if adapter:
            whole = _adapted(whole, adapter)
        self.model = whole.get_decoder().eval().to(self.device)
        self.longest = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        own = self.tokenizer.pad_token_id
        self.pad: int = own if own is not None else self.tokenizer.eos_token_id

    def read(self, texts: Sequence[str], _language: Language) -> Read:
        import torch

        from xlnu.evaluate.alignment import weighted
        from xlnu.stack.inputs import Tokens, batches, padded

        every = self.tokenizer(list(texts))["input_ids"]
        rows = [Tokens(one, [1] * len(one)) for one in (ids[: self.longest] or [self.pad] for ids in every)]
        found = dict[int, "Tensor"]()
        for some in batches([len(one.ids) for one in rows], self.batch_tokens):
            ids, mask, _ = padded([rows[i] for i in some], self.pad, self.device)
            with torch.inference_mode():
                said = self.model(input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False)
                found |= zip(some, _by_sentence([weighted(one, mask) for one in said.hidden_states]), strict=True)
        return Read({"llm": _in_order(found)}, None, sum(len(one.ids) for one in rows))

    def taught(self, _texts: Sequence[str], _source: Language) -> None:
        return None

    def lacks(self, _language: Language) -> str | None:
        return None


def _adapted(whole: Any, adapter: str) -> Any:
    """The LLM with an adapter in it; UserError where some of its weights are not there."""
    import peft

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Found missing adapter keys")
            made: Any = peft.PeftModel.from_pretrained(whole, adapter)
    except (OSError, ValueError, RuntimeError, UserWarning) as error:
        raise UserError(f"{adapter}: is no adapter of this LLM: {first_line(error)}") from None
    if made.active_peft_config.is_prompt_learning:
        raise UserError(f"{adapter}: learns tokens in front of a text, and changes no layer: it is not probed")
    return made.get_base_model()


class Stack:
    """A stack, or one of its parts alone, as it reads any text: here each is one, whatever its head answers."""

    def __init__(self, folder: str, moved: Mapping[str, str], gpus: int, batch_tokens: int) -> None:
        from transformers import AutoTokenizer

        from xlnu.stack.inputs import Reader
        from xlnu.stack.parents import folder_of, is_encoder
        from xlnu.stack.predict import Predictor

        how: dict[str, Any] = {"device": "cuda"} if gpus else {"device": "cpu", "dtype": "float32"}
        opened = Predictor.open(folder, **how, **dict[str, Any](moved))
        self.model, self.reader, self.text, self.config = opened.model, opened.reader, opened.text, opened.config
        self.config.task, self.batch_tokens = None, batch_tokens
        self.teacher: Reader | None = None
        if self.model.llm is not None:
            self.causal = self.config.attention == "causal" and not is_encoder(self.model.llm.config)
            if "folder" not in self.config.llm:  # else its adapter is merged into it, and what it was nobody knows
                where = folder_of("llm", self.config, Path(folder), moved.get("llm"))
                theirs: Any = AutoTokenizer.from_pretrained(where)  # type: ignore[no-untyped-call]
                self.teacher = Reader(theirs, self.config, "llm", where)

    def read(self, texts: Sequence[str], language: Language) -> Read:
        import torch

        from xlnu.evaluate.alignment import mean, weighted
        from xlnu.stack.inputs import batches, padded

        device, rows = next(self.model.parameters()).device, self._tokens(self.reader, texts, language)
        behind = self._tokens(self.text, texts, language) if self.text else []
        pooled, found = dict[int, "Tensor"](), {part: dict[int, "Tensor"]() for part in self.config.parts()}
        for some in batches([len(one.ids) for one in rows], self.batch_tokens):
            given: tuple[Tensor, ...] = padded([rows[i] for i in some], self.reader.pad, device)
            if self.text:
                given = (*given, *padded([behind[i] for i in some], self.text.pad, device))
            with torch.inference_mode(), contextlib.ExitStack() as stack:
                caught = {part: stack.enter_context(every_layer(getattr(self.model, part))) for part in found}
                said = self.model(*given)
                for part, states in caught.items():
                    mask = given[1] if part == "encoder" else said.attention_mask
                    over = weighted if part == "llm" and self.causal else mean
                    found[part] |= zip(some, _by_sentence([over(one, mask) for one in states]), strict=True)
                pooled |= zip(some, said.pooled[:, 0].cpu(), strict=True)
        layers = {part: _in_order(one) for part, one in found.items()}
        whole = torch.stack([pooled[i] for i in range(len(rows))])
        return Read(layers, whole, sum(len(one.ids) for one in [*rows, *behind]))

    def taught(self, texts: Sequence[str], source: Language) -> "Tensor | None":
        """As stage 1 has its teacher."""
        if self.teacher is None:
            return None
        import torch

        from xlnu.stack.inputs import batches, padded

        device, rows = next(self.model.parameters()).device, self._tokens(self.teacher, texts, source)
        adapted = hasattr(self.model.llm, "disable_adapter")
        found = dict[int, "Tensor"]()
        with torch.inference_mode(), self.model.llm.disable_adapter() if adapted else contextlib.nullcontext():
            for some in batches([len(one.ids) for one in rows], self.batch_tokens):
                said = self.model(*padded([rows[i] for i in some], self.teacher.pad, device), view="llm")
                found |= zip(some, said.pooled[:, 0].cpu(), strict=True)
        return torch.stack([found[i] for i in range(len(rows))])

    def lacks(self, language: Language) -> str | None:
        try:
            self.reader.begin(language)
        except UserError:
            return "the encoder does not know the language"
        return None

    def _tokens(self, reader: "Reader", texts: Sequence[str], language: Language) -> "list[Tokens]":
        """Up to as many as the stack was trained for; the last one stays: it is </s>."""
        from xlnu.stack.inputs import Tokens

        most, made = self.config.length, reader.read([[text] for text in texts], [language] * len(texts))
        return [
            Tokens([*one.ids[: most - 1], one.ids[-1]], [*one.groups[: most - 1], one.groups[-1]])
            if len(one.ids) > most
            else one
            for one in made
        ]


@contextlib.contextmanager
def every_layer(module: Any) -> "Iterator[list[Tensor]]":
    """While it lasts, the states of all layers of a model of transformers, of its last call."""
    found = list["Tensor"]()

    def ask(_module: Any, args: Any, given: dict[str, Any]) -> Any:
        return args, given | {"output_hidden_states": True}

    def keep(_module: Any, _args: Any, output: Any) -> None:
        found[:] = output.hidden_states

    hooks = [module.register_forward_pre_hook(ask, with_kwargs=True), module.register_forward_hook(keep)]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _by_sentence(layers: "Sequence[Tensor]") -> "Tensor":
    import torch

    return torch.stack([one.cpu() for one in layers], 1)


def _in_order(found: "Mapping[int, Tensor]") -> "Tensor":
    import torch

    return torch.stack([found[i] for i in range(len(found))], 1)
