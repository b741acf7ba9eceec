"""The disk of the store is full in the middle of a run, and has room again: a real file system, a small one."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.clusters import TOP
from xlnu import manifest
from xlnu.steps import Result
from xlnu.store import Store
from xlnu.tiny.build import Built

pytestmark = pytest.mark.timeout(900)

FEW = [
    "tiny.size=xs", "languages=[qaa_Latn]", "instructions.at_most=24", "english.rows_per_part=6", "samples=0",
    "english.reject=[]", "english.max_new_tokens=8", "translator.max_tokens=12", "transfer.flags=[]",
    "transfer.tau=0", "transfer.parallel.pairs=20",
]  # fmt: skip
# mounted for this process alone, and gone with it
SCRIPT = """
mount -t tmpfs -o size=$2k tmpfs "$1/store" || exit 77
shift 2
"$@" 2> "$0/first"; echo $? > "$0/first.code"
mount -o remount,size=64m "$0/store"
"$@" 2> "$0/second"; echo $? > "$0/second.code"
cp -r "$0/store" "$0/kept"
"""


def command(folder: Path, tiny: Built) -> list[str]:
    config = ["--config", str(TOP / "configs" / "tiny" / "transfer.yaml"), f"tiny.cache={tiny.data.parent}"]
    places = [f"run.store={folder}/store", f"run.dir={folder}/run"]
    return [sys.executable, str(TOP / "jobs" / "transfer.py"), *config, *FEW, *places]


def content(store: Store) -> dict[str, Any]:
    found = dict[str, Any]()
    for address in {entry.name.partition("/")[0] for entry in store.list("")}:
        made = manifest.read(store, address)
        assert made is not None, f"{address} is not finished"
        result = Result(store, made, skipped=True)
        rows = result.table().to_pylist() if result.paths() else []
        found[address] = sorted(json.dumps(row) for row in rows)
    return found


def test_a_full_disk_ends_it_in_a_line_and_with_room_it_goes_on(tiny: Built, tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare")
    calm, full = tmp_path / "calm", tmp_path / "full"
    for folder in (calm, full):
        (folder / "store").mkdir(parents=True)
    subprocess.run(command(calm, tiny), check=True, capture_output=True, timeout=300)
    bytes_of = sum(path.stat().st_size for path in (calm / "store").rglob("*") if path.is_file())
    shell = ["unshare", "--map-root-user", "--mount", "sh", "-c", SCRIPT, str(full)]
    done = subprocess.run(
        [*shell, str(full), str(bytes_of // 1024 * 7 // 10), *command(full, tiny)],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    first, second = (full / "first").read_text(), (full / "second").read_text()
    assert (full / "first.code").read_text().strip() == "1", first
    assert "Traceback" not in first
    assert "No space left on device" in first.splitlines()[-1]
    assert first.splitlines()[-1].startswith("transfer: ")
    assert "run the same command again" in first.splitlines()[-1]
    assert (full / "second.code").read_text().strip() == "0", second
    assert "done before" in second
    assert content(Store(str(full / "kept"))) == content(Store(str(calm / "store")))
