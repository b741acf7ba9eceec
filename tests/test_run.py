"""Where a job keeps things, and whose settings it reads, when nobody says."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from xlnu import machine
from xlnu.cluster.pools import TranslatorPool
from xlnu.errors import UserError
from xlnu.run import Run, RunConfig
from xlnu.steps import Estimate, Step
from xlnu.store import beside

TOP = Path(__file__).parents[1]


def test_below_a_place_the_way_to_get_there_stays_behind_it() -> None:
    assert beside("", "runs/sdrrl") == "runs/sdrrl"
    assert beside("/nfs/xlnu/", "store") == "/nfs/xlnu/store"
    assert beside("s3://b/p?region=x&scheme=http", "store") == "s3://b/p/store?region=x&scheme=http"


@dataclass
class Config:
    run: RunConfig
    translator: TranslatorPool = field(default_factory=TranslatorPool)


@pytest.mark.parametrize(
    ("cluster", "given", "store", "folder"),
    [
        ("", {}, "runs/store", "runs/sdrrl"),
        ("there", {}, "there/store", "there/runs/sdrrl"),
        ("there", {"store": "mine", "dir": "own"}, "mine", "own"),
    ],
)
def test_a_cluster_says_where_its_jobs_keep_things(
    cluster: str, given: dict[str, Any], store: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XLNU_STORE", cluster)
    monkeypatch.setattr("xlnu.run.settings", vars)
    config = Config(RunConfig(**given))
    Run("sdrrl", config, plan=True)
    assert (config.run.store, config.run.dir) == (store, folder)


@pytest.mark.parametrize(
    ("cluster", "address", "plan", "kinds", "gpus"),
    [
        ("cluster/xlnu.yaml", "", True, 7, 1),
        ("cluster/xlnu.yaml", "there:1", False, 7, 1),
        ("", "there:1", False, 0, 0),  # it is not told before it is connected to
        ("cluster/xlnu.yaml", "", False, 1, machine.gpus()),  # it runs here, and has another's prices
        ("", "", True, 1, machine.gpus()),
    ],
)
def test_the_machines_that_it_will_run_on_say_whether_it_uses_gpus(
    cluster: str, address: str, plan: bool, kinds: int, gpus: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setattr("xlnu.run.settings", vars)
    given = RunConfig(dir=str(tmp_path), store=str(tmp_path), cluster=str(TOP / cluster) if cluster else "")
    config = Config(given)
    made = Run("transfer", config, plan)
    assert len(made._machines()) == kinds
    assert config.translator.gpus == min(1, gpus)


def test_a_plan_has_no_sum_without_a_role_that_the_cluster_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = yaml.safe_load((TOP / "cluster" / "xlnu.yaml").read_text())
    del content["available_node_types"]["scorer"]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setattr("xlnu.run.settings", vars)
    given = RunConfig(dir=str(tmp_path), store=str(tmp_path), cluster=str(tmp_path / "mine.yaml"))
    made = Run("transfer", Config(given), plan=True)
    step = Step("quality", {}, lambda _: 0, estimate=Estimate(10, 100, None, "scorer", 1e15))
    with pytest.raises(UserError, match="no machine has the role scorer, nor can one be started that has it"):
        made.steps([step])


def plan(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(TOP / "jobs" / "transfer.py"), "--plan", "tiny.cache=/nowhere", *arguments]
    return subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False, timeout=120)


def test_your_settings_are_read_unless_you_give_others(tmp_path: Path) -> None:
    yours = plan("tau=0.85", f"tiny.cache={tmp_path}")
    assert yours.stderr.startswith("transfer: settings: configs/transfer.yaml\n")
    assert "the tiny world is not made yet" in yours.stderr, "which they name"
    others = plan("languages=[sw]")
    assert others.returncode == 2
    assert others.stderr.startswith("transfer: instructions.path: must be given"), "no base for it"
