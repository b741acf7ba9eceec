"""Tags of one sentence's words onto the words of its translation, as TransAlign does it.

Two words stand for each other if the states that an MT encoder has for their pieces pick each other out. Tags
(IOB2: B-PER, I-PER, O) go from the sentence that has them to the one that has not: from a text to its translation,
to train on that, or to a text from the translation that was tagged in its stead.

The published threshold hangs on the scale of the states, for it is one of softmax over raw products: 1e-3 lets
pass whatever is less than ln 1000 = 6.9 behind the best. The tiny world's states, 96 wide, have a norm of 4.3, so
that an unlike word often passes, and what a span is aligned with becomes wide. F1 of names, from the source into
each language, at 1e-3, at 0.1, and at 1e-3 with products 1024/96 times as large, as like values in NLLB's width
would have them (size s, seed 0; NLLB itself was not at hand):

    qaa  .98 1.00 1.00    qac  .89 1.00 1.00    qae  .91 .95 .94    qag  .75 .93 .93
    qab  .94 1.00 1.00    qad  .97 1.00 1.00    qaf  .84 .97 .97

So 1e-3 does for wide states, and for narrow ones a threshold of 0.1 does the same. With the mean states of whole
words instead of pieces the low languages have .95, .96 and .93 at 0.1, and at 1e-3 less: .91, .79 and .69.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xlnu.evaluate.spans import spans

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

THRESHOLD = 1e-3
BATCH = 64


@dataclass(frozen=True)
class Pieces:
    """What an encoder makes of one sentence that was given as `length` words."""

    states: Tensor  # pieces x width
    words: Tensor  # which word each piece is of
    length: int

    def mean(self) -> Tensor:
        """One state a word: the mean of its pieces'. Zeros for a word of which the tokenizer leaves nothing."""
        total = self.states.new_zeros(self.length, self.states.shape[-1]).index_add(0, self.words, self.states)
        return total / self.words.bincount(minlength=self.length).clamp(min=1)[:, None]


def word_states(
    encoder: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    code_id: int,
    sentences: Sequence[Sequence[str]],
    layer: int = -1,
) -> list[Tensor]:
    """For each sentence, given as words, one state a word (words x width)."""
    return [pieces.mean() for pieces in piece_states(encoder, tokenizer, code_id, sentences, layer)]


def piece_states(
    encoder: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    code_id: int,
    sentences: Sequence[Sequence[str]],
    layer: int = -1,
) -> list[Pieces]:
    """For each sentence, given as words, the states of its pieces.

    The encoder reads a sentence as NLLB's does: the id of its language, pieces, </s>. Neither end is any word's.
    """
    found: list[Pieces] = []
    for start in range(0, len(sentences), BATCH):
        found += _read(encoder, tokenizer, code_id, sentences[start : start + BATCH], layer)
    return found


@torch.no_grad()
def _read(
    encoder: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    code_id: int,
    sentences: Sequence[Sequence[str]],
    layer: int,
) -> Iterator[Pieces]:
    cut = tokenizer([list(words) for words in sentences], is_split_into_words=True, add_special_tokens=False)
    lines = [torch.tensor([code_id, *ids, tokenizer.eos_token_id]) for ids in cut["input_ids"]]
    ids = torch.nn.utils.rnn.pad_sequence(lines, batch_first=True, padding_value=tokenizer.pad_token_id)
    mask = torch.arange(ids.shape[1]) < torch.tensor([len(line) for line in lines])[:, None]
    read = encoder(
        input_ids=ids.to(encoder.device), attention_mask=mask.long().to(encoder.device), output_hidden_states=True
    )
    states = read.hidden_states[layer].float()
    for row, words in enumerate(sentences):
        owners = torch.tensor(cut.word_ids(row), dtype=torch.long, device=states.device)
        yield Pieces(states[row, 1 : 1 + len(owners)], owners, len(words))


def align(source: Tensor, target: Tensor, threshold: float = THRESHOLD) -> Tensor:
    """Which of the source's states and of the target's stand for each other (bool, source x target).

    Those that are likely enough as each other's: softmax of the dot products, over rows and over columns.
    """
    scores = source @ target.T
    return (scores.softmax(0) > threshold) & (scores.softmax(1) > threshold)


def align_words(source: Pieces, target: Pieces, threshold: float = THRESHOLD) -> Tensor:
    """Which words do (bool, source words x target words): those of which any pieces do."""
    one, other = align(source.states, target.states, threshold).nonzero().T
    words = torch.zeros(source.length, target.length, dtype=torch.bool, device=source.states.device)
    words[source.words[one], target.words[other]] = True
    return words


def project(tags: Sequence[str], alignment: Tensor) -> tuple[list[str], int]:
    """The target words' tags, and how many of the source's spans were dropped.

    A span goes to all words from the first to the last that its words are aligned with. With none it is dropped.
    Where two meet, the narrower is right, for stray alignments make a span wide: the narrowest is put down first,
    then each from the first to the last of its aligned words that are still free. If none is, or another span
    stands between them, it is dropped. Of two equally narrow the source's first goes first.
    """
    found = []
    for kind, start, stop in spans(tags):
        aligned = alignment[start:stop].any(0).nonzero().flatten().tolist()
        found.append((aligned[-1] - aligned[0] if aligned else 0, start, aligned, kind))
    projected, dropped = ["O"] * alignment.shape[1], 0
    for _, _, aligned, kind in sorted(found):
        free = [at for at in aligned if projected[at] == "O"]
        if not free or any(tag != "O" for tag in projected[free[0] : free[-1] + 1]):
            dropped += 1
            continue
        inside = [f"I-{kind}"] * (free[-1] - free[0])
        projected[free[0] : free[-1] + 1] = [f"B-{kind}", *inside]
    return projected, dropped
