"""Where the numbers of a training go, step by step: TensorBoard's files, and MLflow and Weights & Biases where the
user's environment names them (MLFLOW_TRACKING_URI; WANDB_API_KEY or WANDB_MODE). A run that goes on after a kill
goes on in the same place there.
"""

import importlib.util
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from xlnu.errors import UserError, first_line

_ASKED_BY = {"mlflow": ("MLFLOW_TRACKING_URI",), "wandb": ("WANDB_API_KEY", "WANDB_MODE")}


class Log(Protocol):
    def put(self, step: int, row: Mapping[str, float]) -> None: ...

    def close(self, failed: bool, /) -> None: ...


def check() -> None:
    """Before any work: what the environment asks for must be there."""
    for name in _ASKED_BY:
        variable = _asked(name)
        if variable and importlib.util.find_spec(name) is None:
            raise UserError(f"{variable}: is set, but {name} is not installed: pip install {name}, or unset it")


def _asked(name: str) -> str:
    """The variable that asks for it."""
    if name == "wandb" and os.environ.get("WANDB_MODE") == "disabled":
        return ""
    return next((variable for variable in _ASKED_BY[name] if os.environ.get(variable)), "")


class Logs:
    """All of them. One that fails is told of once and left alone: a training does not stop for its log."""

    def __init__(
        self, folder: Path | None, address: str, settings: Mapping[str, Any], say: Callable[[str], None]
    ) -> None:
        """`folder`: for TensorBoard; `address`: the step's, by which a run is found again."""
        self.say, self.open = say, dict[str, Log]()
        if folder:
            self._try("TensorBoard", lambda: self.open.update(TensorBoard=_TensorBoard(folder)))
        if _asked("mlflow"):
            self._try("MLflow", lambda: self.open.update(MLflow=_MLflow(address, settings)))
        if _asked("wandb"):
            self._try("W&B", lambda: self.open.update({"W&B": _Wandb(address, settings)}))

    def put(self, step: int, row: Mapping[str, float]) -> None:
        for name, log in list(self.open.items()):
            self._try(name, lambda log=log: log.put(step, row))  # type: ignore[misc]

    def close(self, *, failed: bool) -> None:
        for name, log in list(self.open.items()):
            self._try(name, lambda log=log: log.close(failed))  # type: ignore[misc]

    def _try(self, name: str, do: Callable[[], None]) -> None:
        try:
            do()
        except Exception as error:  # servers fail in all ways
            self.open.pop(name, None)
            self.say(f"{name}: no more is logged there: {first_line(error)}")


class _TensorBoard:
    def __init__(self, folder: Path) -> None:
        from tensorboardX import SummaryWriter

        self.writer: Any = SummaryWriter(str(folder))

    def put(self, step: int, row: Mapping[str, float]) -> None:
        for name, value in row.items():
            self.writer.add_scalar(f"train/{name}", value, step)

    def close(self, _failed: bool) -> None:
        self.writer.close()


class _MLflow:
    """In the experiment of MLFLOW_EXPERIMENT_NAME, as MLflow itself has it."""

    def __init__(self, address: str, settings: Mapping[str, Any]) -> None:
        import mlflow

        experiment = mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", "xlnu"))
        self.client = mlflow.MlflowClient()
        found = self.client.search_runs([experiment.experiment_id], f"tags.xlnu = '{address}'", max_results=1)
        if found:
            self.run = found[0].info.run_id
            self.client.update_run(self.run, status="RUNNING")
        else:
            made = self.client.create_run(experiment.experiment_id, tags={"xlnu": address}, run_name=address)
            self.run = made.info.run_id
            for name, value in settings.items():
                self.client.log_param(self.run, name, value)

    def put(self, step: int, row: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.client.log_batch(self.run, [Metric(name, value, now, step) for name, value in row.items()])

    def close(self, failed: bool) -> None:
        self.client.set_terminated(self.run, "FAILED" if failed else "FINISHED")


class _Wandb:
    """In the project of WANDB_PROJECT, as it has it itself."""

    def __init__(self, address: str, settings: Mapping[str, Any]) -> None:
        import wandb

        project = os.environ.get("WANDB_PROJECT", "xlnu")
        self.run = wandb.init(project=project, id=address, name=address, config=dict(settings), resume="allow")

    def put(self, step: int, row: Mapping[str, float]) -> None:
        self.run.log(dict(row), step=step)

    def close(self, failed: bool) -> None:
        self.run.finish(exit_code=int(failed))
