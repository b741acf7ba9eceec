"""What stands around every request, whatever it asks: its id, the limit of its size, one line in the log, what is
counted, and an answer where the code inside fails.
"""

import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ray.serve.context import _get_serve_request_context
from starlette.exceptions import HTTPException

from xlnu.serve.logged import bare, log
from xlnu.serve.measures import Measures
from xlnu.serve.refused import Refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ABOUT = "xlnu"  # in the scope: what the log is to say of a request
GONE = 499  # as nginx has it, of a client that did not wait
WAIT = b"x-xlnu-wait"  # seconds that a request may wait, for the proxy that the answer goes through
HEADERS = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]


class Outer:
    """`at_most`: bytes of a body. `wait`: seconds that a request may wait."""

    def __init__(self, app: App, measures: Measures, at_most: int, wait: float) -> None:
        self.app, self.measures, self.at_most = app, measures, at_most
        self.headers = [*HEADERS, (WAIT, str(wait).encode())]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status, sent = time.monotonic(), GONE, 0
        headers = dict(scope["headers"])
        about: dict[str, Any] = {"id": _id()}
        scope[ABOUT] = about
        given, too_long = 0, f"the body is longer than {self.at_most} bytes: send fewer texts at once"

        async def limited() -> Message:
            nonlocal given
            message = await receive()
            given += len(message.get("body", b""))
            if given > self.at_most:
                raise HTTPException(413, too_long)  # another FastAPI would take for a body that is no JSON
            return message

        async def told(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *self.headers]
            else:
                sent += len(message.get("body", b""))
            await send(message)

        try:
            length = headers.get(b"content-length", b"0")
            if length.isdigit() and int(length) > self.at_most:
                await refuse(Refusal(413, "too_long", too_long), told)
            else:
                await self.app(scope, limited, told)
        except Exception as error:
            log.error("request %s failed", about["id"], exc_info=bare(error))
            if status == GONE:
                await refuse(Refusal(500, "internal", f"a fault of ours; our log has it by {about['id']}"), told)
        finally:
            seconds = time.monotonic() - begun
            endpoint = about.pop("endpoint", "other")
            if scope["path"] not in ("/healthz", "/readyz"):  # these are asked every second
                self.measures.answered(endpoint, about.get("model", ""), status, seconds)
                line = {
                    "method": scope["method"], "path": scope["path"], "status": status,
                    "ms": round(1000 * seconds, 1), "bytes_in": given, "bytes_out": sent, **about,
                }  # fmt: skip
                log.info("answered", extra=line)  # a field each, in the log's JSON


def _id() -> str:
    """As Ray Serve's proxy has it from the client, or made it; the answer bears it as X-Request-ID."""
    return _get_serve_request_context().request_id


async def refuse(refusal: Refusal, send: Send) -> None:
    body = json.dumps(refusal.body()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in refusal.headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
