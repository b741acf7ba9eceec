"""Naming suites, and a whole run."""

import json

import pytest

from xlnu import config
from xlnu.bench import suites
from xlnu.bench.frame import Bench
from xlnu.errors import UserError


def two_sums() -> list[Bench]:
    return [
        Bench(
            name="sum", baseline="a loop", goal=2, unit="s", higher_is_better=False, limit="the bus",
            ours=lambda: (1.0, 10), theirs=lambda: (3.0, 10),
        ),
        Bench(
            name="words", baseline="a list", goal=2, unit="words/s", higher_is_better=True, limit="the bus",
            ours=lambda: (300.0, "a b"), theirs=lambda: (200.0, "a b"),
        ),
    ]  # fmt: skip


def test_a_run_measures_and_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(suites.SUITES, "sums", two_sums)
    files: dict[str, bytes] = {}
    said: list[str] = []
    config = suites.BenchConfig(only=["sums"], repeats=2, warmup=1)
    results = suites.measure_all(config, put=files.__setitem__, say=said.append)
    assert [(result.name, result.ratio, result.short) for result in results] == [
        ("sum", 3, False),
        ("words", 1.5, True),
    ]
    assert said == ["sums: sum against a loop", "sums: words against a list"]
    assert list(files) == ["bench.png", "bench.json"]
    assert [(b["name"], b["ratio"]) for b in json.loads(files["bench.json"])["benches"]] == [
        ("sum", 3),
        ("words", 1.5),
    ]
    assert files["bench.png"].startswith(b"\x89PNG")


def test_no_names_are_all_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suites, "SUITES", {"one": two_sums, "two": two_sums})
    config = suites.BenchConfig(repeats=1, warmup=0)
    results = suites.measure_all(config, put=lambda *_: None, say=lambda _: None)
    assert [result.name for result in results] == ["sum", "words"] * 2


def test_an_unknown_name_gets_the_nearest_right_one() -> None:
    assert config.load(suites.BenchConfig, arguments=["only=[startup]"]).only == ["startup"]
    with pytest.raises(UserError, match=r"only: .*did you mean startup"):
        config.load(suites.BenchConfig, arguments=["only=[startap]"])


def test_defaults_run_everything_five_times() -> None:
    assert config.load(suites.BenchConfig) == suites.BenchConfig(only=[], repeats=5, warmup=1)
    with pytest.raises(UserError, match=r"repeats: .*at least 1"):
        config.load(suites.BenchConfig, arguments=["repeats=0"])
