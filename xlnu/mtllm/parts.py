"""The parents of a job's stacks, and how they are put together: settings, and what of them identifies a result."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from xlnu.config import setting
from xlnu.engines.checkpoint import Checkpoint, find
from xlnu.errors import UserError


@dataclass
class ParentConfig:
    """A model that a stack is made of."""

    model: str = setting("", "a folder with a Hugging Face checkpoint, or a name on the hub")
    revision: str = setting("main", "branch, tag or commit, of a model on the hub")


@dataclass
class StackSettings:
    """How the encoder is put in front of the LLM."""

    fusion: Literal["linear", "mlp", "end_token", "layer_mix", "layer_kv"] = setting(
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
        "encoder_only", "dual: the LLM's own tokens of the text stand behind the mapped states"
    )
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


def check(settings: StackSettings) -> None:
    if settings.input == "dual":
        raise UserError(
            "stack.input: dual: stages 1 and 2 see task data in the source language alone, and with it a stack "
            "that also reads the raw text learns to read only that, and collapses in low-resource languages (5.3 "
            "against 45.7 points in LayAlign's study); take encoder_only"
        )
    if "{text}" not in settings.option:
        raise UserError(f"stack.option: {settings.option!r} has no {{text}} in it")


def reading(settings: StackSettings) -> dict[str, Any]:
    """What of the settings changes a text's tokens, and what is pooled of them."""
    return {name: getattr(settings, name) for name in ("special", "separator", "option", "length")}


def about(settings: StackSettings, view: str) -> dict[str, Any]:
    """What of the settings changes what a view makes of a text."""
    made = dataclasses.asdict(settings)
    for of_init in ("init", "init_texts", "seed"):
        del made[of_init]
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
