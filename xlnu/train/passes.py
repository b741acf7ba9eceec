"""A forward and a backward pass with no numbers in it: what it holds is seen, not worked out.

torch's fake tensors have shapes, types and storages, but no memory. So any model of transformers is taken as it is,
with its attention, its adapters and what it computes again; 8B parameters cost seconds and no memory.
"""

import contextlib
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xlnu.errors import UserError, first_line
from xlnu.train.objective import Kind, Reliability
from xlnu.train.tuned import LoraConfig, Numbers, adapted, dtype

if TYPE_CHECKING:
    import torch

ACTIVATIONS, LOGITS, GRADIENTS = "activations", "logits and loss", "gradients"
_FLASH = "xlnu_flash"


class Full(Exception):
    """More than a ledger's limit."""


class Unknown(Exception):
    """The model cannot be run without numbers: what it does depends on them, as with experts that are chosen."""


class Ledger:
    """Bytes held, by what they are for; and how it was when they were most."""

    def __init__(self, limit: float | None = None) -> None:
        self.limit, self.phase = limit, ""
        self.now, self.most, self.parts, self.when = Counter[str](), 0, dict[str, int](), ""

    def add(self, what: str, size: float) -> None:
        self.now[what] += int(size)
        total = self.now.total()
        if total > self.most:
            self.most, self.parts, self.when = total, dict(self.now), self.phase
            if self.limit is not None and total > self.limit:
                raise Full

    @contextlib.contextmanager
    def holding(self, what: str, size: float) -> Iterator[None]:
        self.add(what, size)
        yield
        self.add(what, -int(size))

    def hold_once(self, what: str, size: float) -> None:
        with self.holding(what, size):
            pass


@dataclass(frozen=True)
class Setup:
    """What decides how much a pass holds."""

    folder: str  # with the model's config.json
    numbers: Numbers
    lora: LoraConfig | None
    recompute: bool
    attention: str
    kind: Kind
    reliability: Reliability
    micro: int
    length: int


@dataclass(frozen=True)
class Model:
    """A model of fake tensors."""

    module: Any
    mode: Any

    @property
    def sizes(self) -> list[tuple[int, bool]]:
        """Of each parameter: how many numbers it has, and whether it is trained."""
        return [(one.numel(), one.requires_grad) for one in self.module.parameters()]

    def forget(self) -> None:
        for one in self.module.parameters():
            one.grad = None


