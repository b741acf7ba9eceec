"""The parents of a job's stacks, and how they are put together: settings, and what of them identifies a result."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from xlnu.config import setting
from xlnu.engines.checkpoint import Checkpoint, find
from xlnu.errors import UserError
from xlnu.languages import Language

Fusion = Literal["linear", "mlp", "end_token", "layer_mix", "layer_kv"]


@dataclass
class ParentConfig:
    """A model that a stack is made of."""

    model: str = setting("", "a folder with a Hugging Face checkpoint, or a name on the hub")
    revision: str = setting("main", "branch, tag or commit, of a model on the hub")


@dataclass
class StackSettings:
    """How the encoder is put in front of the LLM."""

    fusion: Fusion = setting(
        "linear", "how its states enter: linear (MT-LLM), mlp (MindMerger), end_token (LangBridge), layer_mix, or "
        "layer_kv (LayAlign)"
    )  # fmt: skip
    width: int = setting(0, "hidden units of the mlp; 0: twice the encoder's width", at_least=0)
    bias: bool = setting(True, "whether the projection has one")
    init: Literal["random", "least_squares"] = setting(
        "least_squares", "the projection's first weights; least_squares: from the encoder's states to the LLM's "
        "own embeddings of the same words"
    )  # fmt: skip
    init_texts: int = setting(4096, "texts that init=least_squares looks at", at_least=1)
    input: Literal["encoder_only", "dual"] = setting(
        "encoder_only", "dual: in a task the LLM's own tokens of the text stand behind the mapped states"
    )
    examples: Literal["source", "translated"] = setting(
        "source", "translated: after stage 1 the stack learns the task by the labels of examples in the source "
        "language and, translated, in all others (as MindMerger's augmentation); dual needs it"
    )  # fmt: skip
    attention: Literal["bidirectional", "causal"] = setting(
        "bidirectional", "of the LLM; bidirectional is for LLMs trained for it, as LLM2Vec's"
    )
    pooling: Literal["mean", "last"] = setting("mean", "what is made of a text's states")
    special: bool = setting(True, "whether the places of <s>, </s> and language codes are pooled too")
    code: Literal["drop", "keep", "begin"] = setting(
        "keep", "what the encoder's language code becomes in the LLM; begin: the LLM's own <s>"
    )
    end: Literal["drop", "keep"] = setting("keep", "what the encoder's </s> becomes in the LLM")
    separator: str = setting(" ", "between the two texts of a pair, and between a passage and its question")
    option: str = setting("\n{number} {text}", "how each choice is written behind the question")
    length: int = setting(512, "tokens of either tokenizer; longer texts are cut at a sentence's end", at_least=8)
    seed: int = setting(0, "of the fusion's first weights", at_least=0)


@dataclass(frozen=True)
class Parents:
    encoder: Checkpoint
    llm: Checkpoint

    @property
    def identity(self) -> dict[str, Any]:
        return {"encoder": self.encoder.identity, "llm": self.llm.identity}

    def folders(self) -> dict[str, str]:
        return {"encoder": self.encoder.local(), "llm": self.llm.local()}


def parents(encoder: ParentConfig, llm: ParentConfig) -> Parents:
    return Parents(
        find("encoder.model", encoder.model, encoder.revision), find("llm.model", llm.model, llm.revision)
    )


FILES = ("*.json", "*.model", "*.txt", "*.jinja")  # of a checkpoint: not its weights


def suits(parents: Parents, settings: StackSettings, languages: Sequence[Language], *, span: bool) -> None:
    """Whether these models can be put together, and the encoder reads the languages: before any work. `span`: words
    are to be found in both.
    """
    from transformers import AutoConfig, AutoTokenizer

    from xlnu.stack.inputs import Reader
    from xlnu.stack.parents import is_encoder

    encoder, llm = parents.encoder.local(FILES), parents.llm.local(FILES)
    about = {part: AutoConfig.from_pretrained(folder) for part, folder in (("encoder", encoder), ("llm", llm))}
    if not about["encoder"].is_encoder_decoder:
        kind = about["encoder"].model_type
        raise UserError(
            f"encoder.model: {parents.encoder.name}: is a {kind}, and no translation model with an encoder"
        )
    if about["llm"].is_encoder_decoder:
        raise UserError(
            f"llm.model: {parents.llm.name}: is a {about['llm'].model_type}, and no decoder as LLMs are"
        )
    if is_encoder(about["llm"]):
        kind = about["llm"].model_type
        raise UserError(f"llm.model: {parents.llm.name}: is a {kind}, and no LLM; give it as multilingual.model")
    opened: dict[str, Any] = {
        folder: AutoTokenizer.from_pretrained(folder)  # type: ignore[no-untyped-call]
        for folder in (encoder, llm)
    }
    reader = Reader(opened[encoder], stack_config(settings, parents), "encoder", parents.encoder.name)
    for language in languages:
        reader.begin(language)
    if settings.code == "begin" and opened[llm].bos_token_id is None:
        raise UserError("stack.code: begin: the LLM has no token for a beginning; take keep or drop")
    if not (opened[encoder].is_fast and opened[llm].is_fast):
        needs = "needs tokenizers that say where their tokens lie, as fast ones do"
        if settings.init == "least_squares":
            raise UserError(f"stack.init: least_squares {needs}; take random")
        if span:
            raise UserError(f"align.span: {needs}; take 0")


def beside(parents: Parents, other: ParentConfig, settings: StackSettings) -> tuple[Parents, StackSettings]:
    """An encoder of many languages in the LLM's place, and what it reads by."""
    from transformers import AutoConfig

    from xlnu.stack.parents import ENCODERS, is_encoder

    found = find("multilingual.model", other.model, other.revision)
    about = AutoConfig.from_pretrained(found.local(FILES))
    if not is_encoder(about):
        known = ", ".join(ENCODERS)
        raise UserError(f"multilingual.model: {found.name}: is a {about.model_type}, and none of: {known}")
    return Parents(parents.encoder, found), dataclasses.replace(settings, attention="bidirectional")


