"""Tags projected onto translations: by hand-made alignments, and by the tiny world's translation model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from xlnu.evaluate.spans import spans
from xlnu.stack.project import Pieces, align, align_words, piece_states, project, word_states
from xlnu.tiny.build import Built
from xlnu.tiny.files import benchmarks
from xlnu.tiny.sizes import SIZES
from xlnu.tiny.tongues import SOURCE
from xlnu.tiny.world import World

Sentence = list[tuple[str, str]]
HIGH_AND_MID = ("qaa_Latn", "qab_Cyrl", "qac_Geor", "qad_Latn")
LOW = ("qae_Latn", "qaf_Cyrl", "qag_Armn")


def links(rows: int, columns: int, *pairs: tuple[int, int]) -> Tensor:
    alignment = torch.zeros(rows, columns, dtype=torch.bool)
    for row, column in pairs:
        alignment[row, column] = True
    return alignment


# Tags


def test_spans_are_read_leniently() -> None:
    tags = ["B-PER", "I-PER", "O", "I-LOC", "I-LOC", "B-LOC", "I-PER", "B-PER", "B-PER", "I-PER"]
    assert list(spans(tags)) == [
        ("PER", 0, 2), ("LOC", 3, 5), ("LOC", 5, 6), ("PER", 6, 7), ("PER", 7, 8), ("PER", 8, 10),
    ]  # fmt: skip
    assert list(spans([])) == list(spans(["O"])) == []


def test_tags_follow_the_words() -> None:
    tags = ["B-PER", "I-PER", "O", "B-LOC"]
    alignment = links(4, 4, (0, 2), (1, 3), (2, 1), (3, 0))
    assert project(tags, alignment) == (["B-LOC", "O", "B-PER", "I-PER"], 0)
    assert project(["B-LOC", "O", "B-PER", "I-PER"], alignment.T) == (tags, 0)


def test_a_span_with_no_aligned_word_is_dropped_and_counted() -> None:
    assert project(["B-PER", "O", "B-LOC"], links(3, 2, (0, 1), (1, 0))) == (["O", "B-PER"], 1)
    assert project(["B-PER", "B-LOC"], links(2, 3)) == (["O"] * 3, 2)
    assert project(["O"], links(1, 0)) == ([], 0)


def test_a_span_goes_from_its_first_aligned_word_to_its_last() -> None:
    assert project(["B-LOC", "I-LOC"], links(2, 5, (0, 3), (1, 1))) == (["O", "B-LOC", "I-LOC", "I-LOC", "O"], 0)


def test_of_two_that_meet_the_narrower_stands() -> None:
    wide_first = links(2, 4, (0, 0), (0, 2), (1, 2))
    assert project(["B-PER", "B-LOC"], wide_first) == (["B-PER", "O", "B-LOC", "O"], 0)  # without the stray one
    assert project(["B-LOC", "B-PER"], wide_first.flip(0)) == (["B-PER", "O", "B-LOC", "O"], 0)
    across = links(2, 4, (0, 0), (0, 3), (1, 2))
    assert project(["B-PER", "B-LOC"], across) == (["O", "O", "B-LOC", "O"], 1)
    same = links(2, 2, (0, 1), (1, 1))
    assert project(["B-PER", "B-LOC"], same) == (["O", "B-PER"], 1)
    assert project(["B-LOC", "B-PER"], same) == (["O", "B-LOC"], 1)


# Alignments


def test_states_are_aligned_if_each_is_likely_as_the_others() -> None:
    one = torch.eye(2)  # so that the products are what the other holds
    assert align(torch.tensor([[0.0, 0.0], [10.0, 0.0]]), one).tolist() == [[False, True], [True, False]]
    near = torch.tensor([[6.0, 0.0], [0.0, 6.0]])  # e^-6 = .0025
    assert align(near, one).tolist() == [[True, True], [True, True]]
    assert align(near, one, 0.01).tolist() == [[True, False], [False, True]]


def test_words_are_aligned_if_any_of_their_pieces_are() -> None:
    one = Pieces(10 * torch.eye(4)[[0, 1, 2]], torch.tensor([0, 0, 1]), 2)
    other = Pieces(torch.eye(4)[[2, 1, 3]], torch.tensor([0, 1, 3]), 4)
    assert torch.equal(align_words(one, other, 0.5), links(2, 4, (0, 1), (1, 0)))
    assert torch.equal(align_words(other, one, 0.5), links(2, 4, (0, 1), (1, 0)).T)


def test_a_word_of_no_piece_has_a_state_of_zeros() -> None:
    pieces = Pieces(torch.tensor([[2.0, 0.0], [4.0, 2.0], [1.0, 1.0]]), torch.tensor([0, 0, 2]), 3)
    assert pieces.mean().tolist() == [[3.0, 1.0], [0.0, 0.0], [1.0, 1.0]]


# With a translation model


@dataclass(frozen=True)
class Translator:
    encoder: Any
    tokenizer: Any

    def read(self, code: str, sentences: Sequence[Sequence[str]]) -> list[Pieces]:
        return piece_states(self.encoder, self.tokenizer, self.tokenizer.convert_tokens_to_ids(code), sentences)


@pytest.fixture(scope="module")
def translator(able: Built) -> Translator:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    encoder = AutoModelForSeq2SeqLM.from_pretrained(able.mt).eval().get_encoder()
    return Translator(encoder, AutoTokenizer.from_pretrained(able.mt))  # type: ignore[no-untyped-call]


def sentences(path: Path) -> list[Sentence]:
    blocks = path.read_text(encoding="utf-8").strip().split("\n\n")
    return [[(line.split()[0], line.split()[1]) for line in block.split("\n")] for block in blocks]


def words(said: Sequence[Sentence]) -> list[list[str]]:
    return [[word for word, _ in sentence] for sentence in said]


def test_states_are_those_of_the_whole_sentence_without_its_ends(able: Built, translator: Translator) -> None:
    """Of sentences of different lengths, more than go into a batch, each as if it were read alone."""
    code, said = "qaf_Cyrl", words(sentences(able.data / "ner/qaf_Cyrl/test.txt"))[:70]
    translator.tokenizer.src_lang = code
    assert len({len(each) for each in said}) > 2
    for each, pieces in zip(said, translator.read(code, said), strict=True):
        alone = translator.tokenizer(each, is_split_into_words=True, return_tensors="pt")
        assert alone["input_ids"][0, 0] == translator.tokenizer.convert_tokens_to_ids(code)
        with torch.no_grad():
            states = translator.encoder(**alone).last_hidden_state[0, 1:-1]
        assert torch.allclose(pieces.states, states, atol=1e-4)
        assert pieces.words.tolist() == alone.word_ids()[1:-1]
        assert pieces.length == len(each)


def test_a_words_state_is_the_mean_of_its_pieces_in_the_layer_asked_for(
    able: Built, translator: Translator
) -> None:
    code, said = "qaf_Cyrl", words(sentences(able.data / "ner/qaf_Cyrl/test.txt"))[:3]
    own = translator.tokenizer.convert_tokens_to_ids(code)
    for layer in (0, -1):
        means = word_states(translator.encoder, translator.tokenizer, own, said, layer)
        for each, mean, pieces in zip(
            said, means, piece_states(translator.encoder, translator.tokenizer, own, said, layer), strict=True
        ):
            assert len(mean) == len(each) < len(pieces.states)
            for at, state in enumerate(mean):
                assert torch.allclose(state, pieces.states[pieces.words == at].mean(0), atol=1e-5)
    (first,), (last,) = (word_states(translator.encoder, translator.tokenizer, own, said[:1], n) for n in (0, -1))
    assert not torch.allclose(first, last)


def f1(found: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> float:
    right = sum(len({*spans(one)} & {*spans(other)}) for one, other in zip(found, gold, strict=True))
    return 2 * right / sum(len([*spans(tags)]) for tags in (*found, *gold))


@pytest.mark.parametrize(
    ("threshold", "well", "poorly"), [(1e-3, 0.85, 0.65), (0.1, 0.98, 0.88)], ids=["published", "for narrow states"]
)
def test_names_reach_every_language(
    able: Built, translator: Translator, threshold: float, well: float, poorly: float
) -> None:
    source = sentences(able.data / f"ner/{SOURCE}/test.txt")
    tags = [[tag for _, tag in sentence] for sentence in source]
    read = translator.read(SOURCE, words(source))
    reached = {}
    for code in (*HIGH_AND_MID, *LOW):
        there = sentences(able.data / f"ner/{code}/test.txt")
        found = [
            project(own, align_words(one, other, threshold))
            for own, one, other in zip(tags, read, translator.read(code, words(there)), strict=True)
        ]
        gold = [[tag for _, tag in sentence] for sentence in there]
        reached[code] = f1([projected for projected, _ in found], gold)
        dropped = sum(count for _, count in found)
        assert dropped == sum(len([*spans(own)]) for own in tags) - sum(len([*spans(own)]) for own, _ in found)
        print(f"{code} F1 {reached[code]:.3f}, dropped {dropped}")  # noqa: T201
    assert min(reached[code] for code in HIGH_AND_MID) > well
    assert min(reached[code] for code in LOW) > poorly


def test_words_are_aligned_as_the_world_knows_them_to_be(able: Built, translator: Translator) -> None:
    amounts = SIZES["s"].amounts
    world = World(0, amounts.people)
    texts = benchmarks(world, amounts).names["test"]
    source = sentences(able.data / f"ner/{SOURCE}/test.txt")
    read = translator.read(SOURCE, words(source))
    for code in (*HIGH_AND_MID, *LOW):
        others = translator.read(code, words(sentences(able.data / f"ner/{code}/test.txt")))
        hit = found = known = 0
        for text, one, other in zip(texts, read, others, strict=True):
            (here,), (there,) = world.aligned(text, SOURCE), world.aligned(text, code)
            gold = torch.tensor([[not {*a.marks}.isdisjoint(b.marks) for b in there] for a in here])
            aligned = align_words(one, other, 0.1)[:-1, :-1]  # without the full stop, which has no marks
            assert aligned.shape == gold.shape
            hit, found, known = (
                hit + int((aligned & gold).sum()),
                found + int(aligned.sum()),
                known + int(gold.sum()),
            )
        print(f"{code} precision {hit / found:.3f} recall {hit / known:.3f}")  # noqa: T201
        assert hit / found > 0.75  # articles of one language may stand for nothing in the other
        assert hit / known > 0.9
