import copy
import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from xlnu.tiny.qe import Judged, QEShape, first_embeddings, qe_tokenizer, scores, train

CODES = ["qaa_Latn", "qab_Latn", "qac_Cyrl"]
LETTERS = [("bdfgklm", "aeiou"), ("nprstvz", "aeiou"), ("бдфгклмн", "аеиоу")]
MEANINGS = 120
SHAPE = QEShape(steps=300)


@dataclass
class World:
    """Three languages that say the same 120 things in words of their own, the second in another order."""

    words: list[list[str]]
    nllb: Any
    tokenizer: Any
    embeddings: Any
    examples: list[Judged]
    held_out: list[Judged]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def made_words(choose: random.Random) -> list[list[str]]:
    languages = []
    for consonants, vowels in LETTERS:
        words: dict[str, None] = {}
        while len(words) < MEANINGS:
            length = choose.choice([2, 3])
            words["".join(choose.choice(consonants) + choose.choice(vowels) for _ in range(length))] = None
        languages.append(list(words))
    return languages


def judged(words: list[list[str]], choose: random.Random) -> Judged:
    """Half of them good; in the others words are replaced or left out, or it is another sentence."""
    one, other = choose.sample(range(3), 2)
    meant = [choose.randrange(MEANINGS) for _ in range(choose.randint(5, 14))]
    said, kept = list(meant), len(meant)
    how = choose.choice(["good", "good", "good", "replaced", "left out", "another"])
    if how == "another":
        said, kept = [choose.randrange(MEANINGS) for _ in meant], 0
    elif how != "good":
        wrong = choose.sample(range(len(meant)), choose.randint(1, len(meant) - 1))
        kept -= len(wrong)
        if how == "replaced":
            said = [choose.randrange(MEANINGS) if i in wrong else word for i, word in enumerate(said)]
        else:
            said = [word for i, word in enumerate(said) if i not in wrong]
    if other == 1:
        said = [said[i ^ 1] if i ^ 1 < len(said) else said[i] for i in range(len(said))]
    source = " ".join(words[one][i] for i in meant)
    translation = " ".join(words[other][i] for i in said)
    return Judged(source, translation, (kept / len(meant)) ** 2)


def made_nllb(texts: list[str], file: Path) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import NllbTokenizerFast

    backend = Tokenizer(models.BPE(unk_token="<unk>"))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=1000, special_tokens=specials, show_progress=False)
    backend.train_from_iterator(texts, trainer)
    backend.save(str(file))
    return NllbTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_file=str(file), additional_special_tokens=CODES, src_lang=CODES[0]
    )


def encoded(words: list[list[str]], tokenizer: Any) -> list[tuple[str, Any, Any]]:
    """As an aligned encoder would: one direction a meaning, some noise, a good deal in common, any scale."""
    import torch

    made = torch.Generator().manual_seed(1)
    meanings = 0.2 * torch.randn(MEANINGS, SHAPE.hidden, generator=made)
    common = torch.randn(SHAPE.hidden, generator=made)
    states = []
    for code, language in zip(CODES, words, strict=True):
        for meaning, word in zip(meanings, language, strict=True):
            ids = tokenizer(word, add_special_tokens=False, return_tensors="pt").input_ids[0]
            noise = 0.06 * torch.randn(len(ids), SHAPE.hidden, generator=made)
            states.append((code, ids, meaning + common + noise))
    return states


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    choose = random.Random(0)
    words = made_words(choose)
    texts = [" ".join(language) for language in words]
    nllb = made_nllb(texts, tmp_path_factory.mktemp("nllb") / "tokenizer.json")
    tokenizer = qe_tokenizer(nllb)
    examples = [judged(words, choose) for _ in range(3600)]
    embeddings = first_embeddings(encoded(words, tokenizer), len(tokenizer), SHAPE.hidden, seed=0)
    return World(words, nllb, tokenizer, embeddings, examples[:3000], examples[3000:])


