"""A generator behind HTTP: any server that speaks OpenAI's chat completions (vLLM, llama.cpp, TGI, OpenAI itself).

What a server refuses for one row's sake (too long, filtered) is that row's `refused`. What passes (busy,
restarting, a lost connection) is tried again, until `patience` seconds bring no answer: to any row, and the job
halts; to this row alone, and it is refused. What holds for every row (a wrong key, model or setting) is the user's
to mend, and said at once.
"""

import asyncio
import contextlib
import email.utils
import math
import os
import random
import re
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from xlnu.engines.base import Answer, Decoding, Question
from xlnu.errors import Halt, UserError

KEY = "OPENAI_API_KEY"
CONNECTS_WITHIN = 10.0  # seconds; a machine that is gone is noticed sooner than an answer that takes long
WAITS_FIRST, WAITS_AT_MOST = 0.5, 10.0  # seconds between two tries of a row
PASSES = {408, 409, 425, 429}  # and all from 500 on
OF_THE_ROW = {400, 413, 422}  # 422 is what TGI and FastAPI say for 400
OF_ALL_ROWS = {"model", "seed", "temperature", "top_p"}  # a 400 for one of these is no row's own
SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Fault:
    """No answer this time."""

    why: str  # in a few words that many rows share
    said: str  # in full, for the message of a halt
    busy: bool = False  # the server has too much to do: no row's fault, and every worker's to heed
    wait: float | None = None  # seconds that the server asks for


class Traffic:
    """How the server fares during one call, as all its workers know it: who may ask, and from when on."""

    def __init__(self, concurrency: int) -> None:
        self.most = concurrency
        self.allowed = float(concurrency)  # requests in flight: halved when the server is busy, then creeping up
        self.in_flight = 0
        self.not_before = self.halved = 0.0
        self.failing_since = math.inf  # the first fault after the last answer
        self.room = asyncio.Event()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[float]:
        """Wait until one may ask; yield the moment."""
        await asyncio.sleep(0)  # who has just been served lets those go first that wait for room
        while True:
            if (wait := self.not_before - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            elif self.in_flight < int(self.allowed):
                break
            else:
                self.room.clear()
                await self.room.wait()
        self.in_flight += 1
        try:
            yield time.monotonic()
        finally:
            self.in_flight -= 1
            self.room.set()

    def served(self) -> None:
        self.failing_since = math.inf
        self.allowed = min(self.most, self.allowed + 1 / self.allowed)  # one more for each round of answers

    def busy(self, asked: float) -> None:
        if asked >= self.halved:  # else 16 that were in flight together would leave one
            self.allowed = max(1.0, self.allowed / 2)
            self.halved = time.monotonic()


class OpenAIGenerator:
    """The key is read from the environment; local servers need none. Not for use inside a running event loop."""

    def __init__(self, url: str, model: str, *, concurrency: int, timeout: float, patience: float) -> None:
        self.url, self.model = url.rstrip("/"), model
        self.concurrency, self.timeout, self.patience = concurrency, timeout, patience
        self.limited_by = "max_tokens"  # until the server wants its new name
        self._key = os.environ.get(KEY, "").strip()
        if not _is_url(self.url):
            raise UserError(
                "the url of a chat-completions server looks like http://host:8000/v1, with no key, @ or ? in it: "
                f"it is saved with every run, and a key goes into {KEY}"
            )
        if not re.fullmatch(r"[!-~]*", self._key):  # httpx would quote it in its error
            raise UserError(f"{KEY} holds a blank or a character that no key has: set it again")

    def answer(self, questions: Sequence[Question], decoding: Decoding) -> list[Answer]:
        return asyncio.run(self._answer(questions, decoding))

    async def _answer(self, questions: Sequence[Question], decoding: Decoding) -> list[Answer]:
        answers: dict[int, Answer] = {}
        left = iter(enumerate(questions))
        traffic = Traffic(self.concurrency)

        tls = httpx.create_ssl_context()

        async def work() -> None:
            # A client each: httpx goes through all of a client's connections for each request. With 256 in flight,
            # one client made 66 requests a second, 256 clients 880.
            async with self._client(tls) as client:
                for index, question in left:
                    answers[index] = await self._one(client, traffic, question, decoding)

        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(self.concurrency, len(questions))):
                    workers.create_task(work())
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        return [answers[index] for index in range(len(questions))]

    def _client(self, tls: ssl.SSLContext) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=httpx.Timeout(None, connect=CONNECTS_WITHIN),  # httpx's own would start anew with every byte
            verify=tls,  # shared, for it takes 40 ms to make
        )

    async def _one(
        self, client: httpx.AsyncClient, traffic: Traffic, question: Question, decoding: Decoding
    ) -> Answer:
        failing_since, tries = math.inf, 0
        while True:
            async with traffic.turn() as asked:
                outcome = await self._try(client, question, decoding)
            if isinstance(outcome, Answer):
                traffic.served()
                return outcome
            now, tries = time.monotonic(), tries + 1
            traffic.failing_since = min(traffic.failing_since, now)
            if outcome.busy:
                traffic.busy(asked)
            else:
                failing_since = min(failing_since, now)
            self._lose_patience(outcome, traffic.failing_since + self.patience - now)
            if failing_since + self.patience <= now:  # others were answered meanwhile: it is this row
                return _refused(f"no answer from the server ({outcome.why})")
            if outcome.wait is not None:
                delay = outcome.wait + random.uniform(0, WAITS_FIRST)  # what it says is rounded, and may be 0
            else:
                delay = min(WAITS_AT_MOST, WAITS_FIRST * 2 ** min(tries - 1, 9)) * random.uniform(0.5, 1)
                delay = min(delay, min(failing_since, traffic.failing_since) + self.patience - now)
            if outcome.busy or outcome.wait is not None:
                traffic.not_before = max(traffic.not_before, now + delay)
            else:
                await asyncio.sleep(delay)

    def _lose_patience(self, fault: Fault, left: float) -> None:
        again = "what is finished is kept: mend it and run the same command again"
        if fault.wait is not None and fault.wait >= left:
            asks = f"asks to wait {fault.wait:.0f} s, which is beyond the patience of {self.patience:g} s"
            raise Halt(f"{self.url}: {asks} ({fault.said}); {again}")
        if left <= 0:
            raise Halt(f"{self.url}: no answer in {self.patience:g} s ({fault.said}); {again}")

    async def _try(self, client: httpx.AsyncClient, question: Question, decoding: Decoding) -> Answer | Fault:
        body = {
            "model": self.model,
            "messages": question.messages,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "seed": question.seed % 2**31,  # llama.cpp keeps 32 bits, and takes all ones for "draw a seed"
        }
        limited_by = self.limited_by
        try:
            async with asyncio.timeout(self.timeout):
                response = await self._post(client, body | {limited_by: decoding.max_new_tokens})
                renamed = response.status_code == 400 and "max_completion_tokens" in response.text
                if renamed and limited_by == "max_tokens":
                    limited_by = "max_completion_tokens"
                    response = await self._post(client, body | {limited_by: decoding.max_new_tokens})
        except TimeoutError:
            return Fault("timed out", f"nothing within {self.timeout:g} s")
        except httpx.RequestError as error:
            return Fault("connection lost", str(error) or type(error).__name__)
        if response.is_success:
            self.limited_by = limited_by  # vLLM names both when the prompt is too long: only now is it known
            return _read(response)
        return self._failed(response)

    async def _post(self, client: httpx.AsyncClient, body: dict[str, Any]) -> httpx.Response:
        return await client.post(f"{self.url}/chat/completions", json=body)

    def _failed(self, response: httpx.Response) -> Answer | Fault:
        status, error = response.status_code, _error(response)
        said = f"{status}: {_first_line(error.get('message'), self._key)}"
        if status in PASSES or status >= 500:
            return Fault(str(status), said, status == 429, _wait(response))
        if status in (401, 403):  # what the server says may quote the key
            wrong = f"refuses the key in {KEY}: set another" if self._key else f"wants a key: set {KEY}"
            raise UserError(f"{self.url}: {wrong} ({status})")
        if status == 404:
            raise UserError(f"{self.url}: has no model {self.model!r}, or no chat completions at this url ({said})")
        if status not in OF_THE_ROW or error.get("param") in OF_ALL_ROWS:
            raise UserError(f"{self.url}: refuses every request made with these settings ({said})")
        kind = error.get("code") if isinstance(error.get("code"), str) else error.get("type")
        named = f" {kind}" if re.fullmatch(r"[A-Za-z_.-]{1,40}", str(kind)) and kind else ""
        return _refused(f"refused by the server ({status}{named})")


