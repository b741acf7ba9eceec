"""What training minimises, made of the small functions in objectives/ and of what a model says."""

from typing import TYPE_CHECKING, Any, Literal

from xlnu.train.feed import Micro
from xlnu.train.forward import Answers, examples

if TYPE_CHECKING:
    import torch

Kind = Literal["sft", "fkl", "rkl", "jsd", "taid"]
Reliability = Literal["none", "probability", "rank"]


def objective(engine: Any, kind: Kind, reliability: Reliability, steps: int) -> "Sft":
    if kind == "sft":
        return Sft(engine)
    return Distil(engine, kind, reliability, steps)


class Sft:
    """The negative log-likelihood of the answers: SDRRL as it was published."""

    def __init__(self, engine: Any) -> None:
        self.answers = _answers(engine)

    def losses(self, micro: Micro) -> "torch.Tensor":
        from xlnu.objectives.sft import hard

        logits, labels = self.answers(micro.batch)
        return hard(logits, labels)

    def measures(self, micro: Micro) -> "dict[str, torch.Tensor]":
        return {"loss": self.losses(micro)}

    def update(self, mean: float) -> None:
        pass

    def state(self) -> dict[str, float]:
        return {}

    def restore(self, state: dict[str, float]) -> None:
        pass


def _answers(engine: Any) -> Answers:
    """One for each engine: what it does to the head is done once."""
    if not hasattr(engine, "xlnu_answers"):
        engine.xlnu_answers = Answers(engine, engine.module.get_output_embeddings())
    found: Answers = engine.xlnu_answers
    return found


class Distil(Sft):
    """Where a teacher sees the same answer behind the question in the source language: the divergence from it. The
    teacher is the same model with its adapters off. Elsewhere the answer's own tokens are right, as in Sft.
    """

    def __init__(self, engine: Any, kind: Kind, reliability: Reliability, steps: int) -> None:
        from xlnu.objectives.distil import Taid, fkl, jsd, rkl

        super().__init__(engine)
        self.engine, self.reliability = engine, reliability
        self.taid = Taid(steps) if kind == "taid" else None
        self.divergence = self.taid.losses if self.taid else {"fkl": fkl, "rkl": rkl, "jsd": jsd}[kind]

    def losses(self, micro: Micro) -> "torch.Tensor":
        import torch

        from xlnu.objectives.sft import hard

        if micro.teacher is None:
            return super().losses(micro)
        with torch.no_grad(), self.engine.module.disable_adapter():
            taught, gold = self.answers(micro.teacher)
        logits, labels = self.answers(micro.batch)
        assert micro.taught is not None
        assert torch.equal(labels[micro.taught], gold)
        found = logits.new_empty(len(labels), dtype=torch.float32)
        found[~micro.taught] = hard(logits[~micro.taught], labels[~micro.taught])
        found[micro.taught] = self.divergence(logits[micro.taught], taught) * self._weights(taught, gold, micro)
        return found

    def _weights(self, taught: "torch.Tensor", gold: "torch.Tensor", micro: Micro) -> "torch.Tensor | float":
        from xlnu.objectives.distil import of_examples, reliability

        if self.reliability == "none":
            return 1.0
        assert micro.teacher is not None
        weights = reliability(taught, gold, self.reliability)
        return of_examples(weights, examples(micro.teacher), self.reliability)

    def update(self, mean: float) -> None:
        if self.taid:
            self.taid.update(mean)

    def state(self) -> dict[str, float]:
        return self.taid.state_dict() if self.taid else {}

    def restore(self, state: dict[str, float]) -> None:
        if self.taid and state:
            self.taid.load_state_dict(state)
