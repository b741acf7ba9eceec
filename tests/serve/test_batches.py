"""How work is put together for the one thread that does it."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from xlnu.serve.batches import Batches, Done, Size
from xlnu.serve.door import Door
from xlnu.serve.refused import Refused


class Computed:
    """A thread whose batches are looked at, and which can be held up."""

    def __init__(self, at_once: int = 100) -> None:
        self.seen: list[list[str]] = []
        self.free = threading.Event()
        self.free.set()
        self.done: list[Done] = []
        self.begun = threading.Event()
        self.batches = Batches(self.work, lambda text: Size(1, len(text), len(text)), at_once, self.done.append)

    def work(self, texts: list[str]) -> Sequence[str | Exception]:
        self.begun.set()
        assert self.free.wait(20)
        self.seen.append(texts)
        if any("!" in text for text in texts):
            raise ValueError("a batch with ! in it")
        return [ArithmeticError(text) if "?" in text else text.upper() for text in texts]

    async def behind(self, *texts: str, alone: Sequence[str] = ()) -> list[str | BaseException]:
        """What becomes of texts that come while the thread is busy."""
        self.free.clear()
        self.begun.clear()
        first = asyncio.create_task(self.batches.put("x"))
        await asyncio.to_thread(self.begun.wait, 20)
        rest = [asyncio.create_task(self.batches.put(text, alone=text in alone)) for text in texts]
        await asyncio.sleep(0.05)
        self.free.set()
        await first
        found = await asyncio.gather(*rest, return_exceptions=True)
        self.seen = self.seen[1:]
        return found


def test_what_waits_is_computed_together_in_its_order() -> None:
    one = Computed()
    assert asyncio.run(one.behind("a", "b", "c")) == ["A", "B", "C"]
    assert one.seen == [["a", "b", "c"]]


def test_who_waits_longest_comes_first_with_what_is_as_long_as_it() -> None:
    one = Computed(at_once=12)
    texts = ["aaa", "b" * 9, "ccc", "d" * 10, "eee", "ff"]
    asyncio.run(one.behind(*texts))
    assert one.seen[0] == ["aaa", "ccc", "eee", "ff"], "4 rows of 3: no more fits, and no long one comes in"
    assert one.seen[1:] == [["b" * 9], ["d" * 10]]


def test_what_is_larger_than_a_batch_is_computed_all_the_same() -> None:
    one = Computed(at_once=5)
    assert asyncio.run(one.behind("a" * 50, "b")) == ["A" * 50, "B"]


def test_only_what_fails_fails() -> None:
    one = Computed()
    good, bad, odd = asyncio.run(one.behind("good", "bad!", "odd?"))
    assert good == "GOOD"
    assert isinstance(bad, ValueError)
    assert isinstance(odd, ArithmeticError)
    assert one.seen == [["good", "bad!", "odd?"], ["good"], ["bad!"], ["odd?"]]


def test_what_may_have_killed_another_is_computed_alone() -> None:
    one = Computed()
    asyncio.run(one.behind("a", "b", "c", alone=["b"]))
    assert one.seen == [["a", "c"], ["b"]]


def test_who_has_gone_is_not_computed() -> None:
    one = Computed()

    async def leave() -> None:
        one.free.clear()
        first = asyncio.create_task(one.batches.put("x"))
        await asyncio.to_thread(one.begun.wait, 20)
        gone, stays = asyncio.create_task(one.batches.put("gone")), asyncio.create_task(one.batches.put("stays"))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        assert len(one.batches.waiting) == 1, "its place is free at once"
        one.free.set()
        assert [await first, await stays] == ["X", "STAYS"]

    asyncio.run(leave())
    assert one.seen == [["x"], ["stays"]]


def test_it_says_how_much_work_waits() -> None:
    one = Computed()

    async def crowd() -> None:
        one.batches.speed = 10.0  # tokens a second
        one.free.clear()
        some = [asyncio.create_task(one.batches.put("a" * 10)) for _ in range(3)]
        await asyncio.to_thread(one.begun.wait, 20)
        some += [asyncio.create_task(one.batches.put("a" * 20))]
        await asyncio.sleep(0.01)
        assert 4.5 < one.batches.seconds < 5, "30 tokens are computed, 20 wait"
        one.free.set()
        await asyncio.gather(*some)
        assert one.batches.seconds == 0

    asyncio.run(crowd())


class Behind:
    """A door, and what lies behind it."""

    def __init__(self, wait: float) -> None:
        self.seconds, self.speed = 0.0, 10.0
        self.door = Door(wait, lambda: self.seconds, lambda: self.speed)


def test_who_would_wait_too_long_is_told_when_to_come_again() -> None:
    one = Behind(wait=2)
    one.seconds = 1.9
    one.door.enter(5)
    one.seconds = 5.5
    with pytest.raises(Refused) as caught:
        one.door.enter(5)
    assert (caught.value.refusal.status, caught.value.refusal.retry_after) == (429, 4)
    one.seconds = 0
    one.door.enter(5)


def test_what_is_no_tokens_yet_counts_too() -> None:
    one = Behind(wait=2)
    one.door.tokens_each = 0.5
    one.door.enter(30)
    assert one.door.seconds == pytest.approx(1.5)
    one.door.enter(30)
    with pytest.raises(Refused):
        one.door.enter(1)
    one.door.leave(30, 0)
    one.door.leave(30, 30)
    assert one.door.seconds == 0
    assert one.door.tokens_each == pytest.approx(0.65), "a text had a token a character"
    one.door.characters_a_second = 10.0
    one.door.enter(30)
    assert one.door.seconds == pytest.approx(3), "the making of tokens may be what takes longest"
    with one.door.tokenised(30):
        pass
    assert one.door.characters_a_second > 1000


@pytest.mark.parametrize(
    ("empty_pass", "expected"),
    [
        (1000.0, ["aa", "bb", "cccc", "d" * 8]),  # as a GPU has it: a pass costs more than any padding
        (6.0, ["aa", "bb", "cccc"]),
        (0.0, ["aa", "bb"]),
    ],
)
def test_a_batch_grows_by_what_pays(empty_pass: float, expected: list[str]) -> None:
    one = Computed()
    one.batches.empty_pass = empty_pass
    asyncio.run(one.behind("aa", "d" * 8, "cccc", "bb"))
    assert sorted(one.seen[0], key=len) == expected


def test_a_full_batch_tells_how_fast_all_are() -> None:
    one = Computed()
    one.batches.speed = 1000.0
    one.batches._timed(Size(1, 1, 1), 0.01, full=False)
    assert one.batches.speed == 1000.0, "one token alone is slower, and says nothing"
    one.batches._timed(Size(1, 10, 10), 0.1, full=True)
    assert one.batches.speed < 1000.0
    one.batches._timed(Size(1, 1, 1), 1e-6, full=False)
    assert one.batches.speed > 1000.0


def test_what_did_not_fit_makes_a_batch_a_full_one() -> None:
    one = Computed(at_once=4)
    one.batches.speed = 1e9
    asyncio.run(one.behind("aaaa"))
    assert one.batches.speed == 1e9
    asyncio.run(one.behind("aaaa", "bbbb"))
    assert one.batches.speed < 1e9


def test_each_batch_is_told_of() -> None:
    one = Computed()
    asyncio.run(one.behind("aa", "b"))
    assert [(done.size, done.items) for done in one.done] == [(Size(1, 1, 1), 1), (Size(2, 2, 3), 2)]
    assert one.done[1].waited[0] >= 0.04
    assert one.done[1].size.area == 4


@pytest.mark.parametrize("rows", [1, 7])
def test_sizes_add_up(rows: int) -> None:
    one = Size(rows, 3, 2 * rows)
    assert one.beside(Size(1, 5, 4)) == Size(rows + 1, 5, 2 * rows + 4)
