"""Which of transformers' attentions a decoder is opened with."""

from typing import Any


def suited(folder: str, attention: str | None = None) -> str | None:
    """The one that is asked for, or transformers' own choice; but eager for sdpa in a model that caps its attention
    (Gemma 2): sdpa leaves the caps out without a word, and transformers 4.57 takes it. With caps of 1.0, logits
    were off by 4.3.
    """
    from transformers import AutoConfig

    about: Any = AutoConfig.from_pretrained(folder)
    capped = getattr(about.get_text_config(), "attn_logit_softcapping", None)
    return "eager" if capped and attention in (None, "sdpa") else attention
