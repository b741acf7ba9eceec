"""The two tokenizers of the tiny world, laid out as those of NLLB and of Llama, in the files transformers opens.

Both are stricter than the real ones about where they cut, for a small model cannot learn that one word has several
spellings: a word starts with ▁ wherever it stands, and punctuation is always a piece of its own.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import NllbTokenizerFast, PreTrainedTokenizerBase, PreTrainedTokenizerFast

USER, ASSISTANT = "<|user|>", "<|assistant|>"

# A system message goes before the first question, for there is no token for it. What stands between the generation
# tags is what the model says, and what a trainer takes its loss from.
CHAT_TEMPLATE = r"""
{{- bos_token -}}
{%- set told = messages[0]['role'] == 'system' -%}
{%- for message in (messages[1:] if told else messages) -%}
{%- if message['role'] != ('assistant' if loop.index0 % 2 else 'user') -%}
{{- raise_exception('After an optional system message, user and assistant take turns, the user first.') -}}
{%- endif -%}
{%- if message['role'] == 'user' -%}
{%- set before = messages[0]['content'] + '\n' if told and loop.first else '' -%}
{{- '<|user|>' + (before + message['content']) | trim -}}
{%- else -%}
{{- '<|assistant|>' -}}
{%- generation -%}{{- message['content'] | trim + eos_token -}}{%- endgeneration -%}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}
""".strip()


def translation_tokenizer(texts: Iterable[str], codes: Sequence[str], size: int) -> "NllbTokenizerFast":
    """NLLB's layout: <s> <pad> </s> <unk>, pieces, the languages' codes, <mask>; `size` tokens in all.

    Fewer where the texts have no more pairs to join. The first code is the source language until another is set.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import NllbTokenizerFast

    backend = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    backend.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(prepend_scheme="always"), pre_tokenizers.Punctuation("isolated")]
    )
    backend.decoder = decoders.Metaspace(prepend_scheme="always")
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(codes) - 1,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    _check_size(backend.get_vocab_size() + len(codes) + 1, size)
    backend.add_special_tokens([AddedToken(code, normalized=False, special=True) for code in codes])
    backend.add_special_tokens([AddedToken("<mask>", normalized=True, lstrip=True, special=True)])
    return NllbTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        src_lang=codes[0],
        additional_special_tokens=list(codes),  # left out, the 202 codes of FLORES would be added
    )


def save_translation_tokenizer(tokenizer: "NllbTokenizerFast", folder: Path, source_code: str) -> None:
    """Saves it as one that reads `source_code`: left alone, it opens in the language that it read last."""
    tokenizer.src_lang = source_code
    tokenizer.tgt_lang = None
    tokenizer.save_pretrained(folder)


def llm_tokenizer(texts: Iterable[str], size: int) -> "PreTrainedTokenizerFast":
    """Llama's layout: <unk> <s> </s>, the 256 bytes, pieces; then <pad> and the chat's two. `size` tokens in all.

    Every letter of the texts is a token, so that a language of which the texts hold only the alphabet is written in
    letters. What the texts lack altogether is written in bytes: <unk> is never used.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from tokenizers.trainers import BpeTrainer
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(r"(?<=\A|\n)(?=[^\n])"), "▁"),  # each line, and what follows a special token
            normalizers.Replace(" ", "▁"),
        ]
    )
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split("\n", "isolated"),
            pre_tokenizers.Split("▁", "merged_with_next"),
            pre_tokenizers.Punctuation("isolated"),
        ]
    )
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            # the ▁ that the normalizer put there
            decoders.Replace(Regex(r"(?<=\A|\n|<s>|</s>|<\|user\|>|<\|assistant\|>) "), ""),
        ]
    )
    first = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    last = ["<pad>", USER, ASSISTANT]
    trainer = BpeTrainer(
        vocab_size=size - len(first) - len(last), initial_alphabet=["\n", "▁"], show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    # Not given to the trainer, which takes bytes as special tokens only: decoding would drop them, and a text's
    # "<0x41>" would be an A.
    trained = json.loads(backend.to_str())["model"]
    pieces = [*first, *sorted(trained["vocab"], key=trained["vocab"].__getitem__)]
    _check_size(len(pieces) + len(last), size)
    backend.model = models.BPE(
        {piece: place for place, piece in enumerate(pieces)},
        [tuple(pair) for pair in trained["merges"]],
        unk_token="<unk>",
        fuse_unk=True,
        byte_fallback=True,
    )
    specials = ["<unk>", "<s>", "</s>", *last]
    backend.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in specials])
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", pieces.index("<s>"))]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",  # not </s>: a trainer that hides padding from the loss must not hide the end
        additional_special_tokens=[USER, ASSISTANT],
        padding_side="left",  # an answer follows its prompt with nothing between
        model_input_names=["input_ids", "attention_mask"],  # Llama refuses token_type_ids
        chat_template=CHAT_TEMPLATE,
    )


def token_ids(tokenizer: "PreTrainedTokenizerBase") -> dict[str, int]:
    """What the configuration of a model has to take from its tokenizer."""
    return {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }


def _check_size(tokens: int, size: int) -> None:
    """The trainer keeps every letter, and goes past the size it was given for that."""
    if tokens > size:
        raise ValueError(f"a vocabulary of {size:,} tokens is too small: the letters alone make it {tokens:,}")
