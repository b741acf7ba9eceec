"""The order in which packs are seen: laws over random sizes."""

import random
from collections.abc import Iterator

import numpy as np

from xlnu.train.order import Order


def some(seed: int, how_many: int = 150) -> Iterator[tuple[Order, random.Random]]:
    rng = random.Random(seed)
    for _ in range(how_many):
        packs, part, window = rng.randint(1, 300), rng.randint(1, 40), rng.randint(1, 5)
        yield (
            Order(packs, part, window, rng.choice([1, 2, 6, 12, 60, 120]), rng.randint(1, 4), rng.randint(0, 9)),
            rng,
        )


def test_each_epoch_has_every_pack_once_and_nothing_lies_between_epochs() -> None:
    for order, _ in some(0):
        seen = np.concatenate([order.at(step) for step in range(order.steps)]).tolist()
        assert len(seen) == order.epochs * order.packs
        for epoch in range(order.epochs):
            mine = seen[epoch * order.packs : (epoch + 1) * order.packs]
            assert sorted(mine) == list(range(order.packs))
            assert mine == order.epoch(epoch).tolist()


def test_every_batch_is_full_but_the_last_of_all() -> None:
    for order, _ in some(1):
        sizes = [len(order.at(step)) for step in range(order.steps)]
        assert set(sizes[:-1]) <= {order.batch}
        assert 0 < sizes[-1] <= order.batch


def test_any_number_of_workers_shares_the_same_batches() -> None:
    for order, rng in some(2):
        step = rng.choice([0, order.steps - 1, rng.randrange(order.steps)])
        whole = order.at(step).tolist()
        for workers in (n for n in range(1, order.batch + 1) if order.batch % n == 0):
            shares = [order.share(step, worker, workers).tolist() for worker in range(workers)]
            assert sum(map(len, shares)) == len(whole)
            assert max(map(len, shares)) - min(map(len, shares)) <= 1
            assert [shares[i % workers][i // workers] for i in range(len(whole))] == whole


def test_a_step_is_known_from_its_number_alone() -> None:
    for order, rng in some(3, 40):
        steps = [order.at(step).tolist() for step in range(order.steps)]
        again = list(range(order.steps))
        rng.shuffle(again)
        for step in again:
            assert order.at(step).tolist() == steps[step]


def test_packs_of_few_files_are_seen_at_once() -> None:
    for order, _ in some(4):
        files = (order.epoch(0) // order.part).tolist()
        # a file's packs are near each other: while some of them have come and some have not, few others are so too
        last = {file: at for at, file in enumerate(files)}
        begun: set[int] = set()
        for at, file in enumerate(files):
            begun.add(file)
            assert len(begun) <= order.window
            begun = {one for one in begun if last[one] > at}


def test_seeds_and_epochs_mix_anew() -> None:
    order = Order(packs=1000, part=50, window=4, batch=8, epochs=2, seed=0)
    other = Order(packs=1000, part=50, window=4, batch=8, epochs=2, seed=1)
    epochs = [order.epoch(0), order.epoch(1), other.epoch(0), np.arange(1000)]
    for i, one in enumerate(epochs):
        assert all((one != two).mean() > 0.9 for two in epochs[:i])
    together = [set((one[:200] // 50).tolist()) for one in epochs]
    assert together[0] != together[1], "so are the files that are read together"
    in_window = order.epoch(0)[:200]
    assert len(set((in_window[:20] // 50).tolist())) == 4, "packs of a window's files are mixed"
    assert (np.diff(in_window) == 1).mean() < 0.1, "within a file, too"


def test_a_place_far_on_costs_no_replay() -> None:
    order = Order(packs=10**8, part=10**4, window=8, batch=512, epochs=3, seed=0)
    assert len(set(order.at(order.steps - 2).tolist())) == 512
