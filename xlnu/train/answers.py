"""The recipe of an LLM that learns answers, on packs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xlnu.engines.checkpoint import Checkpoint
from xlnu.train.feed import Feed, Share
from xlnu.train.loop import Running
from xlnu.train.objective import Kind, Reliability, Sft, objective
from xlnu.train.order import Order
from xlnu.train.packs import Index
from xlnu.train.tuned import LoraConfig, Numbers, load, separates

if TYPE_CHECKING:
    import torch


@dataclass
class Answers:
    checkpoint: Checkpoint
    numbers: Numbers
    lora: LoraConfig | None
    recompute: bool
    attention: str
    kind: Kind
    reliability: Reliability
    order: Order
    train: Index
    held_out: Index
    apart: bool = False  # whether examples must have rows of their own, which is seen once the model is there

    @property
    def steps(self) -> int:
        return self.order.steps

    @property
    def flash(self) -> bool:
        return self.attention.startswith("flash")

    def model(self) -> "torch.nn.Module":
        made: torch.nn.Module = load(
            self.checkpoint.local(), self.numbers, self.lora, recompute=self.recompute, attention=self.attention
        )
        self.apart = not self.flash and not separates(made)
        return made

    def groups(self, model: "torch.nn.Module") -> list[dict[str, Any]]:
        return [{"params": [one for one in model.parameters() if one.requires_grad]}]

    def running(self, engine: Any, rank: int, world: int, micro: int) -> Running:
        if self.flash:  # which is on GPUs alone, where the model was not before
            self.apart = not separates(engine)
        share = Share(rank, world, micro, self._pad(), engine.device, flat=self.flash, apart=self.apart)
        return Running(
            data=Feed(self.train, self.order, share, self.order.batch, teacher=self.kind != "sft"),
            held_out=Feed(self.held_out, None, share, micro * world, teacher=False),
            objective=objective(engine, self.kind, self.reliability, self.steps),
            judge=Sft(engine),
        )

    def _pad(self) -> int:
        """The token that fills up rows."""
        from transformers import AutoTokenizer

        tokenizer: Any = AutoTokenizer.from_pretrained(self.checkpoint.local())  # type: ignore[no-untyped-call]
        pad: int = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        return pad
