"""Who is let in, and how keys are made."""

import hashlib
import subprocess
import sys

import pytest

from xlnu.errors import UserError
from xlnu.serve.ingress import refuse_strangers
from xlnu.serve.keys import ENVIRONMENT, from_environment, hashed, owner


def test_a_key_is_made_with_the_hash_that_lets_it_in() -> None:
    done = subprocess.run([sys.executable, "-m", "xlnu.serve.keys"], capture_output=True, text=True, check=True)
    made = dict(line.split() for line in done.stdout.splitlines())
    assert len(made["key"]) > 40
    assert made["hash"] == hashlib.sha256(made["key"].encode()).hexdigest()
    assert owner(f"Bearer {made['key']}", {"me": made["hash"]}) == "me"
    again = subprocess.run([sys.executable, "-m", "xlnu.serve.keys"], capture_output=True, text=True, check=True)
    assert again.stdout != done.stdout


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer b-key", "Basic a-key", "a-key", "Bearer \udcff"]
)
def test_nobody_elses_key_lets_in(header: str | None) -> None:
    assert owner(header, {"a": hashed("a-key"), "c": hashed("c-key")}) is None


def test_each_key_has_its_owner() -> None:
    known = {"a": hashed("a-key"), "c": hashed("c-key")}
    assert owner("Bearer a-key", known) == "a"
    assert owner("bearer  c-key ", known) == "c"


def test_keys_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, " first-key-of-sixteen , second-key-of-sixteen,")
    found = from_environment()
    assert list(found) == ["environment-1", "environment-2"]
    assert owner("Bearer second-key-of-sixteen", found) == "environment-2"
    monkeypatch.setenv(ENVIRONMENT, "first-key-of-sixteen,short")
    with pytest.raises(UserError, match="key 2 is shorter"):
        from_environment()
    monkeypatch.delenv(ENVIRONMENT)
    assert from_environment() == {}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "server.example"])
def test_strangers_need_keys(host: str) -> None:
    with pytest.raises(ValueError, match="has no keys"):
        refuse_strangers({}, host)
    refuse_strangers({"me": hashed("a-key")}, host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_who_is_here_needs_none(host: str) -> None:
    refuse_strangers({}, host)