def check(settings: StackSettings) -> None:
    if settings.input == "dual" and settings.examples == "source":
        raise UserError(
            "stack.input: dual: stages 1 and 2 see task data in the source language alone, and with it a stack "
            "that also reads the raw text learns to read only that, and collapses in low-resource languages (5.3 "
            "against 45.7 points in LayAlign's study); take stack.examples=translated, or encoder_only"
        )
    if settings.option.count("{text}") != 1:
        raise UserError(f"stack.option: {settings.option!r}: {{text}} must stand in it once")


def reading(settings: StackSettings) -> dict[str, Any]:
    """What of the settings changes a text's tokens, and what is pooled of them."""
    return {name: getattr(settings, name) for name in ("special", "separator", "option", "length")}


def about(settings: StackSettings, view: str) -> dict[str, Any]:
    """What of the settings changes what a view makes of a text."""
    made = dataclasses.asdict(settings)
    for no_part_of_it in ("init", "init_texts", "seed", "input", "examples"):
        del made[no_part_of_it]
    if settings.fusion != "mlp":
        del made["width"]
    if view == "stack":
        return made
    return reading(settings) | {"pooling": settings.pooling, "attention": settings.attention}


def stack_config(settings: StackSettings, parents: Parents, view: Any = "stack", **more: Any) -> Any:
    """The configuration of a stack without a task, or of whatever `more` makes of it."""
    from xlnu.stack.config import StackConfig
    from xlnu.stack.parents import described

    fused: dict[str, Any] = {}
    if view == "stack":
        fused = {"fusion": settings.fusion, "fusion_width": settings.width, "fusion_bias": settings.bias}
        fused |= {"code": settings.code, "end": settings.end}
    return StackConfig(
        encoder=described(parents.encoder) if view != "llm" else None,
        llm=described(parents.llm) if view != "encoder" else None,
        view=view,
        attention=settings.attention,
        pooling=settings.pooling,
        special=settings.special,
        separator=settings.separator,
        option=settings.option,
        length=settings.length,
        **fused,
        **more,
    )
