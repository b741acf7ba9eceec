"""The steps `aligned`: how well a model brings sentences and their translations together, layer by layer, on
FLORES-200's parallel sentences.

A row each language and layer. An LLM, or an adapter of one, is given raw sentences; a stack reads them as it reads
any text, the source language's sentences too, and has two parts whose layers count apart: its encoder and its LLM.
Tokens of a sentence are averaged as MEXA has it where attention is causal, and alike where it goes both ways.
"""

import contextlib
import functools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import pyarrow as pa

from xlnu.cache import hash_file
from xlnu.config import section, setting
from xlnu.engines.attention import suited
from xlnu.engines.checkpoint import Checkpoint, find
from xlnu.errors import UserError, first_line
from xlnu.evaluate import flores
from xlnu.evaluate.said import Elsewhere
from xlnu.languages import Language
from xlnu.mtllm.parts import Parents
from xlnu.report.document import Plot, Resource, Series
from xlnu.rows import ROW, row_id
from xlnu.spread import Placed, PoolConfig, spread
from xlnu.steps import NOBODY_KNOWS, Files, Part, Step, Work

if TYPE_CHECKING:
    from torch import Tensor

    from xlnu.stack.inputs import Reader, Tokens

Kind = Literal["stack", "llm", "adapter"]
CONFIGS = ("*.json",)  # of a checkpoint: not its weights
SECTION = "Alignment by layer"
LINES = 8  # of a plot; more languages than that are averaged by how much text there is of them

ALIGNED = pa.schema(
    [
        *ROW,
        pa.field("language", pa.string(), nullable=False, metadata={"meaning": "label, a fallback visible in it"}),
        pa.field("part", pa.string(), nullable=False, metadata={"meaning": "encoder or llm"}),
        pa.field("layer", pa.int32(), nullable=False, metadata={"meaning": "of the part; 0: what its layers read"}),
        pa.field(
            "depth", pa.float64(), nullable=False, metadata={"meaning": "the layer's place in its part, 0 to 1"}
        ),
        pa.field("mexa", pa.float64(), metadata={"meaning": "null: rejected"}),
        pa.field(
            "retrieval", pa.float64(), metadata={"meaning": "from the language to the source; null: rejected"}
        ),
        pa.field(
            "fvu",
            pa.float64(),
            metadata={
                "meaning": "of a stack's pooled state against that which its LLM, adapter off, has of the source "
                "sentence; null: not the last layer, or there is no such LLM"
            },
        ),
        pa.field("n", pa.int32(), nullable=False, metadata={"meaning": "sentences"}),
    ]
)


@dataclass
class ProbeConfig:
    """How alignment is measured."""

    flores: str = setting("", "a folder with FLORES-200's dev/ and devtest/; empty: alignment is not measured")
    split: Literal["dev", "devtest"] = setting("dev", "of FLORES")
    sentences: int = setting(100, "the first n of the split", at_least=2)
    batch_tokens: int = setting(4096, "tokens computed at once, padding included", at_least=1)
    pool: PoolConfig = section(PoolConfig)

    @property
    def on(self) -> bool:
        return bool(self.flores)


def step(
    name: str,
    model: Step | Checkpoint,
    base: Checkpoint | None,
    kind: Kind,
    elsewhere: Parents | Elsewhere,
    config: ProbeConfig,
    source: Language,
    languages: Sequence[Language],
) -> Step:
    """`base`: what the model is an adapter of. `elsewhere`: of a stack's parents. `languages`: not the source."""
    assert (kind == "adapter") == (base is not None)
    folder = Path(config.flores).expanduser()
    own = (model,) if isinstance(model, Step) else ()
    about = {
        "files": {one.label: hash_file(path) for one, path in _files(config, source, languages).items()},
        "source": source.label,
        "languages": [one.label for one in languages],
        "sentences": config.sentences,
        "kind": kind,
        "model": None if isinstance(model, Step) else model.identity,
        "base": base.identity if base else None,
        "numbers": "the model's" if config.pool.gpus else "float32",
    }

    def run(work: Work) -> int:
        files = work.inputs[model.name].files() if isinstance(model, Step) else model
        moved = elsewhere.folders() if kind == "stack" else {}
        given = _Given(files, base, kind, moved, config.batch_tokens)
        pairs = {one: flores.pairs(folder, config.split, source, one)[: config.sentences] for one in languages}
        layers = [(part, layer, count) for part, count in _counts(given).items() for layer in range(count + 1)]
        stage = functools.partial(_Probe, given, source, pairs, layers)
        total = len(layers) * len(languages)
        spread({work.name: work}, {work.name: total}, len(layers), stage, config.pool)
        return total

    return Step(name, about, run, own, estimate=NOBODY_KNOWS)


