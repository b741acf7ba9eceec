"""The directory that a stack is: what was trained, and who its parents are.

    config.json          what it is made of; the parents by id, revision and content
    model.safetensors    the fusion and the head
    adapter/             the LLM's LoRA, as peft has it
    tokenizer.json ...   the encoder's tokenizer (or the LLM's, where it reads alone)
    README.md            the card

`merge` makes one that needs nobody else: encoder/ and llm/, with the adapter in it, lie inside.
"""

import shutil
from pathlib import Path
from typing import Any

import torch

from xlnu.errors import UserError
from xlnu.stack import parents
from xlnu.stack.config import StackConfig
from xlnu.stack.model import StackModel

ADAPTER, WEIGHTS = "adapter", "model.safetensors"
# What transformers' Auto classes pass on to any model.
_THEIRS = {"config", "_from_auto", "adapter_kwargs", "code_revision", "trust_remote_code", "_commit_hash", "token"}


def build(
    config: StackConfig,
    folders: dict[str, str],
    dtype: torch.dtype | str,
    attention: str = "sdpa",
    adapter: str | None = None,
) -> StackModel:
    """Of parents that lie in `folders`; its fusion and its head are new. `adapter`: the LLM's, for use alone."""
    encoder = parents.encoder(folders["encoder"], dtype, attention) if "encoder" in config.parts() else None
    llm: Any = parents.llm(folders["llm"], dtype, attention) if "llm" in config.parts() else None
    begin = None
    if llm is not None and config.code == "begin":
        begin = _begin(folders["llm"])
    if adapter:
        import peft

        llm = peft.PeftModel.from_pretrained(llm, adapter)
    return StackModel(config, encoder, llm, begin)


def _begin(folder: str) -> int:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)  # type: ignore[no-untyped-call]
    if tokenizer.bos_token_id is None:
        raise UserError(f"stack.code: begin: the LLM in {folder} has no token for a beginning; take keep or drop")
    found: int = tokenizer.bos_token_id
    return found


def load(folder: str, **given: Any) -> StackModel:
    """`encoder`, `llm`: where the parents lie now; `dtype`, `attn_implementation`, `revision`."""
    allowed = {"encoder", "llm", "dtype", "torch_dtype", "attn_implementation", "revision", *_THEIRS}
    unknown = sorted(set(given) - allowed)
    if unknown:
        raise UserError(f"from_pretrained: {', '.join(unknown)}: a stack has no such setting")
    own = place(folder, given.get("revision"))
    config = StackConfig.from_pretrained(own)
    folders = {part: parents.folder_of(part, config, own, given.get(part)) for part in config.parts()}
    dtype: Any = given.get("dtype") or given.get("torch_dtype") or config.dtype or torch.float32
    adapter = str(own / ADAPTER) if (own / ADAPTER).is_dir() else None
    model = build(config, folders, dtype, given.get("attn_implementation") or "sdpa", adapter)
    put(model, own)
    model.eval()  # type: ignore[no-untyped-call]
    return model


def place(folder: str, revision: str | None = None) -> Path:
    """A folder here, or the hub's copy of one."""
    if Path(folder).expanduser().is_dir():
        return Path(folder).expanduser()
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(folder, revision=revision))


def put(model: StackModel, own: Path, but: tuple[str, ...] = ()) -> None:
    """The saved weights into a model; `but`: beginnings of names that are new."""
    from safetensors.torch import load_file

    saved = load_file(own / WEIGHTS) if (own / WEIGHTS).is_file() else {}
    wanted = {name: one for name, one in model.own() if not name.startswith(but or ("-",))}
    if saved.keys() != wanted.keys():
        odd = sorted(saved.keys() ^ wanted.keys())
        raise UserError(f"{own / WEIGHTS}: does not hold what config.json says: {', '.join(odd[:5])}")
    with torch.no_grad():
        for name, one in wanted.items():
            one.data = saved[name]  # in its own numbers: what was trained in float32 stays so


def put_head(model: StackModel, own: Path) -> None:
    """Another's head."""
    from safetensors.torch import load_file

    model.head.weight.data = load_file(own / WEIGHTS)["head.weight"]


def save(model: StackModel, folder: str | Path) -> None:
    """All but the tokenizer and the card."""
    from safetensors.torch import save_file

    own = Path(folder)
    own.mkdir(parents=True, exist_ok=True)
    save_file({name: one.detach().contiguous().cpu() for name, one in model.own()}, own / WEIGHTS, {"format": "pt"})
    if hasattr(model.llm, "peft_config"):
        about = model.llm.peft_config["default"]
        known = model.config.llm
        about.base_model_name_or_path, about.revision = known["name"], known.get("revision")
        model.llm.save_pretrained(own / ADAPTER)
        (own / ADAPTER / "README.md").unlink(missing_ok=True)  # peft's, an empty form
    some = model.llm if model.llm is not None else model.encoder
    model.config.dtype = str(next(some.parameters()).dtype).removeprefix("torch.")
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(own)


def merge(folder: str, made: Path, **given: Any) -> None:
    """The same stack with its parents inside, the adapter merged into the LLM."""
    own = place(folder)
    model: Any = load(folder, **given)
    for part in model.config.parts():
        whole = getattr(model, part)
        if hasattr(whole, "merge_and_unload"):
            whole = whole.merge_and_unload()
        setattr(model, part, whole)
        source = parents.folder_of(part, model.config, own, given.get(part))
        _save_parent(whole, source, made / part)
        setattr(model.config, part, {"folder": part})
    save(model, made)
    for path in own.iterdir():
        if path.is_file() and path.name not in ("config.json", WEIGHTS):
            shutil.copy(path, made / path.name)


def _save_parent(whole: Any, source: str, place: Path) -> None:
    """In its own format. An encoder alone is none that transformers opens, but for T5's: the decoder stays."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    about: Any = AutoConfig.from_pretrained(source)
    tokenizer: Any = AutoTokenizer.from_pretrained(source)  # type: ignore[no-untyped-call]
    if about.is_encoder_decoder and about.model_type not in parents.T5S:
        whole = AutoModel.from_pretrained(source, dtype=whole.dtype)
    whole.save_pretrained(place)
    tokenizer.save_pretrained(place)
