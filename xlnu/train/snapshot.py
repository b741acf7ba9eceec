"""Ray Train's list of a run's checkpoints, made anew where a kill cut it in two.

Ray writes `checkpoint_manager_snapshot.json` in place: who is killed in that moment leaves a part of it, with which
no run starts again, though the checkpoints are all there.
"""

import json
import posixpath
from typing import Any

from xlnu.store import Entry, Store
from xlnu.train.state import ABOUT, WORKERS

NAME = "checkpoint_manager_snapshot.json"


def mend(store: Store, folder: str) -> bool:
    """Write the list again from the checkpoints that are whole, if there is one that cannot be read."""
    try:
        json.loads(store.read(posixpath.join(folder, NAME)))
    except FileNotFoundError:
        return False
    except ValueError:
        store.write(posixpath.join(folder, NAME), json.dumps(_list(_whole(store, folder))).encode())
        return True
    return False


def _whole(store: Store, folder: str) -> list[dict[str, Any]]:
    """What was measured at each checkpoint of which every worker's share is there, by step."""
    shares: dict[str, int] = {}
    for entry in store.list(folder):
        place, name = posixpath.split(posixpath.relpath(entry.name, folder))
        shares[place] = shares.get(place, 0) + (name.startswith("state-") and _is_whole(store, entry))
    found = []
    for place, whole in shares.items():
        try:
            about = json.loads(store.read(posixpath.join(folder, place, ABOUT)))
        except (FileNotFoundError, ValueError):
            continue
        if whole == about[WORKERS]:
            row = about["curve"][-1]
            measured = {name: row[name] for name in ("loss", "held_out_loss", "grad_norm")}
            found.append({"checkpoint_dir_name": place, "metrics": measured})
    return sorted(found, key=lambda one: str(one["checkpoint_dir_name"]))


def _is_whole(store: Store, entry: Entry) -> bool:
    """By the header of safetensors, which says how long the file is."""
    with store.fs.open_input_file(posixpath.join(store.root, entry.name)) as file:
        begin = file.read(8)
        length = int.from_bytes(begin, "little")
        try:
            header = json.loads(file.read(length)) if len(begin) == 8 and length < entry.size else None
        except ValueError:
            return False
    if header is None:
        return False
    ends = [about["data_offsets"][1] for name, about in header.items() if name != "__metadata__"]
    return entry.size == 8 + length + max(ends, default=0)


def _list(found: list[dict[str, Any]]) -> dict[str, Any]:
    best_last = sorted(found, key=lambda one: -float(one["metrics"]["held_out_loss"]))
    return {
        "checkpoint_results": best_last,
        "checkpoint_report_indices": [found.index(one) for one in best_last],
        "latest_checkpoint_result": found[-1] if found else None,
        "pending_training_results": [],
        "pending_validation_specs": [],
        "current_report_index": len(found),
        "validated_checkpoint_dir_names": [],
        "timed_out_validation_checkpoint_dir_names": [],
        "failed_validation_checkpoint_dir_names": [],
    }