def _files(config: ProbeConfig, source: Language, languages: Sequence[Language]) -> dict[Language, Path]:
    """What is read; UserError without the source language, or without any other."""
    folder = Path(config.flores).expanduser()
    there = {one: flores.place(folder, config.split, one) for one in (source, *languages)}
    if not there[source].is_file():
        raise UserError(f"probes.flores: {there[source]}: no such file, and it is the source language's")
    found = {one: path for one, path in there.items() if path.is_file()}
    if len(found) == 1:
        asked = ", ".join(one.label for one in languages[:5]) or "any other language"
        raise UserError(f"probes.flores: {there[source].parent}: there is no file for {asked}")
    return found


@dataclass(frozen=True)
class _Given:
    """A model as it is sent to where it runs."""

    files: Files | Checkpoint
    base: Checkpoint | None
    kind: Kind
    moved: Mapping[str, str]
    batch_tokens: int

    def open(self, gpus: int) -> "_Model":
        folder = str(self.files.local())
        if self.kind == "stack":
            return _Stack(folder, self.moved, gpus, self.batch_tokens)
        if self.base:
            return _Llm(self.base.local(), folder, gpus, self.batch_tokens)
        return _Llm(folder, None, gpus, self.batch_tokens)


def _counts(given: _Given) -> dict[str, int]:
    """How many layers each part has, before anything is opened."""
    if given.kind != "stack":
        return {"llm": _count(given.base or given.files)}
    from xlnu.stack.config import StackConfig

    own = Path(_folder(given.files))
    config, found = StackConfig.from_pretrained(own), dict[str, int]()
    for part in config.parts():
        about = getattr(config, part)
        inside = str(own / about["folder"]) if "folder" in about else None
        where = inside or given.moved.get(part) or about["name"]
        found[part] = _count(find(part, where, about.get("revision", "main")))
    return found


def _folder(model: Files | Checkpoint) -> str:
    return model.local(CONFIGS) if isinstance(model, Checkpoint) else str(model.local())


def _count(model: Files | Checkpoint) -> int:
    from transformers import AutoConfig

    about: Any = AutoConfig.from_pretrained(_folder(model))
    layers: int = about.get_text_config().num_hidden_layers
    return layers


