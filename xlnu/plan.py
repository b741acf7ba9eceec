"""What steps would do: which of them are done, and what the rest is estimated to take."""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from xlnu import manifest
from xlnu.columns import columns
from xlnu.steps import PART, Estimate, Step, read_cut
from xlnu.store import Store


@dataclass(frozen=True)
class Standing:
    """Of a step: the rows it has if it is done, and else the share of it that is to do."""

    step: Step
    rows: int | None
    left: float


def standing(steps: Sequence[Step], store: Store) -> list[Standing]:
    found = []
    for step in {step.address: step for step in steps}.values():
        made = manifest.read(store, step.address)
        found.append(
            Standing(step, made.rows_out, 0.0) if made else Standing(step, None, 1 - _share_done(step, store))
        )
    return found


def plan(steps: Sequence[Step], store: Store, price: float) -> str:
    """What a run would do: each step, whether it is done, and what the rest is estimated to take."""
    return planned(standing(steps, store), price)


def planned(stand: Sequence[Standing], price: float) -> str:
    lines = [["step", "address", "state", "rows", "tokens", "hours", "cost"]]
    rest = Estimate(rows=0)
    for one in stand:
        if one.rows is not None:
            lines.append([one.step.name, one.step.address, "done", f"{one.rows:,}", "", "", ""])
            continue
        full = one.step.estimate or Estimate(rows=0)
        hours = None if full.hours is None else full.hours * one.left
        left = Estimate(round(full.rows * one.left), round(full.tokens * one.left), hours)
        known = None if rest.hours is None or hours is None else rest.hours + hours
        rest = Estimate(rest.rows + left.rows, rest.tokens + left.tokens, known)
        state = f"{1 - one.left:.0%} done" if one.left < 1 else "to do"
        lines.append([one.step.name, one.step.address, state, *_cells(left, price)])
    lines.append(["left to do", "", "", *_cells(rest, price)])
    return columns(lines, 3)


def _cells(left: Estimate, price: float) -> list[str]:
    if left.hours is None:
        return [f"{left.rows:,}", f"{left.tokens:,}", "unknown", "unknown"]
    cost = f"{left.hours * price:,.2f}" if price else "no price"
    return [f"{left.rows:,}", f"{left.tokens:,}", f"{left.hours:,.4f}", cost]


def _share_done(step: Step, store: Store) -> float:
    cut = read_cut(store, step.address)
    if cut is None:
        return 0.0
    tables: dict[str, set[str]] = {}
    for folder, name in (posixpath.split(entry.name) for entry in manifest.data_files(store, step.address)):
        if PART.fullmatch(name):
            tables.setdefault(folder, set()).add(name)
    there = set.intersection(*tables.values()) if tables else set()  # a part may be of several tables
    return min(1.0, len(there) * cut[1] / max(1, cut[0]))
