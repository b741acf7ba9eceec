"""What fits on which machines: no Ray is needed to tell."""

import re
from dataclasses import dataclass

import pytest

from xlnu.cluster.pools import Kind, PoolConfig, TrainerPool, TranslatorPool, asks, place, settle
from xlnu.cluster.roles import ROLES, SHARE
from xlnu.errors import UserError
from xlnu.train.config import LoopConfig, workers

HEAD = Kind("head", 8, 0, frozenset({"head"}), 1)
TRANSLATOR = Kind("translator", 4, 1, frozenset({"translator"}), 32)
TRAINER = Kind("trainer", 48, 4, frozenset({"trainer"}), 2)
LAPTOP = Kind("machine", 8, 1, frozenset(ROLES), 1)
BARE = Kind("machine", 8, 0, frozenset(), 1)


def test_a_pool_is_as_large_as_the_machines_of_its_role_may_become() -> None:
    placed = place(TranslatorPool(gpus=1), [HEAD, TRANSLATOR, TRAINER])
    assert (placed.actors, placed.cpus, placed.gpus) == (32, 1, 1)
    assert placed.resources == {"translator": SHARE}
    assert place(TranslatorPool(), [HEAD, TRANSLATOR, TRAINER]).cpus == 4, (
        "all cores of its machine, not of another"
    )
    assert place(TrainerPool(gpus=1, least=1), [HEAD, TRAINER]).least == 1
    assert place(TrainerPool(gpus=1), [HEAD, TRAINER]).actors == 8


@dataclass
class Config:
    translator: TranslatorPool
    train: TrainerPool


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ([HEAD, TRANSLATOR, TRAINER], (1, 1)),
        ([HEAD, TRANSLATOR], (1, 0)),
        ([TRANSLATOR, Kind("old", 64, 0, frozenset({"translator"}), 1), TRAINER], (0, 1)),
        ([LAPTOP], (1, 1)),
        ([BARE], (0, 0)),
        ([], (0, 0)),
    ],
)
def test_gpus_that_are_there_are_used_unless_somebody_says_otherwise(
    there: list[Kind], found: tuple[int, int]
) -> None:
    config = Config(TranslatorPool(), TrainerPool())
    assert place(config.translator, [TRANSLATOR]).gpus == 0, "until it is settled"
    settle(config, there)
    assert (config.translator.gpus, config.train.gpus) == found
    said = Config(TranslatorPool(gpus=2), TrainerPool(gpus=0))
    settle(said, there)
    assert (said.translator.gpus, said.train.gpus) == (2, 0)


def test_a_role_that_nothing_has_is_named() -> None:
    told = "no machine has the role trainer, nor can one be started that has it (1 x head: 8 cores, 0 GPUs, head; "
    with pytest.raises(UserError, match=re.escape(told)) as said:
        place(TrainerPool(), [HEAD, TRANSLATOR])
    assert "`resources: {trainer: 1}`" in str(said.value)


def test_what_is_too_large_for_its_role_is_refused_though_it_fits_elsewhere() -> None:
    with pytest.raises(UserError, match="8 cores fits on no machine with the role translator here"):
        place(TranslatorPool(cpus=8), [HEAD, TRANSLATOR, TRAINER])
    with pytest.raises(
        UserError, match="33 actors with 1 cores and 1 GPUs each do not fit here, 32 do with the role"
    ):
        place(TranslatorPool(actors=33, gpus=1), [HEAD, TRANSLATOR])


def test_where_no_machine_has_a_role_every_machine_does_everything() -> None:
    assert place(TranslatorPool(), [BARE]).resources == {}
    assert asks("server", [BARE]) == {}
    assert asks("server", [HEAD], told=False) == {"server": SHARE}, "a cluster with roles, seen from its head alone"


def test_on_ones_own_machine_nobody_hears_of_roles() -> None:
    assert place(PoolConfig(), [LAPTOP]).resources == {"reader": SHARE}
    with pytest.raises(UserError, match=r"an actor with 9 cores fits on no machine here \(8 cores, 1 GPUs\)"):
        place(TranslatorPool(cpus=9), [LAPTOP])


@pytest.mark.parametrize(
    ("holds", "batch", "micro", "number"), [(8, 32, 4, 8), (8, 32, 32, 1), (5, 12, 1, 4), (2, 9, 3, 1)]
)
def test_unasked_there_are_as_many_workers_as_can_share_a_batch(
    holds: int, batch: int, micro: int, number: int
) -> None:
    assert workers(LoopConfig(batch=batch, micro=micro), holds) == number
    asked = LoopConfig(batch=batch, micro=micro, pool=TrainerPool(actors=3))
    assert workers(asked, holds) == 3, "who asks for a number gets it, or is told"
