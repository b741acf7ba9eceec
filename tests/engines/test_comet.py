import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from xlnu.engines.base import Scorer
from xlnu.engines.comet import AnyComet, CometScorer
from xlnu.errors import UserError
from xlnu.progress import Display
from xlnu.tiny.build import Built, TinyConfig, build


@pytest.fixture(scope="module", autouse=True)
def _threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    cache = str(tmp_path_factory.mktemp("cache"))
    return build(TinyConfig(size="xs", seed=0, aligned=True, masked=True, cache=cache), Display())


def opened(checkpoint: Path, batch_tokens: int = 2048) -> CometScorer:
    return CometScorer(str(checkpoint), batch_tokens=batch_tokens, threads=1, device="cpu")


@pytest.fixture(scope="module")
def scorer(built: Built) -> CometScorer:
    return opened(built.qe)


@pytest.fixture(scope="module")
def pairs(built: Built) -> list[tuple[str, str]]:
    """Of all lengths, in no order: empty, one word, sentences, texts beyond 512 tokens on either side or both."""
    files = [built.data / "flores" / "devtest" / f"{code}.devtest" for code in ("eng_Latn", "qac_Geor")]
    source, target = (path.read_text(encoding="utf-8").splitlines() for path in files)
    long = " ".join(source * 8), " ".join(target * 8)
    some = [(" ".join((source * 2)[i % 20 :][: i % 5]), (target * 3)[i]) for i in range(60)]
    odd = [("", ""), ("", target[0]), (source[0], ""), ("猫 <pad> </s>", "🐈"), (source[0].split()[0], target[1])]
    return [*some[:30], long, *odd, (source[0], long[1]), *some[30:], (long[0], target[0]), some[7]]


def predicted(metric: Any, pairs: list[tuple[str, str]]) -> list[float]:
    samples = [{"src": source, "mt": translation} for source, translation in pairs]
    return list(metric.predict(samples, gpus=0, num_workers=0, progress_bar=False).scores)


@pytest.mark.parametrize("batch_tokens", [1, 300, 100_000])
def test_scores_are_those_of_comets_own_predict(
    built: Built, pairs: list[tuple[str, str]], batch_tokens: int
) -> None:
    scorer: Scorer = opened(built.qe, batch_tokens)
    found = scorer.score(pairs)
    said = predicted(opened(built.qe).metric, pairs)
    assert found == pytest.approx(said, abs=1e-4)
    assert max(said) - min(said) > 0.05
    assert len({round(score, 4) for score in said}) > 50


def shapes(scorer: CometScorer, pairs: list[tuple[str, str]]) -> list[tuple[int, int]]:
    """Of what the encoder was given."""
    seen: list[tuple[int, int]] = []
    hook = scorer.metric.encoder.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    try:
        scorer.score(pairs)
    finally:
        hook.remove()
    return seen


def test_batches_hold_as_many_tokens_as_fit_padding_included(built: Built, pairs: list[tuple[str, str]]) -> None:
    scorer = opened(built.qe, 600)
    seen = shapes(scorer, pairs)
    assert len(scorer.metric.encoder.tokenizer(pairs[30][1])["input_ids"]) > 600
    assert sum(rows for rows, _ in seen) == len(pairs)
    assert all(rows * longest <= 600 for rows, longest in seen)
    alone = sum(shapes(scorer, [pair])[0][1] for pair in pairs)
    assert sum(rows * longest for rows, longest in seen) < 1.2 * alone  # little of it is padding
    assert len(seen) < 1.5 * alone / 600
    assert shapes(opened(built.qe, 100), pairs[30:31]) == [(1, 512)]  # one that is larger goes alone
    assert shapes(opened(built.qe, 1024), pairs[30:31] * 2) == [(2, 512)]  # what is cut off does not count