def build(setup: Setup) -> Model:
    """Of a model's config alone."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from transformers import AutoConfig, AutoModelForCausalLM

    _register()
    flash = setup.attention.startswith("flash")
    make: Any = AutoModelForCausalLM.from_config
    config = AutoConfig.from_pretrained(setup.folder)
    with torch.device("meta"):
        attention = _FLASH if flash else setup.attention
        try:
            module: Any = make(config, dtype=dtype(setup.numbers), attn_implementation=attention)
        except ValueError as error:
            raise UserError(f"train.attention={setup.attention}: {first_line(error)}") from None
        module.config.use_cache = False
        if setup.recompute:
            module.gradient_checkpointing_enable({"use_reentrant": False})
        if setup.lora:
            module = adapted(module, setup.lora)
    module.train()
    mode: Any = FakeTensorMode()
    with mode:
        _fake(module, dtype(setup.numbers))
    return Model(module, mode)


def _fake(module: Any, numbers: "torch.dtype") -> None:
    """Put fake tensors of a processor where those of the meta device are, which has the slowest attention only.
    peft has adapters in fp32; DeepSpeed makes of them what all others are.
    """
    import torch

    made = dict[int, Any]()  # tied weights stay one
    for one in module.modules():
        for tensors in (one._parameters, one._buffers):
            for name, tensor in tensors.items():
                if tensor is None:
                    continue
                if isinstance(tensor, torch.nn.Parameter):
                    weight = torch.empty(tensor.shape, dtype=numbers, device="cpu")
                    other: torch.Tensor = torch.nn.Parameter(weight, tensor.requires_grad)
                else:
                    other = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
                tensors[name] = made.setdefault(id(tensor), (other, tensor))[0]


def run(
    setup: Setup,
    model: Model,
    ledger: Ledger,
    arrived: Callable[[int], None] | None,
    *,
    again: bool,
    at_head: Callable[[], None] = lambda: None,
) -> None:
    """A pass forward and back. `arrived` is told how many numbers each gradient has, and takes it away; None: they
    stay. `again`: there are some already, of the micro-batch before. `at_head`: called when the layers are done.

    Every token counts as one of an answer, which is the worst that can be; and every answer has a teacher.
    """
    import torch

    module, watch = model.module, _watching(ledger)
    hooks = []
    with model.mode, watch:
        watch.label = GRADIENTS
        for one in module.parameters():
            watch.leave_out(one)
            if one.requires_grad:
                if again and arrived is None:
                    one.grad = torch.zeros_like(one)
                hooks.append(one.register_post_accumulate_grad_hook(_taken(watch, arrived)))
        watch.label = ACTIVATIONS
        places = torch.zeros(setup.micro * setup.length, dtype=torch.long)

        def pick(_head: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
            if torch.is_grad_enabled():
                at_head()
            picked = given[0].flatten(0, 1)[places]
            watch.label = LOGITS
            if picked.requires_grad:
                picked.register_hook(lambda _: setattr(watch, "label", ACTIVATIONS))
            return (picked, *given[1:])

        hooks.append(module.get_output_embeddings().register_forward_pre_hook(pick))
        try:
            _losses(setup, module, places, watch).sum().backward()  # type: ignore[no-untyped-call]
        except Full:
            raise
        except Exception as error:  # whatever a model may do
            raise Unknown(f"{type(error).__name__}: {first_line(error)}") from error
        finally:
            for hook in hooks:
                hook.remove()


def _losses(setup: Setup, module: Any, places: "torch.Tensor", watch: Any) -> "torch.Tensor":
    """As train.objective has them."""
    import torch

    from xlnu.objectives import distil
    from xlnu.objectives.sft import hard

    rows = (1, setup.micro * setup.length) if setup.attention.startswith("flash") else (setup.micro, setup.length)
    ids = torch.zeros(rows, dtype=torch.long)

    def logits() -> torch.Tensor:
        watch.label = ACTIVATIONS
        said: torch.Tensor = module(input_ids=ids, position_ids=torch.zeros_like(ids), use_cache=False).logits
        return said

    if setup.kind == "sft":
        return hard(logits(), torch.zeros_like(places))
    with torch.no_grad(), module.disable_adapter():
        taught = logits()
    mine = logits()
    divergence = {"fkl": distil.fkl, "rkl": distil.rkl, "jsd": distil.jsd, "taid": distil.Taid(1).losses}
    found = divergence[setup.kind](mine[places], taught)
    if setup.reliability == "none":
        return found
    return found * distil.reliability(taught, torch.zeros_like(places), setup.reliability)


def _taken(watch: Any, arrived: Callable[[int], None] | None) -> Callable[[Any], None]:
    def hook(parameter: Any) -> None:
        if arrived is None:
            watch.relabel(parameter.grad, GRADIENTS)
        else:
            arrived(parameter.numel())
            parameter.grad = None

    return hook


def _watching(ledger: Ledger) -> Any:
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
        """Tells the ledger of each storage when it is made, and when it is gone."""

        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.label = ACTIVATIONS
            self.seen = weakref.WeakKeyDictionary[Any, tuple[list[str], int]]()

        def __torch_dispatch__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = function(*args, **(kwargs or {}))
            for one in tree_leaves(out):
                if isinstance(one, torch.Tensor):
                    self._note(one.untyped_storage())
            return out

        def _note(self, storage: Any) -> None:
            if storage not in self.seen:
                label, size = [self.label], storage.nbytes()
                self.seen[storage] = label, size
                weakref.finalize(storage, lambda: ledger.add(label[0], -size))
                ledger.add(label[0], size)

        def leave_out(self, tensor: torch.Tensor) -> None:
            self.seen[tensor.untyped_storage()] = [], 0

        def relabel(self, tensor: torch.Tensor, to: str) -> None:
            label, size = self.seen[tensor.untyped_storage()]
            ledger.add(label[0], -size)
            label[0] = to
            ledger.add(to, size)

    return Watch()


def _register() -> None:
    """Flash attention need not be installed here: torch's own with no mask holds the same."""
    from transformers import AttentionInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import AttentionMaskInterface

    AttentionInterface.register(_FLASH, sdpa_attention_forward)
    AttentionMaskInterface.register(_FLASH, lambda *_args, **_kwargs: None)
