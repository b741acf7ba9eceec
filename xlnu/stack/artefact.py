"""The directory that a stack is: what was trained, and who its parents are.

    config.json          what it is made of; the parents by id, revision and content
    model.safetensors    the fusion and the head
    adapter/             the LLM's LoRA, as peft has it
    tokenizer.json ...   the encoder's tokenizer (or the LLM's, where it reads alone)
    modules.json ...     that SentenceTransformer opens it too: sentences.py
    README.md            the card

`merge` makes one that needs nobody else: encoder/ and llm/, with the adapter in it, lie inside.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xlnu.engines import checkpoint
from xlnu.errors import UserError, first_line
from xlnu.languages import all_languages
from xlnu.stack import parents
from xlnu.stack.config import MODEL_TYPE, PARENTS, StackConfig
from xlnu.stack.model import StackModel

ADAPTER, CONFIG, WEIGHTS = "adapter", "config.json", "model.safetensors"
ADAPTER_WEIGHTS = "adapter_model.safetensors"  # as peft names it
SENTENCES = "xlnu.stack.sentences.Sentences"
# What transformers' Auto classes pass on to any model.
_THEIRS = {"config", "_from_auto", "adapter_kwargs", "code_revision", "trust_remote_code", "_commit_hash", "token"}


def build(
    config: StackConfig,
    folders: dict[str, str],
    dtype: torch.dtype | str,
    attention: str | None = None,
    adapter: str | None = None,
) -> StackModel:
    """Of parents that lie in `folders`; its fusion and its head are new. `adapter`: the LLM's, for use alone."""
    encoder = parents.encoder(folders["encoder"], dtype, attention) if "encoder" in config.parts() else None
    llm: Any = parents.llm(folders["llm"], dtype, attention) if "llm" in config.parts() else None
    begin = None
    if llm is not None and config.code == "begin":
        begin = _begin(folders["llm"])
    if adapter:
        llm = _adapted(llm, Path(adapter))
    return StackModel(config, encoder, llm, begin)


def _adapted(llm: Any, adapter: Path) -> Any:
    """With all of an adapter: of weights that are missing peft would only warn."""
    import peft

    given = _read(adapter / ADAPTER_WEIGHTS)
    try:
        made: Any = peft.PeftModel.from_pretrained(llm, adapter)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{adapter}: is no adapter of this LLM: {' '.join(str(error).split())[:300]}") from None
    wanted = peft.get_peft_model_state_dict(made, save_embedding_layers=False)
    _same(adapter / ADAPTER_WEIGHTS, given, wanted)
    return made


def _read(file: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file}: cannot be read: {first_line(error)}; copy the directory anew") from None


def _same(file: Path, given: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    """UserError unless a file holds what is wanted, in its shapes."""
    odd = sorted(given.keys() ^ wanted.keys())
    if odd:
        what = "lacks" if odd[0] in wanted else "holds what is no part of it:"
        raise UserError(f"{file}: does not fit {CONFIG}: it {what} {odd[0]}")
    for name, one in wanted.items():
        if given[name].shape != one.shape:
            shapes = f"{list(given[name].shape)}, and should be {list(one.shape)}"
            raise UserError(f"{file}: does not fit {CONFIG}: {name} is {shapes}")


def _begin(folder: str) -> int:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)  # type: ignore[no-untyped-call]
    if tokenizer.bos_token_id is None:
        raise UserError(f"stack.code: begin: the LLM in {folder} has no token for a beginning; take keep or drop")
    found: int = tokenizer.bos_token_id
    return found


def load(folder: str, **given: Any) -> StackModel:
    """`encoder`, `llm`: where the parents lie now; `dtype`, `attn_implementation`, `revision`."""
    allowed = {*PARENTS, "dtype", "torch_dtype", "attn_implementation", "revision", *_THEIRS}
    unknown = sorted(set(given) - allowed)
    if unknown:
        raise UserError(f"from_pretrained: {', '.join(unknown)}: a stack has no such setting")
    own = place(folder, given.get("revision"), given.get("token"))
    config = _config(own)
    moved = {part: given.get(part) for part in PARENTS}
    told = given.get("config")
    if told is not None:  # AutoModel's: what has the name of a setting, as a part has, was put there
        for part in PARENTS:
            moved[part] = one if isinstance(one := getattr(told, part), (str, Path)) else moved[part]
            setattr(told, part, getattr(config, part))
        config = told
    folders = {part: parents.folder_of(part, config, own, moved[part]) for part in config.parts()}
    dtype = _numbers(given.get("dtype") or given.get("torch_dtype"), config)
    if config.adapter and not (own / ADAPTER).is_dir():
        raise UserError(f"{own}: lacks the folder {ADAPTER}, and {CONFIG} says that the LLM has one; copy it anew")
    adapter = str(own / ADAPTER) if config.adapter else None
    attention = given.get("attn_implementation") or config._attn_implementation
    model = build(config, folders, dtype, attention, adapter)
    put(model, own)
    model.to(dtype)  # type: ignore[arg-type]
    model.eval()  # type: ignore[no-untyped-call]
    return model


