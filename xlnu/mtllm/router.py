"""The mode `router`: for each example, by how sure both are, the answer of the stack or that of translate-test.

It learns from the validation examples of the source language, translated into each language (what the stack reads)
and back again (what the LLM reads). So nothing of it was chosen by a label in another language.
"""

import json
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlnu.evaluate.said import probable
from xlnu.evaluate.schemas import ANSWERED
from xlnu.steps import NOBODY_KNOWS, Result, Step, Work

KINDS = ("text", "pair", "choice")
FEWEST = 10  # examples of either kind, on which just one of the two is right: fewer teach nothing
RIDGE = 1.0
FILE = "router.json"
ROWS_PER_PART = 8192
Row = Mapping[str, Any]
Numbers = NDArray[np.float64]
FEATURES = ("the likeliest answer", "how far before the next", "entropy")


def step(name: str, stacked: Step, translated: Step, seen: tuple[Step, Step]) -> Step:
    """Of two steps `said`. `seen`: what the same two said of the validation examples."""

    def run(work: Work) -> int:
        router = fit(*(_pairs(work.inputs[seen[0].name], work.inputs[seen[1].name])))
        place = posixpath.join(work.write_part.address, FILE)
        work.write_part.store.write(place, json.dumps(router, indent=2).encode())
        both = list(zip(*_pairs(work.inputs[stacked.name], work.inputs[translated.name]), strict=True))
        first = chosen(router, [one for one, _ in both], [other for _, other in both])
        made = [
            {**(one if mine else other), "id": one["id"], "tokens": one["tokens"] + other["tokens"]}
            for (one, other), mine in zip(both, first, strict=True)
        ]
        for part in work.todo(len(made), ROWS_PER_PART):
            work.write(part, pa.Table.from_pylist(made[part.start : part.stop], schema=ANSWERED))
        return len(made)

    return Step(name, {}, run, (stacked, translated, *seen), estimate=NOBODY_KNOWS)


def _pairs(one: Result, other: Result) -> tuple[list[Row], list[Row]]:
    """Rows of the examples that both were asked."""
    known = {(row["language"], row["key"]): row for row in other.table().to_pylist()}
    mine = [row for row in one.table().to_pylist() if (row["language"], row["key"]) in known]
    return mine, [known[row["language"], row["key"]] for row in mine]


def fit(one: Sequence[Row], other: Sequence[Row]) -> dict[str, Any]:
    """A logistic regression on how sure both are, over the examples on which one of them alone is right; where
    these are few, whichever of the two is right more often.
    """
    right = [np.array([row["said"] == row["right"] for row in some], dtype=bool) for some in (one, other)]
    apart = right[0] != right[1]
    better = bool(right[0].sum() > right[1].sum())
    shares = {"stacked": float(right[0].mean()), "translate_test": float(right[1].mean())} if len(one) else {}
    found: dict[str, Any] = {"right": shares, "examples": int(apart.sum()), "otherwise": better}
    mine = right[0][apart]
    if min(mine.sum(), (~mine).sum()) < FEWEST:
        return found | {"weights": None}
    features = _features(one, other)[apart]
    mean, spread = features.mean(0), np.maximum(features.std(0), 1e-6)
    weights = _regression((features - mean) / spread, mine)
    names = [f"{side}: {name}" for side in ("stacked", "translate_test") for name in FEATURES]
    return found | {
        "features": names,
        "mean": mean.tolist(),
        "spread": spread.tolist(),
        "weights": weights[1:].tolist(),
        "bias": float(weights[0]),
    }


def chosen(router: Mapping[str, Any], one: Sequence[Row], other: Sequence[Row]) -> list[bool]:
    """Whether the former is taken, of each."""
    if router["weights"] is None:
        return [router["otherwise"]] * len(one)
    features = (_features(one, other) - router["mean"]) / router["spread"]
    found: list[bool] = (features @ np.array(router["weights"]) + router["bias"] > 0).tolist()
    return found


def _features(one: Sequence[Row], other: Sequence[Row]) -> Numbers:
    return np.array([[*_sure(a["logits"]), *_sure(b["logits"])] for a, b in zip(one, other, strict=True)])


def _sure(logits: Sequence[float]) -> tuple[float, float, float]:
    shares = np.sort(probable(np.asarray(logits, dtype=np.float32)).astype(np.float64))[::-1]
    entropy = -float((shares * np.log(np.maximum(shares, 1e-12))).sum())
    return float(shares[0]), float(shares[0] - shares[1]), entropy


def _regression(features: Numbers, right: NDArray[np.bool_]) -> Numbers:
    from scipy.optimize import minimize

    wide, sign = np.column_stack([np.ones(len(features)), features]), np.where(right, 1.0, -1.0)

    def loss(weights: Numbers) -> tuple[float, Numbers]:
        margins = sign * (wide @ weights)
        slope = -sign / (1 + np.exp(np.minimum(margins, 500)))
        own = weights * [0, *[RIDGE] * features.shape[1]]
        return float(np.logaddexp(0, -margins).sum() + (own * weights).sum() / 2), wide.T @ slope + own

    found: Numbers = minimize(loss, np.zeros(wide.shape[1]), jac=True, method="L-BFGS-B").x
    return found
