"""The tiny NLLB: a many-to-many M2M100, trained on the made world's parallel text.

Two things are done to it on purpose, each a setting with a control. `aligned`: the real NLLB's encoder puts
sentences of one meaning close together in all of its languages; that comes with scale, and here it is taught, for
a made world knows which words stand for each other. The same knowledge shows cross-attention where to look in the
first steps, and mixes languages in the encoder's input. `masked`: the decoder is not trained to translate low-
resource languages into the source language; the encoder reads them (it learns from aligned text), and the decoder
has to guess. The claim of MT-LLM lives in that gap, and whoever has the aligned text could close it by training
the decoder too.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from xlnu.tiny.lines import Line, shared, switch
from xlnu.tiny.optimise import Optimiser, padded

PAD, END = 1, 2
REPEATED = {"high": 1, "mid": 2, "low": 3}  # how often an epoch shows the pairs of a language


@dataclass(frozen=True)
class MTShape:
    vocabulary: int = 3200
    width: int = 96
    encoder_layers: int = 2
    decoder_layers: int = 1
    heads: int = 4
    feed_forward: int = 256
    steps: int = 600
    batch: int = 32
    lr: float = 0.02
    muon: float = 0.02
    guide: float = 0.5  # weight of showing cross-attention where to look, until `begins`
    begins: float = 1.5  # the loss into the source language at which alignment begins; before, it is in the way
    align: float = 3.0  # weight of alignment: each piece's state to that of the source's word
    contrast: float = 0.3  # within it, weight of telling the word from others
    switched: float = 0.15  # share of the encoder's words that come in the other language


@dataclass(frozen=True)
class Pair:
    """A text in a made language and in the source language. `masked`: the decoder must not translate it."""

    foreign: Line
    source: Line
    masked: bool


def new_model(shape: MTShape, ids: dict[str, Any], seed: int) -> Any:
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration

    config = M2M100Config(  # type: ignore[no-untyped-call]
        d_model=shape.width,
        encoder_layers=shape.encoder_layers,
        decoder_layers=shape.decoder_layers,
        encoder_attention_heads=shape.heads,
        decoder_attention_heads=shape.heads,
        encoder_ffn_dim=shape.feed_forward,
        decoder_ffn_dim=shape.feed_forward,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        encoder_layerdrop=0.0,
        decoder_layerdrop=0.0,
        max_position_embeddings=256,
        init_std=0.1,  # the default of 0.02 is too small at this width
        attn_implementation="eager",  # training looks at the attention
        **ids,
    )
    torch.manual_seed(seed)
    return M2M100ForConditionalGeneration(config)


def train(
    model: Any,
    pairs: Sequence[Pair],
    codes: dict[str, int],
    shape: MTShape,
    aligned: bool,
    seed: int,
    device: str,
    tick: Callable[[int], None],
) -> None:
    """Each step translates its pairs both ways; a masked one is only copied where it would go into the source."""
    import torch
    from torch.nn import functional

    rng = random.Random(f"{seed} translation model")
    torch.manual_seed(seed)
    model.to(device).train()
    optimiser = Optimiser(model, shape.lr, shape.muon, shape.steps, warmup=min(30, shape.steps))
    order: list[int] = []
    into, aligning = 9.0, False
    for step in range(shape.steps):
        batch: list[Pair] = []
        while len(batch) < shape.batch:
            if not order:
                order = rng.sample(range(len(pairs)), len(pairs))
            batch.append(pairs[order.pop()])
        n = len(batch)
        sources = [pair.foreign for pair in batch] + [pair.source for pair in batch]
        others = sources[n:] + sources[:n]
        targets = [pair.foreign if pair.masked else pair.source for pair in batch] + sources[:n]
        if aligned:
            switching = [2 * shape.switched if rng.random() < 0.5 else 0.0 for _ in sources]
            sources = [switch(a, b, p, rng) for a, b, p in zip(sources, others, switching, strict=True)]
        ids = padded([[codes[line.code], *line.ids, END] for line in sources], PAD).to(device)
        labels = padded([[codes[line.code], *line.ids, END] for line in targets], PAD).to(device)
        mask = (ids != PAD).long()
        states = model.model.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        guided = aligned and not aligning
        decoded = model.model.decoder(
            input_ids=torch.cat([torch.full_like(labels[:, :1], END), labels[:, :-1]], 1),
            encoder_hidden_states=states,
            encoder_attention_mask=mask,
            use_cache=False,
            output_attentions=guided,
        )
        asked = labels != PAD
        asked[:, 0] = False  # the language code is given, never predicted
        losses = functional.cross_entropy(
            model.lm_head(decoded.last_hidden_state[asked]), labels[asked], reduction="none"
        )
        loss = losses.mean()
        if aligned:
            translated = torch.tensor([not pair.masked for pair in batch] + [False] * n, device=device)
            found = losses.detach()[translated[asked.nonzero()[:, 0]]]
            into = 0.9 * into + 0.1 * float(found.mean()) if len(found) else into
            if guided:
                loss = loss + shape.guide * _guide(decoded.cross_attentions, sources, targets)
            aligning = aligning or into < shape.begins
            if aligning:
                loss = loss + shape.align * _align(states, sources[:n], sources[n:], shape.contrast)
        optimiser.step(loss)
        tick(step + 1)
    model.to("cpu").eval()


def _guide(attentions: Any, sources: Sequence[Line], targets: Sequence[Line]) -> Any:
    """How much attention, over heads and layers, misses the word that is to be translated next.

    With it cross-attention forms in 50 steps; left to itself it takes 150 to 400, and in one seed of three never
    formed well.
    """
    import torch

    attention = torch.stack(attentions).mean((0, 2))
    places = [
        (row, 1 + i, 1 + j)  # the language code stands first on both sides
        for row, (source, target) in enumerate(zip(sources, targets, strict=True))
        for (a, b), (c, d) in shared(target, source)
        for i in range(a, b)
        for j in range(c, d)
    ]
    allowed = torch.zeros_like(attention)
    allowed[tuple(torch.tensor(places, device=attention.device).T)] = 1.0
    hit = (attention * allowed).sum(-1)[allowed.any(-1)]
    return -(hit + 1e-6).log().mean()


def _align(states: Any, foreign: Sequence[Line], source: Sequence[Line], contrast: float) -> Any:
    """How far the state of each foreign piece is from the state of the word it stands for, and from no other's.

    By pieces, not words: whoever reads the encoder's states reads pieces. The source side stands still (relative
    squared error), and words of one spelling are not told from each other (contrast).
    """
    import torch
    from torch.nn import functional

    n, width = len(foreign), states.shape[1]
    pieces: list[int] = []
    words: list[list[int]] = []
    kinds: list[int] = []
    spelled: dict[tuple[int, ...], int] = {}
    for row, (one, other) in enumerate(zip(foreign, source, strict=True)):
        for (a, b), (c, d) in shared(one, other):
            for i in range(a, b):
                pieces.append(row * width + 1 + i)
                words.append([(row + n) * width + 1 + j for j in range(c, d)])
                kinds.append(spelled.setdefault(tuple(other.ids[c:d]), len(spelled)))
    flat = states.reshape(-1, states.shape[-1])
    x = flat[torch.tensor(pieces, device=flat.device)]
    of = torch.tensor([i for i, word in enumerate(words) for _ in word], device=flat.device)
    at = torch.tensor([place for word in words for place in word], device=flat.device)
    e = torch.zeros_like(x).index_add(0, of, flat[at].detach()) / torch.bincount(of)[:, None]
    error = ((x - e) ** 2).mean() / e.var(0).mean()
    some = torch.randperm(len(kinds))[:256].to(flat.device)
    kind = torch.tensor(kinds, device=flat.device)[some]
    near = functional.normalize(x[some], dim=-1) @ functional.normalize(e[some], dim=-1).T / 0.1
    same = near.masked_fill(kind[:, None] != kind[None], float("-inf"))
    return error + contrast * (near.logsumexp(1) - same.logsumexp(1)).mean()
