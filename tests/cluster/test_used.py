"""Hours and money: of machines that were seen, and of those that a plan asks for."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.shipped import SHIPPED, TOP
from xlnu.cluster import cost, file
from xlnu.cluster.cost import Need, Price, Prices
from xlnu.cluster.timeline import picture, waits
from xlnu.cluster.used import machines, plot
from xlnu.cluster.watch import USED, Seen, drivers, type_of
from xlnu.errors import UserError
from xlnu.progress import Past
from xlnu.store import Store

CLUSTER = file.read(str(SHIPPED))
PRICES = cost.read(str(TOP / "cluster" / "prices.yaml"))


def seen() -> Seen:
    """A translator from 10 s on, a second from 20 to 50, both for a step from 5 to 40."""
    made = Seen(1000.0, steps=[Past("translated", 1005.0, 1015.0, 1040.0, ["translator"])])
    for at, number in ((0, 0), (10, 1), (20, 2), (50, 1), (60, 0), (100, 0)):
        made.put(1000.0 + at, {"head": 1} | ({"translator": number} if number else {}))
    return made


def test_hours_are_of_all_machines_and_idle_ones_are_told() -> None:
    head, translator = machines([seen(), seen()], CLUSTER.types, PRICES)
    assert (head.type, translator.type) == ("head", "translator")
    assert translator.hours * 3600 == pytest.approx(2 * (10 + 2 * 30 + 10))
    assert translator.idle_hours * 3600 == pytest.approx(2 * (2 * 10 + 10)), "after the step's end"
    assert translator.money == pytest.approx(translator.hours * 0.36), "it is spot"
    assert head.hours * 3600 == pytest.approx(200)
    assert head.idle_hours == 0, "it never is"
    assert (translator.most, translator.currency) == (2, "USD")


def test_what_no_table_has_a_price_for_is_unknown_and_not_free() -> None:
    found = machines([seen()], CLUSTER.types, Prices("EUR", {}))
    assert [one.money for one in found] == [None, None]
    assert machines([seen()], (), None)[0].instance == ""


def test_of_machines_that_no_file_tells_of_any_step_is_work() -> None:
    found = {one.type: one for one in machines([seen()], (), None)}
    assert found["translator"].idle_hours * 3600 == pytest.approx(2 * 10 + 10)
    assert found["head"].idle_hours * 3600 == pytest.approx(100 - 35), "what it has a role for is not known either"


def test_only_tries_of_the_same_steps_are_of_a_run(tmp_path: Path) -> None:
    folder = Store(str(tmp_path))
    for name, of in (("a", "these"), ("b", "others"), ("c", "these")):
        folder.write(f"{USED}/{name}.json", replace(seen(), of=of).to_json())
    assert len(drivers(folder, "these")) == 2
    assert len(drivers(folder)) == 3


def test_it_is_kept_and_read_again_and_drawn() -> None:
    again = Seen.from_json(seen().to_json())
    assert again == seen()
    assert waits(again) == {"translator": 10.0}
    series = {one.name: one.points for one in plot(again, CLUSTER.types).series}
    assert set(series) == {"translator"}
    assert max(number for _, number, *_ in series["translator"] if number is not None) == 2
    assert picture(again, CLUSTER.types, "machines").startswith(b"\x89PNG")


def test_a_machine_is_of_the_type_that_it_says_unless_its_roles_say_otherwise() -> None:
    def node(label: str, **resources: float) -> dict[str, object]:
        return {"Labels": {"ray.io/node-group": label}, "Resources": resources}

    assert type_of(node("translator", translator=1), CLUSTER.types) == "translator"
    assert type_of(node("head", translator=1), CLUSTER.types) == "translator"
    assert type_of(node("big", CPU=4), CLUSTER.types) == "machine"
    assert type_of(node("big", CPU=4), ()) == "big"


def test_a_plan_tells_hours_and_money_by_type() -> None:
    prices = Prices("USD", {"g6.xlarge": Price(0.8, 0.4, 1e12), "m7i.2xlarge": Price(0.5)})
    effort = 1e12 * 3600 * 64  # 64 hours of one
    found = cost.told([Need("translator", effort / 2), Need("translator", effort / 2)], CLUSTER, prices)
    (one,) = found
    around = 32 * (cost.START + 300) / 3600
    assert one.hours == pytest.approx(64 + around), "and the time that machines start and idle in"
    assert one.money == pytest.approx((64 + around) * 0.4)
    assert one.least == pytest.approx(2)
    table = cost.table(found, CLUSTER, prices)
    assert f"{one.money:,.2f}" in table
    assert "unknown" not in table
    two, three = Need("translator", effort / 2, 2), Need("translator", effort / 2, 3)
    for needs, number in (([two, three], 3), ([two.beside(three)], 5)):
        (few,) = cost.told(needs, CLUSTER, prices)
        assert few.machines == number, "as many as there are parts at once"
        assert few.hours == pytest.approx(64 + number * (cost.START + 300) / 3600)
    unknown = cost.told([Need("translator", None)], CLUSTER, prices)
    assert (unknown[0].hours, unknown[0].money) == (None, None)
    assert cost.table(unknown, CLUSTER, prices).count("unknown") == 5


def test_reading_and_training_have_speeds_of_their_own() -> None:
    prices = Prices(
        "USD", {"g6e.12xlarge": Price(10.0, trains=2e12), "g6.xlarge": Price(1.0, speed=1e12, reads=4e12)}
    )
    (judge,) = cost.told([Need("scorer", 4e12 * 3600 * 5)], CLUSTER, prices)
    assert judge.least * judge.machines == pytest.approx(5)
    (one,) = cost.told([Need("trainer", 2e12 * 4 * 3600 * 5)], CLUSTER, prices)
    assert one.least * one.machines == pytest.approx(5), "of a machine with four GPUs"
    assert [cost.told([Need("trainer", 1e12, n)], CLUSTER, prices)[0].machines for n in (4, 5)] == [1, 2]
    unknown = Prices("USD", {"g6e.12xlarge": Price(10.0, speed=1e12), "g6.xlarge": Price(1.0, speed=1e12)})
    assert cost.told([Need("trainer", 1e12)], CLUSTER, unknown)[0].hours is None
    assert cost.told([Need("scorer", 1e12)], CLUSTER, unknown)[0].hours is None


def test_every_shipped_machine_has_a_price() -> None:
    for of in CLUSTER.types:
        assert PRICES.hour(of), of.name
        for role in of.roles or [""]:
            assert PRICES.speed(of, role), f"{of.name}: {role}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("machines: [1]", "a table of prices has"),
        ("machines: {a: {on_demand: -1}}", "a: less than nothing"),
        ("machines: {a: {ondemand: 1}}", "ondemand"),
        ("machines: {a: {on_demand: much}}", "much"),
        ("", "a table of prices has"),
    ],
)
def test_a_wrong_table_is_named(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        cost.read(str(path))
    with pytest.raises(UserError, match="there is no table of prices"):
        cost.read(str(tmp_path / "other.yaml"))
