"""The tensors of a checkpoint, read one at a time: no model is ever in memory as a whole."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlnu.errors import UserError, first_line

if TYPE_CHECKING:
    import torch

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
FLOATS = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}  # what can be averaged, as torch calls it
AT_ONCE = 1_000_000  # values that are computed with at once: 4 MB of them in float32


class Weights:
    """A folder's safetensors, by the names of the tensors. `label` begins every message."""

    def __init__(self, folder: Path, label: str) -> None:
        from safetensors import SafetensorError, safe_open

        self.label = label
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.dtypes: dict[str, str] = {}
        self._files: dict[str, Any] = {}
        for path, expected in _files(folder, label).items():
            try:
                # read, not mapped: a mapped page counts as memory for as long as the file is open
                file: Any = safe_open(path, framework="pt", backend="pread")
            except (SafetensorError, OSError) as error:
                raise UserError(f"{label}: {path.name} cannot be read: {first_line(error)}") from None
            names = set(file.keys())
            if expected is not None and names != expected:
                raise UserError(f"{label}: {path.name} and {INDEX} do not agree on {min(names ^ expected)}")
            for name in names:
                if name.endswith("rotary_emb.inv_freq"):  # of old checkpoints; transformers computes it
                    continue
                about = file.get_slice(name)
                self.shapes[name], self.dtypes[name] = tuple(about.get_shape()), about.get_dtype()
                self._files[name] = file

    def dtype(self, name: str) -> "torch.dtype":
        import torch

        found: torch.dtype = getattr(torch, FLOATS[self.dtypes[name]])
        return found

    def size(self, name: str) -> int:
        return math.prod(self.shapes[name]) * self.dtype(name).itemsize

    def read(self, name: str) -> "torch.Tensor":
        tensor: torch.Tensor = self._files[name].get_tensor(name)
        return tensor

    def pieces(self, name: str) -> Iterator[tuple[slice, "torch.Tensor"]]:
        """The tensor in float32, some rows at a time, and which rows they are."""
        shape = self.shapes[name]
        rows = max(1, AT_ONCE // max(1, math.prod(shape[1:])))
        for start in range(0, shape[0], rows):
            here = slice(start, min(start + rows, shape[0]))
            yield here, self._files[name].get_slice(name)[here].float()


def _files(folder: Path, label: str) -> dict[Path, set[str] | None]:
    """The files that transformers would open, and what the index says is in them."""
    if (folder / SINGLE).is_file():
        return {folder / SINGLE: None}
    if not (folder / INDEX).is_file():
        if list(folder.glob("*.bin")):
            raise UserError(
                f"{label}: its weights are .bin files, which cannot be read in parts: write safetensors with "
                "AutoModelForCausalLM.from_pretrained(FOLDER, dtype='auto').save_pretrained(ANOTHER_FOLDER)"
            )
        raise UserError(f"{label}: no weights: neither {SINGLE} nor {INDEX} is in the folder")
    try:
        where: dict[str, str] = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
        files = {folder / file: {name for name in where if where[name] == file} for file in where.values()}
    except (ValueError, KeyError, AttributeError, TypeError):
        raise UserError(f"{label}: {INDEX} is damaged: copy the checkpoint again") from None
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise UserError(f"{label}: {missing[0]}, which {INDEX} names, is missing: copy the checkpoint again")
    return dict(files)


def half_of_each(one: Weights, other: Weights, name: str) -> "torch.Tensor":
    """The mean of a tensor in two models, computed in float32, as their dtype."""
    import torch

    mean = torch.empty(one.shapes[name], dtype=one.dtype(name))
    for (rows, a), (_, b) in zip(one.pieces(name), other.pieces(name), strict=True):
        mean[rows] = (a + b) / 2
    return mean


def change(expert: Weights, base: Weights, name: str) -> float:
    """How far an expert is from its base: ||expert - base|| / ||base||, Frobenius."""
    import torch

    apart, whole = 0.0, 0.0
    for (_, a), (_, b) in zip(expert.pieces(name), base.pieces(name), strict=True):
        apart = math.hypot(apart, torch.linalg.vector_norm(a - b).item())
        whole = math.hypot(whole, torch.linalg.vector_norm(b).item())
    if whole == 0 or not math.isfinite(apart / whole):
        raise UserError(
            f"{expert.label}: {name} cannot be compared: here or in the base it is all zeros, or not finite"
        )
    return apart / whole
