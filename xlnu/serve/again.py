"""In Ray Serve's proxies: a request whose API process died is given to another, and no client knows.

Ray would answer 500 without a word. Nothing that is asked here changes anything, so it may be asked twice.
"""

import asyncio
from typing import Any

from xlnu.serve.outer import App, Message, Receive, Scope, Send, refuse
from xlnu.serve.refused import Refusal

LIVES, PAUSE = 3, 0.5  # seconds in which Ray notices a death
KEPT = 8_000_000  # bytes of a body; what is longer is not kept for a second time


class Again:
    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        kept, begun, gone = list[Message](), False, False

        async def told(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        for life in range(LIVES):
            before = iter(list(kept))

            async def given(before: Any = before) -> Message:
                nonlocal gone
                for message in before:
                    return dict(message)
                message = await receive()
                gone = gone or message["type"] == "http.disconnect"
                kept.append(dict(message))
                return message

            await self.app(dict(scope), given, told)
            if begun or gone or sum(len(one.get("body", b"")) for one in kept) > KEPT:
                break
            await asyncio.sleep(PAUSE * (life + 1))
        if not begun and not gone:
            said = "the process that had this request in hand is gone: ask again"
            await refuse(Refusal(503, "replica_died", said, retry_after=1), send)