@pytest.fixture(scope="module")
def metric(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qe") / "metric"
    trained(folder, world, SHAPE)
    return folder


def trained(folder: Path, world: World, shape: QEShape, seed: int = 0) -> dict[str, Any]:
    """The weights as they were kept."""
    import torch

    train(folder, world.tokenizer, world.examples, shape, seed, "cpu", world.embeddings, lambda _: None)
    kept = torch.load(folder / "checkpoints" / "model.ckpt", weights_only=True)  # holds no objects but tensors
    return dict(kept["state_dict"])


def asked(examples: list[Judged]) -> list[tuple[str, str]]:
    return [(each.source, each.translation) for each in examples]


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    import torch

    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_tokenizer_has_the_pieces_of_the_translation_model(world: World) -> None:
    nllb = copy.deepcopy(world.nllb)
    nllb.src_lang = CODES[1]
    nllb(["a", "b c"], padding="max_length", truncation=True, max_length=5)  # leaves its mark
    before = nllb.backend_tokenizer.to_str()
    tokenizer = qe_tokenizer(nllb)
    assert nllb.backend_tokenizer.to_str() == before
    assert tokenizer.backend_tokenizer.to_str() == qe_tokenizer(world.nllb).backend_tokenizer.to_str()
    assert tokenizer.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>"]) == [0, 1, 2, 3]
    assert tokenizer.get_vocab() == nllb.get_vocab()
    text = " ".join(word for language in world.words for word in language[:5])
    pieces = nllb(text, add_special_tokens=False).input_ids
    assert len(pieces) > 5
    assert tokenizer(text).input_ids == [0, *pieces, 2]
    assert tokenizer(text, text).input_ids == [0, *pieces, 2, 2, *pieces, 2]


def test_good_translations_are_told_from_corrupted_ones(world: World, metric: Path) -> None:
    found = scores(metric, asked(world.held_out))
    good = [score for score, each in zip(found, world.held_out, strict=True) if each.score == 1]
    bad = [score for score, each in zip(found, world.held_out, strict=True) if each.score < 1]
    assert min(len(good), len(bad)) > 200
    wins = sum(1.0 if one > other else 0.5 if one == other else 0.0 for one in good for other in bad)
    assert wins / len(good) / len(bad) > 0.9
    assert sum(score >= 0.8 for score in good) > 0.7 * len(good)  # on the scale it was trained for
    assert sum(score < 0.8 for score in bad) > 0.7 * len(bad)


def test_comet_opens_it_offline_and_gives_the_same_scores(
    world: World, metric: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import comet
    import torch
    from comet.models import UnifiedMetric

    reached: list[Any] = []

    def refuse(*where: Any, **_: Any) -> None:
        reached.append(where)
        raise OSError("offline")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    path = metric / "checkpoints" / "model.ckpt"
    kept = torch.load(path, weights_only=True)["state_dict"]
    caplog.clear()
    for seed in (1, 2):
        torch.manual_seed(seed)
        opened = comet.load_from_checkpoint(str(path), strict=True)
        assert same(opened.state_dict(), kept)
    assert caplog.messages == []
    assert isinstance(opened, UnifiedMetric)
    assert not opened.requires_references()
    assert opened.layerwise_attention.transform_fn is torch.softmax
    assert opened.encoder.max_positions == 512

    some = world.held_out[:50]
    samples = [{"src": each.source, "mt": each.translation} for each in some]
    said = opened.predict(samples, batch_size=16, gpus=0, num_workers=0, progress_bar=False).scores
    assert scores(metric, asked(some), batch=7) == pytest.approx(said, abs=1e-4)
    assert max(said) - min(said) > 0.5
    assert reached == []


def test_any_text_has_a_score(world: World, metric: Path) -> None:
    assert scores(metric, []) == []
    long = " ".join(world.words[0] * 6)
    (empty, unknown, longest) = scores(metric, [("", ""), ("猫", "🐈"), (long, long)])
    assert all(-1 < score < 2 for score in (empty, unknown, longest))


def test_the_same_seed_gives_the_same_weights(world: World, tmp_path: Path) -> None:
    import torch

    shape = replace(SHAPE, steps=4)
    first = trained(tmp_path / "first", world, shape)
    torch.rand(3)  # whatever happened before
    assert same(first, trained(tmp_path / "again", world, shape))
    assert not same(first, trained(tmp_path / "other", world, shape, seed=1))


def test_every_step_is_told_and_trains_every_weight(world: World, tmp_path: Path) -> None:
    told: list[int] = []
    shape = replace(SHAPE, steps=2, layers=1)
    train(tmp_path, world.tokenizer, world.examples[:100], shape, 0, "cpu", None, told.append)
    assert told == [1, 2]
    untrained = trained(tmp_path / "0", world, replace(SHAPE, steps=0))
    after = trained(tmp_path / "2", world, replace(SHAPE, steps=2))
    still = {name for name in after if (after[name] == untrained[name]).all()}
    assert still == set()


def test_words_of_one_meaning_start_close(world: World) -> None:
    import torch

    def direction(language: int, meaning: int) -> Any:
        ids = world.tokenizer(world.words[language][meaning], add_special_tokens=False).input_ids
        return torch.nn.functional.normalize(world.embeddings[ids].mean(0), dim=0)

    one, other = (torch.stack([direction(i, meaning) for meaning in range(MEANINGS)]) for i in (0, 1))
    alike = one @ other.T
    assert (alike.argmax(1) == torch.arange(MEANINGS)).float().mean() > 0.95
    assert abs(alike.mean().item()) < 0.1  # nothing in common
    assert (one @ one.T).mean() > 0.15  # but the language


def test_the_encoder_starts_with_the_embeddings_it_was_given(world: World, tmp_path: Path) -> None:
    weights = trained(tmp_path, world, replace(SHAPE, steps=0))["encoder.model.embeddings.word_embeddings.weight"]
    given = world.embeddings.any(1)
    assert 0 < given.sum() < len(given)
    assert (weights[given] == world.embeddings[given]).all()
    assert weights[~given].std().item() == pytest.approx(SHAPE.init, rel=0.1)
