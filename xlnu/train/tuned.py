"""The model as it is trained: all of its weights, or adapters beside them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from xlnu.config import setting
from xlnu.errors import UserError

if TYPE_CHECKING:
    import torch

Numbers = Literal["bf16", "fp32"]


@dataclass
class LoraConfig:
    """Adapters of low rank, as peft has them."""

    rank: int = setting(16, "numbers an adapter squeezes a state through", at_least=1)
    alpha: float = setting(32.0, "their weight, over the rank", above=0)
    dropout: float = setting(0.0, "share of what goes into adapters that is dropped", at_least=0, at_most=1)
    targets: list[str] = setting(
        ["all-linear"], "modules that get one, by the ends of their names; all-linear: all but the head"
    )


def dtype(numbers: Numbers) -> "torch.dtype":
    import torch

    return torch.bfloat16 if numbers == "bf16" else torch.float32


def load(folder: str, numbers: Numbers, lora: LoraConfig | None, *, recompute: bool, attention: str) -> Any:
    """The model to train. `recompute`: what layers hold between forward and backward is computed again."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype(numbers), attn_implementation=attention)
    model.config.use_cache = False
    if recompute:
        model.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[no-untyped-call]
    return model if lora is None else adapted(model, lora)


def adapted(model: Any, lora: LoraConfig) -> Any:
    import peft

    targets: Any = lora.targets[0] if lora.targets == ["all-linear"] else lora.targets
    config = peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=targets,
        task_type=peft.TaskType.CAUSAL_LM,
    )
    try:
        return peft.get_peft_model(model, config)
    except ValueError as error:
        raise UserError(f"train.lora.targets: {' '.join(str(error).split())[:300]}") from None
