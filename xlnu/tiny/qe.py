"""The tiny COMETKiwi: comet's UnifiedMetric, which judges a translation by its source, in the files comet opens.

Laid out as Unbabel/wmt22-cometkiwi-da: `hparams.yaml`, `checkpoints/model.ckpt`, and in `encoder/` what the real
one takes from microsoft/infoxlm-large, the configuration and the tokenizer. The checkpoint names that folder by its
absolute path, so the metric opens only where it was trained.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from xlnu.tiny.optimise import Optimiser

if TYPE_CHECKING:
    import torch
    from transformers import NllbTokenizerFast, XLMRobertaTokenizerFast

LANGUAGE = 0.6  # how far a language stands apart, where 1 is how far its words do


@dataclass(frozen=True)
class Judged:
    source: str
    translation: str
    score: float  # 0 to 1


@dataclass(frozen=True)
class QEShape:
    hidden: int = 96
    layers: int = 2
    heads: int = 4
    feed_forward: int = 192
    examples: int = 12_000  # from 4,000 to 12,000: AUC .77 to .84 at 900 steps
    steps: int = 600
    batch: int = 64
    lr: float = 3e-3
    muon: float = 0.01
    init: float = 0.15  # standard deviation of the weights at first; .05 and .2 learn far more slowly


def qe_tokenizer(translation: "NllbTokenizerFast") -> "XLMRobertaTokenizerFast":
    """XLM-R's, with the pieces of the translation model under the same ids (its language codes too, unused)."""
    from tokenizers import Tokenizer, processors
    from transformers import XLMRobertaTokenizerFast

    backend = Tokenizer.from_str(translation.backend_tokenizer.to_str())
    backend.no_padding()  # what the last call of the translation tokenizer asked for
    backend.no_truncation()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(token, backend.token_to_id(token)) for token in ("<s>", "</s>")],
    )
    return XLMRobertaTokenizerFast(tokenizer_object=backend)  # type: ignore[no-untyped-call]


def first_embeddings(
    states: Iterable[tuple[str, "torch.Tensor", "torch.Tensor"]], tokens: int, hidden: int, seed: int
) -> "torch.Tensor":
    """Of an aligned encoder's states, one row a token; zeros for a token that is not among them.

    Each of `states` has a language, n token ids, and the n x hidden states of the encoder there, on the CPU. Words
    of one meaning come out close, which a model this small cannot find out by itself in seconds. What all states
    have in common is taken out, for it would make all words alike. Every language gets a direction of its own:
    without it a word's counterpart looks like the word itself, and that there is one takes long to learn to see.
    """
    import torch

    made = torch.Generator().manual_seed(seed)
    directions: dict[str, torch.Tensor] = {}
    total, language, count = torch.zeros(tokens, hidden), torch.zeros(tokens, hidden), torch.zeros(tokens, 1)
    for code, ids, found in states:
        if code not in directions:
            directions[code] = torch.randn(hidden, generator=made)
        total.index_add_(0, ids, found)
        language.index_add_(0, ids, directions[code].expand(len(ids), hidden))
        count.index_add_(0, ids, torch.ones(len(ids), 1))
    seen = count[:, 0] > 0
    means = total[seen] / count[seen]
    means -= means.mean(0)
    rows = torch.zeros(tokens, hidden)
    rows[seen] = means / means.std() + LANGUAGE * language[seen] / count[seen]
    return rows


