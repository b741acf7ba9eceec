"""What a machine installs, that it finds nothing to do where the image has it, and what Ray is started with: all
in a real shell, where pip, sudo and ray are scripts that write down what they were told.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cluster.shipped import CONTENT, TOP
from xlnu.cluster.kube import FOLDER

DOCKERFILE = (TOP / "cluster" / "Dockerfile").read_text().replace("\\\n", " ")
(SETUP,) = CONTENT["setup_commands"]
(BUILD,) = (line.removeprefix("RUN ") for line in DOCKERFILE.splitlines() if "pip install" in line)
PIP = '#!/bin/sh\nprintf "%s\\n" "$*" >> "$HOME/told"\nexit "$(cat "$HOME/status" 2>/dev/null || echo 0)"\n'
SUDO = '#!/bin/sh\nprintf "%s\\n" "$*" >> "$HOME/asked"\nexec chmod u+w "$3"\n'  # as near as one without root comes
RAY = '#!/bin/sh\nenv > "$HOME/environment"\n'
BARE = ["setpriv", "--bounding-set=-dac_override"] if os.getuid() == 0 else []  # else root may write everywhere


class Machine:
    """Its home, with the files that the launcher copies to it."""

    def __init__(self, home: Path) -> None:
        self.home, self.folder = home, home / "xlnu"
        self.folder.mkdir()
        for name in ("pyproject.toml", "constraints.txt"):
            shutil.copy(TOP / name, self.folder)
        (home / "bin").mkdir()
        for name, script in {"pip": PIP, "sudo": SUDO, "ray": RAY}.items():
            place = home / "bin" / name
            place.write_text(script)
            place.chmod(0o755)

    def run(self, command: str, where: Path) -> int:
        path = f"{self.home / 'bin'}:{os.environ['PATH']}"
        environment = {"HOME": str(self.home), "PATH": path}
        return subprocess.run(
            [*BARE, "bash", "-c", command], cwd=where, env=environment, check=False, timeout=60
        ).returncode

    def setup(self) -> int:
        return self.run(SETUP, self.home)

    @property
    def told(self) -> list[str]:
        """What pip was told, each time."""
        place = self.home / "told"
        return place.read_text().splitlines() if place.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_setup_installs_once_and_then_never_again(machine: Machine) -> None:
    assert [machine.setup() for _ in range(3)] == [0, 0, 0]
    assert machine.told == ["install --quiet -c constraints.txt -e .[eval] boto3"]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_setup_installs_again_when_what_is_wanted_has_changed(machine: Machine, name: str) -> None:
    machine.setup()
    with (machine.folder / name).open("a") as changed:
        changed.write("\n# changed\n")
    assert [machine.setup() for _ in range(2)] == [0, 0]
    assert len(machine.told) == 2


def test_setup_that_fails_is_not_taken_for_done(machine: Machine) -> None:
    (machine.home / "status").write_text("1")
    assert machine.setup() == 1
    assert not (machine.folder / "installed").exists()
    (machine.home / "status").unlink()
    assert machine.setup() == 0
    assert len(machine.told) == 2


def test_setup_takes_the_folder_that_docker_made_roots(machine: Machine) -> None:
    machine.folder.chmod(0o555)
    assert machine.setup() == 0
    assert (machine.home / "asked").read_text() == f"chown {os.getuid()}:{os.getgid()} {machine.folder}\n"
    assert (machine.folder / "installed").exists()
    (machine.home / "asked").unlink()
    assert machine.setup() == 0
    assert not (machine.home / "asked").exists()  # it is one's own


@pytest.mark.parametrize("commands", ["head_start_ray_commands", "worker_start_ray_commands"])
def test_ray_starts_with_the_keys_that_are_there(commands: str, machine: Machine) -> None:
    *_, start = CONTENT[commands]
    for keys in ({}, {"HF_TOKEN": "hf_1", "OPENAI_API_KEY": "sk-2"}):
        if keys:
            (machine.home / ".ray").mkdir()
            (machine.home / ".ray" / "keys").write_text("".join(f"{key}={value}\n" for key, value in keys.items()))
        assert machine.run(start, machine.home) == 0
        lines = (machine.home / "environment").read_text().splitlines()
        found = dict(line.split("=", 1) for line in lines if "=" in line)
        assert {key: found[key] for key in ("HF_TOKEN", "OPENAI_API_KEY") if key in found} == keys
        assert found["RAY_USAGE_STATS_ENABLED"] == "0"


def test_every_shell_of_a_machine_shows_the_token() -> None:
    assert "-e RAY_AUTH_MODE=token" in CONTENT["docker"]["run_options"]


def test_setup_finds_nothing_to_do_in_the_image(machine: Machine) -> None:
    assert machine.run(BUILD, machine.folder) == 0
    assert machine.setup() == 0
    (told,) = machine.told
    assert told.replace(" --no-cache-dir", "") == "install --quiet -c constraints.txt -e .[eval] boto3"


def test_an_image_whose_packages_are_missing_is_not_made(machine: Machine) -> None:
    (machine.home / "status").write_text("1")
    assert machine.run(BUILD, machine.folder) == 1
    assert not (machine.folder / "installed").exists()


def test_the_image_has_what_a_job_needs_where_it_is_looked_for() -> None:
    assert f"WORKDIR {FOLDER}" in DOCKERFILE.splitlines()
    copied = {
        name: target
        for *names, target in (line.split()[2:] for line in DOCKERFILE.splitlines() if line.startswith("COPY "))
        for name in names
    }
    assert all((TOP / name).exists() for name in copied)
    assert {name: copied[name] for name in ("xlnu", "jobs", "configs", "cluster")} == {
        name: name for name in ("xlnu", "jobs", "configs", "cluster")
    }
    # the launcher copies the same to where the image has it: the home of Ray's images is the folder above
    mounted = {Path(place).relative_to("~/xlnu").as_posix() for place in CONTENT["file_mounts"] if "xlnu" in place}
    assert mounted <= set(copied)
    assert re.findall(r"cd (\S+)", SETUP) == ["~/xlnu"]
    assert Path(FOLDER) == Path("/home/ray/xlnu")
