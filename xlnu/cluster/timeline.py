"""A picture of machines by type over the steps of a job, and what it comes to in numbers."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from xlnu.cluster.file import NodeType
from xlnu.cluster.watch import Seen
from xlnu.progress import Past


@dataclass(frozen=True)
class Used:
    """Machines of one type: how many at most, how long all of them, and how long of that no step of theirs ran."""

    type: str
    most: int
    seconds: float
    idle: float


def used(seen: Seen, types: Sequence[NodeType]) -> list[Used]:
    roles = {one.name: one.roles for one in types}
    made = []
    for name, most in sorted(seen.most().items()):
        # What no cluster file tells the roles of may be there for any step.
        own = [one for one in seen.steps if one.roles and (name not in roles or roles[name] & set(one.roles))]
        busy = _spans(own, seen.ended)
        worked = sum(
            number * max(0.0, min(end, stop) - max(at, begin))
            for at, end, number in seen.spans(name)
            for begin, stop in busy
        )
        seconds = sum(number * (end - at) for at, end, number in seen.spans(name))
        made.append(Used(name, most, seconds, seconds - worked))
    return made


def _spans(steps: Sequence[Past], now: float) -> list[tuple[float, float]]:
    """When at least one of them ran."""
    found: list[tuple[float, float]] = []
    for begin, end in sorted((step.began, step.ended or now) for step in steps):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


def waits(seen: Seen) -> dict[str, float]:
    """Of each role's first step: seconds from its begin to the first that was done, machines' start among them."""
    found: dict[str, float] = {}
    for step in sorted(seen.steps, key=lambda step: step.began):
        for role in step.roles[:1]:
            if step.first and role not in found:
                found[role] = step.first - step.began
    return found


def picture(seen: Seen, types: Sequence[NodeType], title: str) -> bytes:
    """PNG: the steps above, below them a row for each type of machine that was ever up."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    zero = seen.counts[0][0] if seen.counts else seen.began
    steps = [step for step in sorted(seen.steps, key=lambda step: step.began) if step.roles]
    order = [one.name for one in types]
    names = sorted(seen.most(), key=lambda name: (order.index(name) if name in order else len(order), name))
    roles = {one.name: sorted(one.roles) for one in types}
    colours = {role: f"C{at}" for at, role in enumerate(dict.fromkeys(r for n in names for r in roles.get(n, [n])))}
    heights = [max(1.2, 0.21 * len(steps)), *(0.55 for _ in names)]
    figure = Figure(figsize=(11, sum(heights) + 1.1), layout="constrained")
    first, *rows = figure.subplots(1 + len(names), 1, sharex=True, height_ratios=heights)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    for at, step in enumerate(steps):
        end = step.ended or seen.ended
        colour = colours.get(step.roles[0], "grey")
        first.barh(at, end - step.began, left=step.began - zero, color=colour, height=0.7)
        first.text(end - zero, at, f"  {step.name}", va="center", fontsize=7)
    first.set_ylim(len(steps) - 0.4, -0.6)
    first.set_yticks([])
    first.set_ylabel("steps", rotation=0, ha="right", va="center")
    for row, name in zip(rows, names, strict=True):
        runs = seen.spans(name)
        edges = [begin - zero for begin, _, _ in runs] + [seen.ended - zero]
        colour = colours.get((roles.get(name) or [name])[0], "grey")
        row.stairs([number for _, _, number in runs], edges, fill=True, color=colour)
        row.set_ylim(0, max(1, seen.most()[name]) * 1.15)
        row.yaxis.set_major_locator(MaxNLocator(1, integer=True))
        row.set_ylabel(name, rotation=0, ha="right", va="center")
    for one in (first, *rows):
        one.spines[["top", "right"]].set_visible(False)
    rows[-1].set_xlabel("seconds") if rows else first.set_xlabel("seconds")
    first.set_xlim(0, (seen.ended - zero) * 1.12)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    return data.getvalue()