def _config(own: Path) -> StackConfig:
    try:
        kind = json.loads((own / CONFIG).read_bytes()).get("model_type")
    except (OSError, ValueError) as error:
        raise UserError(f"{own}: is no stack: its {CONFIG} cannot be read: {first_line(error)}") from None
    if kind != MODEL_TYPE:
        raise UserError(f"{own}: is no stack, but a model of type {kind}")
    return StackConfig.from_pretrained(own)


def parts(folder: str) -> dict[str, str]:
    """Which models a stack is made of, by name."""
    config = _config(place(folder))
    of = {part: getattr(config, part) for part in config.parts()}
    return {
        part: f"{about.get('folder') or about['name']} {about.get('revision', '')}".strip()
        for part, about in of.items()
    }


def complete(folder: str) -> None:
    """UserError where a model that a stack is made of is not to be found, or its own weights are not whole."""
    own = place(folder)
    checkpoint.parameters(own)
    config = _config(own)
    for part in config.parts():
        parents.folder_of(part, config, own, None)


def _numbers(asked: Any, config: StackConfig) -> torch.dtype:
    """Of all weights: those asked for, or those it was saved in."""
    some = config.dtype if asked in (None, "auto") else asked
    found: torch.dtype = getattr(torch, str(some or "float32").removeprefix("torch."))
    return found


def place(folder: str, revision: str | None = None, token: Any = None) -> Path:
    """A folder here, or the hub's copy of one."""
    if Path(folder).expanduser().is_dir():
        return Path(folder).expanduser()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(snapshot_download(folder, revision=revision, token=token))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise UserError(f"{folder}: no folder here, and the hub does not give it: {first_line(error)}") from None


def put(model: StackModel, own: Path, but: tuple[str, ...] = ()) -> None:
    """The saved weights into a model; `but`: beginnings of names that are new."""
    wanted = {name: one for name, one in model.own() if not name.startswith(but or ("-",))}
    saved = _read(own / WEIGHTS)
    _same(own / WEIGHTS, saved, dict(wanted))
    for name, one in wanted.items():
        one.data = saved[name]


def put_head(model: StackModel, own: Path) -> None:
    """Another's head."""
    model.head.weight.data = _read(own / WEIGHTS)["head.weight"]


def save(model: StackModel, folder: str | Path) -> None:
    """All but the tokenizer and the card."""
    from safetensors.torch import save_file

    own = Path(folder)
    own.mkdir(parents=True, exist_ok=True)
    save_file({name: one.detach().contiguous().cpu() for name, one in model.own()}, own / WEIGHTS, {"format": "pt"})
    model.config.adapter = hasattr(model.llm, "peft_config")
    if model.config.adapter:
        about = model.llm.peft_config["default"]
        known = model.config.llm
        about.base_model_name_or_path, about.revision = known["name"], known.get("revision")
        model.llm.save_pretrained(own / ADAPTER, save_embedding_layers=False)  # "auto" would ask the hub
        (own / ADAPTER / "README.md").unlink(missing_ok=True)  # peft's, an empty form
    some = model.llm if model.llm is not None else model.encoder
    model.config.dtype = str(next(some.parameters()).dtype).removeprefix("torch.")
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(own)
    _for_sentences(own)


def _for_sentences(own: Path) -> None:
    """What SentenceTransformer looks for. A prompt is to a stack the language of a text, so each is named so."""
    modules = [{"idx": 0, "name": "0", "path": "", "type": SENTENCES}]
    about = {
        "model_type": "SentenceTransformer",
        "prompts": {one.code: one.code for one in all_languages() if one.nllb},
        "similarity_fn_name": "cosine",
    }
    for name, said in {"modules.json": modules, "config_sentence_transformers.json": about}.items():
        (own / name).write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def merge(folder: str, made: Path, **given: Any) -> None:
    """The same stack with its parents inside, the adapter merged into the LLM."""
    own = place(folder)
    model: Any = load(folder, **given)
    for part in model.config.parts():
        if hasattr(getattr(model, part), "merge_and_unload"):
            setattr(model, part, getattr(model, part).merge_and_unload())
        source = parents.folder_of(part, model.config, own, given.get(part))
        _save_parent(part, getattr(model, part), source, made / part)
        setattr(model.config, part, {"folder": part})
    save(model, made)
    for path in own.iterdir():
        if path.is_file() and path.name not in ("config.json", WEIGHTS):
            shutil.copy(path, made / path.name)


def _save_parent(part: str, used: Any, source: str, place: Path) -> None:
    """The whole model that a part is of: no decoder's head and no encoder's decoder is lost, and transformers opens
    it as what it was. But for T5's, whose encoders alone are models of their own.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer

    whole: Any = used
    if part == "llm" and not parents.is_encoder(used.config):
        whole = AutoModelForCausalLM.from_pretrained(source, dtype=used.dtype)
        whole.get_decoder().load_state_dict(used.state_dict())
    elif part == "encoder" and AutoConfig.from_pretrained(source).model_type not in parents.T5S:
        whole = AutoModel.from_pretrained(source, dtype=used.dtype)
    whole.save_pretrained(place)
    tokenizer: Any = AutoTokenizer.from_pretrained(source)  # type: ignore[no-untyped-call]
    tokenizer.save_pretrained(place)
