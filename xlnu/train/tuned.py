"""The model as it is trained: all of its weights, or adapters beside them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from xlnu.config import setting
from xlnu.engines.attention import suited
from xlnu.errors import UserError, first_line

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

    try:
        how = suited(folder, attention)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype(numbers), attn_implementation=how)
    except (ImportError, ValueError) as error:  # flash attention is not there, or not for this model
        raise UserError(f"train.attention={attention}: {first_line(error)}") from None
    model.config.use_cache = False
    if recompute:
        model.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[no-untyped-call]
    return model if lora is None else adapted(model, lora)


def separates(model: Any) -> bool:
    """Whether the examples of a pack do not see one another: what is said in the second is the same to the last
    bit, whatever the first is. transformers masks by positions in most models, and in silence not at all in others
    (BLOOM, XGLM, OPT, Falcon and Qwen2-MoE under sdpa; GPT-2 under flash attention, which is given no positions).
    """
    import torch

    from xlnu.train.examples import Example
    from xlnu.train.feed import moved
    from xlnu.train.packing import packed

    said = []
    model.eval()
    with torch.no_grad():
        for first in ([5, 6, 7, 8], [9, 8, 6, 5]):
            batch = packed([[Example(first, 1), Example([7, 5, 6, 9], 1)]], pad=0)
            said.append(model(**moved(batch, model.device).inputs()).logits[0, 4:])
    return torch.equal(*said)


def adapted(model: Any, lora: LoraConfig, key: str = "train", kind: str = "CAUSAL_LM") -> Any:
    """`key`: the section that the settings stand in; `kind`: of the model, as peft names it."""
    import peft

    targets: Any = lora.targets[0] if lora.targets == ["all-linear"] else lora.targets
    config = peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=targets,
        task_type=peft.TaskType(kind),
    )
    try:
        return peft.get_peft_model(model, config)
    except ValueError as error:
        raise UserError(f"{key}.lora.targets: {' '.join(str(error).split())[:300]}") from None
