"""What Ray's proxies refuse before anything of ours is asked."""

import asyncio

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.serve.serving import Server
from xlnu.serve.crowd import FEW, Crowd
from xlnu.serve.outer import WAIT


class Slow:
    """An application that answers so many requests a second, one after another."""

    def __init__(self, a_second: float, wait: float) -> None:
        self.a_second, self.wait = a_second, wait
        self.one, self.free = asyncio.Lock(), asyncio.Event()
        self.free.set()
        self.asked = 0
        self.app = Crowd(Starlette(routes=[Route("/{path:path}", self.answer)]))
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://here", timeout=60)

    async def answer(self, _: Request) -> Response:
        self.asked += 1
        async with self.one:
            await asyncio.sleep(1 / self.a_second)
            await self.free.wait()
        return PlainTextResponse("", headers={WAIT.decode(): str(self.wait)})

    async def behind(self, number: int) -> "asyncio.Task[list[httpx.Response]]":
        """So many are left of a crowd, and stay until it is free."""
        some = asyncio.create_task(self.ask(200))
        while self.asked < 200 or self.app.in_hand > number:
            await asyncio.sleep(0.001)
        self.free.clear()
        return some

    async def ask(self, number: int, path: str = "/v1/classify") -> list[httpx.Response]:
        return await asyncio.gather(*(self.http.get(path) for _ in range(number)))


def test_a_crowd_is_refused_at_once_and_the_rest_answered() -> None:
    async def told() -> None:
        slow = Slow(a_second=100, wait=0.5)
        first = await slow.behind(FEW + 1)
        seen = slow.asked
        assert seen == 200, "before the first answers nobody knows how long one may wait"
        late = await slow.ask(50)
        assert {one.status_code for one in late} == {429}
        assert slow.asked == seen, "none of them got any further"
        assert late[0].json()["error"]["code"] == "overloaded"
        assert late[0].headers["retry-after"] == "1"
        slow.free.set()
        assert {one.status_code for one in await first} == {200}
        assert (await slow.ask(1))[0].status_code == 200, "when the crowd is gone, all are let in"

    asyncio.run(told())


def test_few_are_never_a_crowd() -> None:
    async def told() -> None:
        slow = Slow(a_second=60, wait=0.01)
        await slow.ask(1)
        assert {one.status_code for one in await slow.ask(FEW)} == {200}

    asyncio.run(told())


def test_many_who_come_at_once_where_nobody_was_are_no_crowd_yet() -> None:
    async def told() -> None:
        slow = Slow(a_second=100, wait=3.0)
        await slow.ask(1)
        assert {one.status_code for one in await slow.ask(2 * FEW)} == {200}
        slow.app.wait = 0.1
        assert {one.status_code for one in await slow.ask(2 * FEW)} == {200}, "and what was, is forgotten"

    asyncio.run(told())


def test_who_asks_how_it_is_is_always_let_in() -> None:
    async def told() -> None:
        slow = Slow(a_second=100, wait=0.1)
        crowd = await slow.behind(FEW + 1)
        assert (await slow.ask(1))[0].status_code == 429
        seen = slow.asked
        healthy = asyncio.create_task(slow.ask(1, "/healthz"))
        slow.free.set()
        assert (await healthy)[0].status_code == 200
        assert slow.asked == seen + 1
        await crowd

    asyncio.run(told())


def test_what_is_for_the_proxy_is_for_nobody_else() -> None:
    async def told() -> None:
        slow = Slow(a_second=100, wait=1.0)
        (got,) = await slow.ask(1)
        assert WAIT.decode() not in got.headers
        assert slow.app.wait == 1.0

    asyncio.run(told())


def test_the_proxy_is_told(served: Server) -> None:
    """Through the front door: what the API says has gone from the answer, for the proxy has read it."""
    assert WAIT.decode() not in served.http.get("/v1/models").headers
