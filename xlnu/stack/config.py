"""What a stack is made of: config.json of the directory that AutoModel.from_pretrained opens."""

from typing import Any, Literal, get_args

from transformers import PretrainedConfig

from xlnu.errors import UserError

View = Literal["stack", "dual", "llm", "encoder"]
Fusion = Literal["linear", "mlp", "end_token", "layer_mix", "layer_kv"]
Attention = Literal["bidirectional", "causal"]
Pooling = Literal["mean", "last"]
Code = Literal["drop", "keep", "begin"]
End = Literal["drop", "keep"]
Task = Literal["text", "pair", "choice", "regression", "tokens"]

MODEL_TYPE = "xlnu_stack"
PARENTS = ("encoder", "llm")


class StackConfig(PretrainedConfig):
    """`encoder` and `llm`: the parents, each {name, revision or content} as engines/checkpoint.py finds them, or
    {folder} inside the directory itself where both are merged into it.

    view: what reads the text. stack: the encoder, fused into the LLM; dual: that, and the LLM's own tokens behind
        it; llm, encoder: the one alone, for teachers and baselines on the same footing.
    fusion: how the encoder's states enter the LLM; see fusion.py.
    code, end: what the encoder's language code and </s> become in the LLM; begin: the LLM's own <s>.
    special: whether these positions count among those that are pooled.
    task: what the head answers; None: there is none, and the pooled state is an embedding.
    adapter: whether the LLM has one; without it the LLM is the parent as it was.
    """

    model_type = MODEL_TYPE

    def __init__(
        self,
        encoder: dict[str, str] | None = None,
        llm: dict[str, str] | None = None,
        view: View = "stack",
        fusion: Fusion = "linear",
        fusion_width: int = 0,
        fusion_bias: bool = True,
        attention: Attention = "bidirectional",
        pooling: Pooling = "mean",
        special: bool = True,
        code: Code = "keep",
        end: End = "keep",
        separator: str = " ",
        option: str = "\n{number} {text}",
        length: int = 512,
        task: Task | None = None,
        labels: list[str] | None = None,
        source: str = "eng_Latn",
        hidden_size: int = 0,
        adapter: bool = False,
        **kwargs: Any,
    ) -> None:
        self.encoder, self.llm, self.view = encoder, llm, view
        self.fusion, self.fusion_width, self.fusion_bias = fusion, fusion_width, fusion_bias
        self.attention, self.pooling, self.special = attention, pooling, special
        self.code, self.end, self.separator, self.option = code, end, separator, option
        self.length, self.task, self.labels, self.source = length, task, labels, source
        self.hidden_size, self.adapter = hidden_size, adapter
        for name, kind in _CHOICES.items():
            value = getattr(self, name)
            if value not in get_args(kind):
                raise UserError(f"{name}: {value!r}; allowed: {', '.join(map(str, get_args(kind)))}")
        super().__init__(**kwargs)

    @property
    def edges(self) -> bool:
        """Whether special places are pooled with a text: a choice or a word has only its own."""
        return self.special and self.task not in ("choice", "tokens")

    @property
    def outputs(self) -> int:
        """Numbers that the head gives for what is pooled: a label each, or one alone."""
        return 1 if self.task in ("choice", "regression") else len(self.labels or ())

    def parts(self) -> tuple[str, ...]:
        """Which parents the view needs."""
        return {"llm": ("llm",), "encoder": ("encoder",)}.get(self.view, PARENTS)


_CHOICES: dict[str, Any] = {
    "view": View, "fusion": Fusion, "attention": Attention, "pooling": Pooling, "code": Code, "end": End,
}  # fmt: skip