def train(
    folder: Path,
    tokenizer: "XLMRobertaTokenizerFast",
    examples: Sequence[Judged],
    shape: QEShape,
    seed: int,
    device: str,
    embeddings: "torch.Tensor | None",
    tick: Callable[[int], None],
) -> None:
    """Trains a metric in `folder`; `tick` is told after every step how many are done.

    `embeddings` are what the tokens start with (see `first_embeddings`); rows of zeros start at random.
    """
    import torch
    from comet.models import UnifiedMetric
    from torch.nn import functional

    torch.manual_seed(seed)
    encoder = folder.absolute() / "encoder"
    _save_encoder(encoder, tokenizer, shape)
    hparams = _hparams(encoder, shape)
    metric = UnifiedMetric(**hparams, load_pretrained_weights=False)
    _begin(metric.encoder.model, embeddings)
    metric.to(device).train()

    asked = [{"src": each.source, "mt": each.translation, "score": each.score} for each in examples]
    (inputs,), target = metric.prepare_sample(asked)
    ids, mask = inputs["input_ids"].to(device), inputs["attention_mask"].to(device)
    gold, lengths = target.score.to(device), inputs["attention_mask"].sum(1)
    optimiser = Optimiser(metric, shape.lr, shape.muon, shape.steps, warmup=max(1, shape.steps // 10))
    for step, rows in zip(range(shape.steps), _batches(lengths, shape.batch), strict=False):
        longest = int(lengths[rows].max())
        predicted = metric(ids[rows, :longest], mask[rows, :longest]).score
        optimiser.step(functional.mse_loss(predicted, gold[rows]))
        tick(step + 1)
    _save(folder, metric, hparams)


def scores(folder: Path, pairs: Sequence[tuple[str, str]], batch: int = 64) -> list[float]:
    """Of sources and their translations: what the metric's own `predict` says, without Lightning's trainer."""
    import torch
    from comet import load_from_checkpoint

    metric = load_from_checkpoint(str(folder / "checkpoints" / "model.ckpt"), local_files_only=True)
    metric.eval()
    found = [0.0] * len(pairs)
    order = sorted(range(len(pairs)), key=lambda place: sum(map(len, pairs[place])))
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            places = order[start : start + batch]
            asked = [{"src": pairs[place][0], "mt": pairs[place][1]} for place in places]
            (inputs,) = metric.prepare_sample(asked, stage="predict")
            predicted = metric(inputs["input_ids"], inputs["attention_mask"]).score
            for place, score in zip(places, predicted.tolist(), strict=True):
                found[place] = score
    return found


def _save_encoder(encoder: Path, tokenizer: "XLMRobertaTokenizerFast", shape: QEShape) -> None:
    from transformers import XLMRobertaConfig

    tokenizer.save_pretrained(encoder)
    XLMRobertaConfig(  # type: ignore[no-untyped-call]
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.feed_forward,
        max_position_embeddings=514,  # 512 tokens: XLM-R counts from 2
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        initializer_range=shape.init,
        hidden_dropout_prob=0.0,  # seconds of training are too few for any
        attention_probs_dropout_prob=0.0,
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    ).save_pretrained(encoder)


def _hparams(encoder: Path, shape: QEShape) -> dict[str, Any]:
    """Those of wmt22-cometkiwi-da; other than there are the sizes, what is frozen, the rates and the dropout."""
    return {
        "activations": "Tanh",
        "batch_size": shape.batch,
        "dropout": 0.0,
        "encoder_learning_rate": shape.lr,
        "encoder_model": "XLM-RoBERTa",
        "final_activation": None,
        "hidden_sizes": [3 * shape.hidden, shape.hidden],
        "input_segments": ["mt", "src"],
        "keep_embeddings_frozen": False,
        "layer_norm": False,
        "layer_transformation": "sparsemax_patch",  # comet's name for a softmax that was published as sparsemax
        "layerwise_decay": 1.0,
        "learning_rate": shape.lr,
        "loss": "mse",
        "loss_lambda": 0.65,
        "nr_frozen_epochs": 0,
        "optimizer": "AdamW",
        "pretrained_model": str(encoder),
        "sent_layer": "mix",
        "train_data": [],
        "validation_data": [],
        "word_layer": shape.layers,
        "word_level_training": False,
    }


def _begin(encoder: Any, embeddings: "torch.Tensor | None") -> None:
    """Lets the first layer look for like tokens from the start, by asking for just what it offers.

    With that a translation's words find those of the source; without, it learns for long where to look.
    """
    import torch

    with torch.no_grad():
        attention = encoder.encoder.layer[0].attention.self
        attention.key.weight.copy_(attention.query.weight)
        if embeddings is not None:
            given = embeddings.any(1)
            encoder.embeddings.word_embeddings.weight[given] = embeddings[given]


def _batches(lengths: "torch.Tensor", batch: int) -> Iterator["torch.Tensor"]:
    """Without end. What is about as long goes together, so that little of a batch is padding."""
    import torch

    while True:
        for pool in torch.split(torch.randperm(len(lengths)), 8 * batch):
            batches = torch.split(pool[lengths[pool].argsort(stable=True)], batch)
            for place in torch.randperm(len(batches)).tolist():
                yield batches[place]


def _save(folder: Path, metric: Any, hparams: dict[str, Any]) -> None:
    """Tensors and plain values only: comet's loader lets torch refuse anything else."""
    import torch

    checkpoint = {
        "pytorch-lightning_version": version("pytorch-lightning"),
        "state_dict": {name: tensor.cpu() for name, tensor in metric.state_dict().items()},
        "hyper_parameters": hparams,
    }
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, folder / "checkpoints" / "model.ckpt")
    metric.encoder.model.save_pretrained(folder / "encoder")  # of XLM-R's kind: a baseline of MT-LLM reads by it
    text = yaml.safe_dump({"class_identifier": "unified_metric", **hparams})
    (folder / "hparams.yaml").write_text(text, encoding="utf-8")
