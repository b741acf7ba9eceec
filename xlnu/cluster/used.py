"""What a job had of a cluster, for its report: of all its drivers, for what was killed and redone cost as well."""

from collections.abc import Sequence

from xlnu.cluster.cost import Prices
from xlnu.cluster.file import NodeType
from xlnu.cluster.timeline import used
from xlnu.cluster.watch import Seen
from xlnu.report.document import Machines, Plot, Series


def machines(drivers: Sequence[Seen], types: Sequence[NodeType], prices: Prices | None) -> list[Machines]:
    known, found = {one.name: one for one in types}, dict[str, list[tuple[int, float, float]]]()
    for seen in drivers:
        for one in used(seen, types):
            found.setdefault(one.type, []).append((one.most, one.seconds, one.idle))
    made = []
    for name, each in found.items():
        of, hours = known.get(name), sum(seconds for _, seconds, _ in each) / 3600
        price = prices.hour(of) if prices and of else None
        made.append(
            Machines(
                type=name,
                instance=of.instance if of else "",
                spot=bool(of and of.spot),
                most=max(most for most, _, _ in each),
                hours=hours,
                idle_hours=0.0 if of and of.head else sum(idle for _, _, idle in each) / 3600,
                money=None if price is None else hours * price,
                currency=prices.currency if prices and price is not None else "",
            )
        )
    order = list(known)
    return sorted(made, key=lambda one: (order.index(one.type) if one.type in known else len(order), one.type))


def plot(seen: Seen, types: Sequence[NodeType]) -> Plot:
    """Of one driver: how many there were of each type."""
    zero, heads = seen.counts[0][0], {one.name for one in types if one.head}
    series = []
    for name in sorted(set(seen.most()) - heads):
        points: list[list[float | None]] = []
        for begin, end, number in seen.spans(name):
            points += [[(at - zero) / 60, float(number), None, None] for at in (begin, end)]
        series.append(Series(name, points))
    return Plot("Machines", "machines that were up, by type", "minutes", "machines", series)
