"""COMETKiwi by comet's own class, without Lightning's trainer, which costs a tenth of a second a call."""

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from xlnu.errors import UserError


class CometScorer:
    """Judges translations by their sources; one a process. `checkpoint` is a model.ckpt, or the folder above it."""

    def __init__(self, checkpoint: str, *, batch_tokens: int, threads: int, device: str) -> None:
        import torch

        torch.set_num_threads(threads)  # Ray sets OMP_NUM_THREADS by itself
        self.batch_tokens, self.device = batch_tokens, device
        self.metric = _open(Path(checkpoint)).to(device).eval()

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        import torch

        if not pairs:
            return []
        encoder = self.metric.encoder
        texts = [translation for _, translation in pairs] + [source for source, _ in pairs]
        limits: Any = {"truncation": True, "max_length": encoder.max_positions - 2}  # as comet's own, but unpadded
        ids = encoder.tokenizer(texts, **limits)["input_ids"]
        translations, sources = ids[: len(pairs)], ids[len(pairs) :]
        lengths = [
            min(len(one) + len(other), encoder.max_positions)
            for one, other in zip(translations, sources, strict=True)
        ]
        order = sorted(range(len(pairs)), key=lengths.__getitem__, reverse=True)
        found = []
        with torch.inference_mode():
            start = 0
            while start < len(order):
                rows = order[start : start + max(1, self.batch_tokens // lengths[order[start]])]
                parts = [self._padded([side[row] for row in rows]) for side in (translations, sources)]
                inputs = encoder.concat_sequences(parts)[0]
                moved = {name: tensor.to(self.device, non_blocking=True) for name, tensor in inputs.items()}
                found.append(self.metric(**moved).score)  # left where it is: reading it would wait for the GPU
                start += len(rows)
            scores = torch.cat(found).tolist()
        return [score for _, score in sorted(zip(order, scores, strict=True))]

    def _padded(self, ids: list[list[int]]) -> dict[str, Any]:
        import torch
        from torch.nn.utils.rnn import pad_sequence

        pad = self.metric.encoder.tokenizer.pad_token_id
        rows = [torch.tensor(one) for one in ids]
        return {"input_ids": pad_sequence(rows, batch_first=True, padding_value=pad)}


class AnyComet:
    """Any COMET model by its own prediction, with references for those that read them: for evaluation."""

    def __init__(self, checkpoint: str, *, batch_tokens: int, threads: int, device: str) -> None:
        import torch

        torch.set_num_threads(threads)
        self.batch_tokens, self.device = batch_tokens, device
        self.metric = _loaded(Path(checkpoint)).to(device).eval()

    def score(self, triples: Sequence[tuple[str, str, str]]) -> list[float]:
        """Of source, translation and reference each."""
        import torch

        from xlnu.engines.hf import batched

        samples = [dict(zip(("src", "mt", "ref"), triple, strict=True)) for triple in triples]
        found: dict[int, float] = {}
        for some in batched([max(map(len, triple)) for triple in triples], self.batch_tokens):  # letters: the more
            with torch.inference_mode():
                inputs = self.metric.prepare_sample([samples[i] for i in some], stage="predict")
                said = self.metric.predict_step(_moved(inputs, self.device)).scores
            found |= zip(some, said.tolist(), strict=True)
        return [found[at] for at in range(len(triples))]


def _moved(inputs: Any, device: str) -> Any:
    """Some classes prepare one map, others several."""
    if isinstance(inputs, tuple | list):
        return type(inputs)(_moved(one, device) for one in inputs)
    return {name: one.to(device) if hasattr(one, "to") else one for name, one in inputs.items()}


def _open(checkpoint: Path) -> Any:
    """One that judges by the source alone."""
    metric = _loaded(checkpoint)
    from comet.models import UnifiedMetric

    if type(metric) is not UnifiedMetric or metric.requires_references():  # xCOMET's subclass scores otherwise
        kind = f"{type(metric).__name__}{' that needs references' if metric.requires_references() else ''}"
        raise UserError(
            f"{_file(checkpoint)}: a {kind}; take a UnifiedMetric that needs none, such as wmt22-cometkiwi-da"
        )
    return metric


def _loaded(checkpoint: Path) -> Any:
    path = _file(checkpoint)
    if not path.is_file():
        raise UserError(f"{path}: no such file; name a COMET checkpoint's folder, or the model.ckpt in it")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pkg_resources, of what an older Lightning has saved
        from comet import load_from_checkpoint

        for name in ("comet", "pytorch_lightning"):  # after the import, which sets the level of the second
            logging.getLogger(name).setLevel(logging.ERROR)
        # Weights that are missing would stay random; comet lets that pass, for what is left over is harmless.
        warnings.filterwarnings("error", message="Found keys that are in the model state dict but not in")
        try:
            with _where_its_encoder_is(path.absolute()) as (place, changed):
                metric = load_from_checkpoint(str(place), reload_hparams=changed)
        except Exception as error:  # comet's own are bare Exceptions; a file that is none raises whatever it likes
            why = " ".join(str(error).split())[:300] or type(error).__name__
            raise UserError(f"{path}: comet cannot open it: {why}") from error
    return metric


@contextlib.contextmanager
def _where_its_encoder_is(path: Path) -> Iterator[tuple[Path, bool]]:
    """Where a checkpoint can be opened, and whether it says otherwise than its file. One that has its encoder in a
    folder of its own knows it by the path it was made under; moved, it is opened by way of one that knows better.
    """
    import yaml

    about = path.parents[1] / "hparams.yaml"
    known = yaml.safe_load(about.read_text(encoding="utf-8")) if about.is_file() else {}
    named = Path(known.get("pretrained_model", ""))
    own = path.parents[1] / named.name
    if not named.is_absolute() or named.is_dir() or not (own / "config.json").is_file():
        yield path, False
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "checkpoints", path.name)
        place.parent.mkdir()
        place.symlink_to(path)
        Path(folder, about.name).write_text(yaml.safe_dump(known | {"pretrained_model": str(own)}))
        yield place, True


def _file(checkpoint: Path) -> Path:
    return checkpoint / "checkpoints" / "model.ckpt" if checkpoint.is_dir() else checkpoint
