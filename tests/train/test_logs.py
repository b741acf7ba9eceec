"""Where a training's numbers go: real MLflow, real Weights & Biases without its server, and one that fails."""

from pathlib import Path

import pytest

from tests.waiting import until
from xlnu.errors import UserError
from xlnu.train import logs
from xlnu.train.logs import Logs

ADDRESS = "model-0123456789abcdef"


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for names in logs._ASKED_BY.values():
        for name in names:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # the one store that needs no database


def test_mlflow_has_one_run_for_a_training_and_its_continuation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file://{tmp_path}/mlflow")
    said: list[str] = []
    for steps in ((1, 2), (3,)):
        log = Logs(None, ADDRESS, {"train.lr": 0.5}, said.append)
        for step in steps:
            log.put(step, {"loss": 1.0 / step})
        log.close(failed=False)
    assert said == []
    import mlflow

    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("xlnu")
    assert experiment
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.params == {"train.lr": "0.5"}
    assert run.info.status == "FINISHED"
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(one.step, one.value) for one in history] == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]


def test_wandb_without_its_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    said: list[str] = []
    log = Logs(None, ADDRESS, {"train.lr": 0.5}, said.append)
    log.put(1, {"loss": 1.0})
    log.close(failed=False)
    assert said == []
    (file,) = tmp_path.rglob(f"run-{ADDRESS}.wandb")
    # another process writes it, and on a busy machine not before it says that it has
    until(lambda: b"loss" in file.read_bytes(), 60)


def test_a_log_that_fails_is_told_of_once_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file://{tmp_path}/file/mlflow")
    said: list[str] = []
    log = Logs(tmp_path / "tensorboard", ADDRESS, {}, said.append)
    for step in (1, 2):
        log.put(step, {"loss": 1.0})
    log.close(failed=False)
    assert len(said) == 1, said
    assert said[0].startswith("MLflow: no more is logged there: ")
    assert list((tmp_path / "tensorboard").iterdir())


def test_what_is_asked_for_and_missing_is_said_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    logs.check()
    monkeypatch.setenv("WANDB_API_KEY", "x")
    logs.check()
    monkeypatch.setattr(logs, "_ASKED_BY", {"no_such_log": ("WANDB_API_KEY",)})
    with pytest.raises(UserError, match="WANDB_API_KEY: is set, but no_such_log is not installed"):
        logs.check()
