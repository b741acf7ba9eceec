"""A stack as a replica holds it, without a server."""

from pathlib import Path
from typing import Any

import torch

from xlnu.serve.reading import Example, Reading


def test_what_is_no_number_is_nobodys_answer(stacks: dict[str, Path]) -> None:
    """One token whose embedding has overflowed, as half precision has it: only the text with it gets no answer."""
    reading = Reading.open("topic", str(stacks["topic"]))
    texts = ["the man eats.", "a baker buys a red plum near the river."]
    asked = reading.prepare([Example("text", (text,), "eng_Latn", "input") for text in texts], "answer")
    good, bad = asked.flat
    model: Any = reading.predictor.model
    (strange,) = set(bad.tokens.ids[3:4]) - set(good.tokens.ids)
    with torch.no_grad():
        model.encoder.get_input_embeddings().weight[strange] = torch.inf
    answer, failed = reading.compute([good, bad])
    assert isinstance(answer, torch.Tensor)
    assert torch.isfinite(answer).all()
    assert isinstance(failed, ArithmeticError)
