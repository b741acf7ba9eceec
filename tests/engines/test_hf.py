"""Drawing by a seed of each row: what a row gets depends on nothing beside it, and is a fair draw."""

from collections import Counter

import pytest
import torch

from xlnu.engines.base import Answer, Decoding
from xlnu.engines.chat import question
from xlnu.engines.hf import HfGenerator, _Drawn, batched
from xlnu.tiny.build import Built


@pytest.fixture(scope="module")
def llm(able: Built) -> HfGenerator:
    return HfGenerator(str(able.llm), "float32", batch_tokens=4096, threads=1, gpus=0)


HOT = Decoding(10, temperature=2.0)


def asked(able: Built, n: int, seed: int = 0) -> list[str]:
    text = (able.data / "flores" / "devtest" / "eng_Latn.devtest").read_text(encoding="utf-8")
    return text.splitlines()[seed : seed + n]


def test_a_row_draws_the_same_alone_and_in_any_company(able: Built, llm: HfGenerator) -> None:
    questions = [question(None, text, "", seed) for seed, text in enumerate(asked(able, 12))]
    together = llm.answer(questions, HOT)
    assert [llm.answer([one], HOT)[0] for one in questions] == together
    assert llm.answer(questions[::-1], HOT) == together[::-1]
    assert together != llm.answer(questions, Decoding(10)), "greedy says something else"


def test_another_seed_draws_something_else(able: Built, llm: HfGenerator) -> None:
    (text,) = asked(able, 1)
    drawn: list[Answer] = llm.answer([question(None, text, "", seed) for seed in range(8)], HOT)
    assert len({one.text for one in drawn}) > 4


def test_what_is_drawn_follows_the_probabilities() -> None:
    """1,000 draws of three tokens with probabilities .7, .2, .1: each within four standard errors."""
    scores = torch.log(torch.tensor([0.7, 0.2, 0.1])).expand(1000, -1)
    tokens = _Drawn(range(1000), Decoding(1, temperature=1.0))(torch.empty(0), scores).argmax(-1)
    counts = Counter(tokens.tolist())
    for token, p in enumerate((0.7, 0.2, 0.1)):
        assert abs(counts[token] - 1000 * p) < 4 * (1000 * p * (1 - p)) ** 0.5
    cold = _Drawn(range(1000), Decoding(1, temperature=0.1))(torch.empty(0), scores).argmax(-1)
    assert (cold == 0).float().mean() > 0.98
    top = _Drawn(range(1000), Decoding(1, temperature=1.0, top_p=0.75))(torch.empty(0), scores).argmax(-1)
    assert set(top.tolist()) == {0, 1}, "the two likeliest reach .75 together"


def test_batches_hold_each_row_once_and_no_more_tokens_than_allowed() -> None:
    lengths = [5, 100, 3, 40, 40, 7, 0]
    batches = list(batched(lengths, 80))
    assert sorted(i for batch in batches for i in batch) == list(range(7))
    assert all(len(batch) * max(lengths[i] for i in batch) <= 80 or len(batch) == 1 for batch in batches)