def test_moved_with_the_encoder_in_it_it_says_the_same(
    built: Built, scorer: CometScorer, pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    """Its path is in the checkpoint; and what is there may have gone, or be on another machine."""
    place = tmp_path / "moved"
    shutil.copytree(built.qe, place)
    kept = torch.load(place / "checkpoints" / "model.ckpt", weights_only=False)
    gone = {"pretrained_model": str(tmp_path / "gone" / "encoder")}
    torch.save(kept | {"hyper_parameters": kept["hyper_parameters"] | gone}, place / "checkpoints" / "model.ckpt")
    about = yaml.safe_load((place / "hparams.yaml").read_text())
    (place / "hparams.yaml").write_text(yaml.safe_dump(about | gone))
    assert opened(place).score(pairs[:20]) == scorer.score(pairs[:20])
    known = AnyComet(str(place), batch_tokens=2048, threads=1, device="cpu").metric.hparams
    assert known == scorer.metric.hparams | {"pretrained_model": str(place / "encoder")}


def test_no_pairs_have_no_scores(scorer: CometScorer) -> None:
    assert scorer.score([]) == []


def test_torch_is_given_as_many_threads_as_asked(built: Built) -> None:
    for threads in (2, 1):
        CometScorer(str(built.qe), batch_tokens=64, threads=threads, device="cpu")
        assert torch.get_num_threads() == threads


def test_folder_and_file_open_without_the_network(
    built: Built, monkeypatch: pytest.MonkeyPatch, scorer: CometScorer
) -> None:
    reached: list[Any] = []

    def refuse(*where: Any, **_: Any) -> None:
        reached.append(where)
        raise OSError("offline")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.chdir(built.qe / "checkpoints")
    for path in (built.qe, built.qe / "checkpoints" / "model.ckpt", Path("model.ckpt")):
        assert opened(path).score([("a b", "c")]) == scorer.score([("a b", "c")])
    assert reached == []


def changed(built: Built, folder: Path, hparams: dict[str, Any], version: str = "", drop: str = "") -> Path:
    """A checkpoint like the tiny one, with other hyperparameters, without the weights that begin with `drop`."""
    kept = torch.load(built.qe / "checkpoints" / "model.ckpt", weights_only=True)
    kept["hyper_parameters"] |= hparams
    kept["pytorch-lightning_version"] = version or kept["pytorch-lightning_version"]
    if drop:
        kept["state_dict"] = {name: one for name, one in kept["state_dict"].items() if not name.startswith(drop)}
    kept["state_dict"]["encoder.model.embeddings.position_ids"] = torch.arange(514)[None]  # as the real one has it
    (folder / "checkpoints").mkdir(parents=True)
    torch.save(kept, folder / "checkpoints" / "model.ckpt")
    about = {"class_identifier": "unified_metric", **kept["hyper_parameters"], **hparams}
    (folder / "hparams.yaml").write_text(yaml.safe_dump(about))
    return folder


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        opened(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message


def test_what_is_no_checkpoint_is_refused_in_one_line(built: Built, tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "none" / "model.ckpt")
    assert "no such file" in refused(tmp_path)
    place = tmp_path / "it" / "checkpoints"
    place.mkdir(parents=True)
    (place / "model.ckpt").write_bytes(b"no model\n" * 99)
    assert "hparams.yaml file is missing" in refused(place / "model.ckpt")
    (place.parent / "hparams.yaml").write_text("class_identifier: unified_metric\n")
    assert "comet cannot open it: " in refused(place / "model.ckpt")
    (place / "model.ckpt").write_bytes(b"")
    assert "comet cannot open it: " in refused(place / "model.ckpt")
    (place / "model.ckpt").write_bytes((built.qe / "checkpoints" / "model.ckpt").read_bytes())
    (place.parent / "hparams.yaml").write_text("hidden: 1\n")
    assert "class_identifier" in refused(place / "model.ckpt")


def test_a_metric_that_needs_references_is_refused(built: Built, tmp_path: Path) -> None:
    with_reference = changed(built, tmp_path / "one", {"input_segments": ["mt", "ref"]})
    assert "a UnifiedMetric that needs references" in refused(with_reference)
    either = changed(built, tmp_path / "two", {"input_segments": ["mt", "src", "ref"]})
    assert opened(either).score([("a", "b")]) == pytest.approx(predicted(opened(either).metric, [("a", "b")]))


def test_weights_that_are_missing_or_do_not_fit_are_not_left_random(built: Built, tmp_path: Path) -> None:
    folder = changed(built, tmp_path / "it", {}, drop="estimator.ff.0")
    assert "not in the checkpoint: ['estimator.ff.0.weight'" in refused(folder)
    folder = changed(built, tmp_path / "other", {"hidden_sizes": [7, 5]})
    assert "size mismatch for estimator.ff.0.weight" in refused(folder)


def test_it_opens_and_scores_without_a_word(built: Built, tmp_path: Path) -> None:
    """As a real checkpoint is: of an older Lightning, its encoder frozen at first, a buffer too many."""
    folder = changed(built, tmp_path / "it", {"nr_frozen_epochs": 0.9}, version="1.8.2")
    program = (
        "import logging, sys; logging.basicConfig(level=logging.INFO)\n"
        "from xlnu.engines.comet import CometScorer\n"
        "scorer = CometScorer(sys.argv[1], batch_tokens=64, threads=1, device='cpu')\n"
        "print(scorer.score([('a b', 'c')] * 3))\n"
    )
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout == f"{opened(built.qe).score([('a b', 'c')] * 3)}\n"
    assert logging.getLogger("comet").isEnabledFor(logging.ERROR)  # errors are still heard


# Any metric, for evaluation


def by_reference(built: Built, folder: Path) -> Path:
    """A metric of the kind of wmt22-comet-da, with random weights."""
    from comet.models import RegressionMetric

    hparams: dict[str, Any] = {
        "encoder_model": "XLM-RoBERTa", "pretrained_model": str(built.qe / "encoder"), "pool": "avg",
        "layer": "mix", "hidden_sizes": [16, 8], "activations": "Tanh", "local_files_only": True, "dropout": 0.0,
    }  # fmt: skip
    torch.manual_seed(5)
    metric: Any = RegressionMetric(**hparams, load_pretrained_weights=False)
    (folder / "checkpoints").mkdir(parents=True)
    checkpoint = {
        "pytorch-lightning_version": "2.6.0", "state_dict": metric.state_dict(), "hyper_parameters": hparams,
    }  # fmt: skip
    torch.save(checkpoint, folder / "checkpoints" / "model.ckpt")
    text = yaml.safe_dump({"class_identifier": "regression_metric", **hparams})
    (folder / "hparams.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("batch_tokens", [1, 4000])
def test_a_metric_with_references_gives_its_own_scores(
    built: Built, pairs: list[tuple[str, str]], tmp_path: Path, batch_tokens: int
) -> None:
    place = by_reference(built, tmp_path / "metric")
    some = [(*pair, other[1]) for pair, other in zip(pairs[:30], pairs[31:61], strict=True)]
    model = AnyComet(str(place), batch_tokens=batch_tokens, threads=1, device="cpu")
    samples = [{"src": source, "mt": said, "ref": right} for source, said, right in some]
    theirs = list(model.metric.predict(samples, gpus=0, num_workers=0, progress_bar=False).scores)
    found = model.score(some)
    assert found == pytest.approx(theirs, abs=1e-4)
    assert len({round(score, 4) for score in theirs}) > 20
    exchanged = model.score([(source, said, source) for source, said, _ in some])
    assert exchanged != pytest.approx(found, abs=1e-4), "it reads the reference"


def test_one_without_references_is_the_one_that_filters(
    built: Built, scorer: CometScorer, pairs: list[tuple[str, str]]
) -> None:
    model = AnyComet(str(built.qe), batch_tokens=2048, threads=1, device="cpu")
    assert model.score([(*pair, "?") for pair in pairs]) == pytest.approx(scorer.score(pairs), abs=1e-4)