def _is_url(text: str) -> bool:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return False
    return url.scheme in ("http", "https") and bool(url.host) and not re.search(r"[?#@\s]", text)


def _refused(why: str) -> Answer:
    return Answer("", 0, False, refused=why)


def _read(response: httpx.Response) -> Answer | Fault:
    try:
        body = response.json()
        if not body["choices"]:
            return _refused("refused by the server (no choices)")
        choice = body["choices"][0]
        text, why = choice["message"].get("content") or "", choice.get("finish_reason")
        tokens = (body.get("usage") or {}).get("completion_tokens") or 0
    except (ValueError, LookupError, TypeError, AttributeError):
        return Fault("malformed answer", f"malformed answer: {_first_line(response.text, '')}")
    if why == "content_filter":
        return _refused("refused by the server (content_filter)")
    return Answer(text, tokens, why == "length")


def _error(response: httpx.Response) -> dict[str, Any]:
    """What went wrong, as servers word it: {"error": {...}}, {"error": "text"}, {"message": ...}, or no JSON."""
    try:
        body = response.json()
        inner = body.get("error", body)
    except (ValueError, AttributeError):
        return {"message": response.text}
    return inner if isinstance(inner, dict) else {"message": inner}


def _first_line(text: object, key: str) -> str:
    line = (str(text).strip().splitlines() or [""])[0]
    return (line.replace(key, "...") if key else line)[:200]


def _wait(response: httpx.Response) -> float | None:
    """The seconds that the server asks to wait: Retry-After, else the limits of which nothing is left."""
    headers = response.headers
    if (after := headers.get("retry-after")) is not None:
        if (seconds := _seconds(after)) is not None:
            return seconds
        with contextlib.suppress(ValueError, TypeError):  # no date, or one without a zone
            until, now = (email.utils.parsedate_to_datetime(text) for text in (after, headers.get("date", "")))
            # by the server's own clock, which need not be ours; it is cut to seconds, so this never waits too short
            return max(0.0, (until - now).total_seconds())
    if response.status_code != 429:
        return None  # many servers send their limits with every answer
    resets = [(name, value) for name, value in headers.items() if name.startswith("x-ratelimit-reset-")]
    used_up = [_seconds(value) for name, value in resets if headers.get(name.replace("reset", "remaining")) == "0"]
    return max((seconds for seconds in used_up if seconds is not None), default=None)


def _seconds(text: str) -> float | None:
    """'20', '7.66s', '6m0s', '250ms'."""
    if not re.fullmatch(r"\d+(\.\d+)?|(\d+(\.\d+)?(ms|[smhd]))+", text):
        return None
    return sum(float(number) * SECONDS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd])?", text))