class _Probe:
    """One language a call. What the model makes of the source language's sentences is computed once."""

    def __init__(
        self,
        given: _Given,
        source: Language,
        pairs: Mapping[Language, Sequence[tuple[str, str]]],
        layers: Sequence[tuple[str, int, int]],
        placed: Placed,
    ) -> None:
        import torch

        torch.set_num_threads(placed.cpus)
        self.layers, self.pairs, self.languages = layers, pairs, list(pairs)
        self.model = given.open(placed.gpus)
        texts = [text for text, _ in next(filter(None, pairs.values()))]
        self.source = _distinct(self.model, texts, source)
        self.taught = self.model.taught(texts, source)

    def __call__(self, _step: str, part: Part) -> tuple[pa.Table, int]:
        from xlnu.evaluate import alignment

        language = self.languages[part.start // len(self.layers)]
        texts = [text for _, text in self.pairs[language]]
        why = "FLORES does not have the language" if not texts else self.model.lacks(language)
        read = _Read() if why else _distinct(self.model, texts, language)
        assert why or all(len(read.layers[name]) == count + 1 for name, _, count in self.layers)
        made = list[dict[str, Any]]()
        for name, layer, count in self.layers:
            row = {"language": language.label, "part": name, "layer": layer, "depth": layer / count}
            row |= {"id": row_id(language.label, name, layer), "reject": why, "n": len(texts)}
            if not why:
                both = self.source.layers[name][layer], read.layers[name][layer]
                row |= {"mexa": alignment.mexa(*both), "retrieval": alignment.retrieval(*both)}
            made.append(row)
        if read.pooled is not None and self.taught is not None:
            made[-1]["fvu"] = alignment.fvu(read.pooled, self.taught)
        return pa.Table.from_pylist(made, schema=ALIGNED), read.tokens


# ------------------------------------------------------------------------------------- the models at work


@dataclass
class _Read:
    """What a model made of sentences: by part [layers, sentences, width]; and what it makes of each in the end."""

    layers: dict[str, "Tensor"] = field(default_factory=dict)
    pooled: "Tensor | None" = None
    tokens: int = 0


class _Model(Protocol):
    def read(self, texts: Sequence[str], language: Language) -> _Read: ...

    def taught(self, texts: Sequence[str], source: Language) -> "Tensor | None":
        """What a stack's LLM, untouched, makes of sentences; None where there is no such."""

    def lacks(self, language: Language) -> str | None:
        """Why it cannot read a language."""


def _distinct(model: _Model, texts: Sequence[str], language: Language) -> _Read:
    """Each text once: of two that are the same, the states are the same to the last bit, and so they tie."""
    places = {text: at for at, text in enumerate(dict.fromkeys(texts))}
    read, order = model.read(list(places), language), [places[text] for text in texts]
    layers = {part: states[:, order] for part, states in read.layers.items()}
    return _Read(layers, None if read.pooled is None else read.pooled[order], read.tokens)


class _Llm:
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

    def read(self, texts: Sequence[str], _language: Language) -> _Read:
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
        return _Read({"llm": _in_order(found)}, None, sum(len(one.ids) for one in rows))

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


class _Stack:
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

    def read(self, texts: Sequence[str], language: Language) -> _Read:
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
        return _Read(layers, whole, sum(len(one.ids) for one in [*rows, *behind]))

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


# ------------------------------------------------------------------------------------------- the report's curves


def plots(rows: Sequence[Mapping[str, Any]], title: str, levels: Mapping[str, Resource]) -> list[Plot]:
    """Of one model. `levels`: how much text there is of a language, by label, in the order in which to show them.

    A stack's encoder stands to the left of 0, its LLM to the right.
    """
    kept = [row for row in rows if row["reject"] is None]
    there = {row["language"] for row in kept}
    labels = [one for one in levels if one in there]
    lines = {one: [one] for one in labels}
    if len(labels) > LINES:
        lines = {level: [one for one in labels if levels[one] == level] for level in get_args(Resource)}
    both = {row["part"] for row in kept} >= {"encoder", "llm"}
    x = "depth: encoder -1 to 0, LLM 0 to 1" if both else "depth"
    found = []
    for metric, y in {"mexa": "MEXA", "retrieval": "retrieval@1"}.items():
        series = [Series(name, _curve(kept, some, metric, both)) for name, some in lines.items() if some]
        found.append(Plot(SECTION, f"{title}: {y}", x, y, series))
    return [*found, *_by_rank(kept, title, lines)]


def _curve(
    rows: Sequence[Mapping[str, Any]], labels: Sequence[str], metric: str, both: bool
) -> list[list[float | None]]:
    """The mean over languages, layer by layer."""
    by: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["language"] in labels:
            by.setdefault((row["part"], row["layer"]), []).append(row)
    made = list[list[float | None]]()
    for (part, _), some in sorted(by.items()):
        left = 1.0 if both and part == "encoder" else 0.0
        made.append([some[0]["depth"] - left, sum(row[metric] for row in some) / len(some), None, None])
    return made


def _by_rank(rows: Sequence[Mapping[str, Any]], title: str, lines: Mapping[str, Sequence[str]]) -> list[Plot]:
    """FVU has one value a language, so that what is left to show is how the languages stand to one another."""
    values = {row["language"]: row["fvu"] for row in rows if row["fvu"] is not None}
    if not values:
        return []
    rank = {label: float(at) for at, label in enumerate(sorted(values, key=values.__getitem__), 1)}
    series = [
        Series(name, [[rank[one], values[one], None, None] for one in sorted(some, key=rank.__getitem__)])
        for name, some in lines.items()
        if some
    ]
    return [Plot(SECTION, f"{title}: FVU by language", "languages, the best first", "FVU", series)]
