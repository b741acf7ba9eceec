"""Against a real HTTP server that misbehaves by a script, as servers do."""

import email.utils
import json
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from xlnu.engines.base import Answer, Decoding, Question
from xlnu.engines.openai import OpenAIGenerator
from xlnu.errors import Halt, UserError

Body = dict[str, Any]
Reply = tuple[int, dict[str, str], str]  # status, headers, body
DECODING = Decoding(max_new_tokens=64, temperature=0.5, top_p=0.9)


def in_seconds(seconds: float) -> str:
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


class Server(ThreadingHTTPServer):
    """What it answers to the n-th request is the script's to say; None: nothing, the connection is dropped."""

    request_queue_size = 256
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.script: Callable[[int, Body], Reply | None] = lambda _, body: right(body)
        self.lock = threading.Lock()
        self.bodies: list[Body] = []
        self.keys: list[str | None] = []
        self.moments: list[float] = []
        self.in_flight = self.most_in_flight = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # who asked has gone, as they should when it is slow
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.moments)
            self.server.moments.append(time.monotonic())
            self.server.bodies.append(body)
            self.server.keys.append(self.headers["Authorization"])
            self.server.in_flight += 1
            self.server.most_in_flight = max(self.server.most_in_flight, self.server.in_flight)
        try:
            reply = self.server.script(number, body) if self.path == "/v1/chat/completions" else (404, {}, "{}")
        finally:
            with self.server.lock:
                self.server.in_flight -= 1
        if reply is None:
            self.close_connection = True
            return
        status, headers, text = reply
        self.send_response_only(status)
        for name, value in ({"Date": in_seconds(0)} | headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with Server() as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield server
        server.shutdown()
        serving.join()


def generator(url: str, concurrency: int = 4, timeout: float = 5, patience: float = 5) -> OpenAIGenerator:
    return OpenAIGenerator(url, "some-model", concurrency=concurrency, timeout=timeout, patience=patience)


def question(index: int) -> Question:
    return Question(({"role": "user", "content": f"question {index}"},), seed=index)


def asked(body: Body) -> str:
    return str(body["messages"][-1]["content"])


def right(body: Body, **choice: object) -> Reply:
    message = {"role": "assistant", "content": f"{asked(body)}, drawn with {body['seed']}"}
    answer = {"choices": [{"message": message, "finish_reason": "stop", **choice}]}
    return 200, {}, json.dumps(answer | {"usage": {"prompt_tokens": 3, "completion_tokens": 7}})


def expected(index: int) -> Answer:
    return Answer(f"question {index}, drawn with {index}", 7, False)


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def wrong(status: int, message: str = "no", headers: dict[str, str] | None = None, **error: object) -> Reply:
    return status, headers or {}, json.dumps({"error": {"message": message, **error}})


def test_a_request_holds_what_was_asked_and_the_answer_what_came(server: Server) -> None:
    server.script = lambda _, body: right(body, finish_reason="length")
    chat = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi."})
    answers = generator(server.url + "/").answer([Question(chat, seed=2**40 + 5)], DECODING)
    assert answers == [Answer("Hi., drawn with 5", 7, True)]
    assert server.bodies == [
        {
            "model": "some-model",
            "messages": list(chat),
            "max_tokens": 64,
            "temperature": 0.5,
            "top_p": 0.9,
            "seed": 5,
        }
    ]
    assert server.keys == [None]
    assert generator(server.url).answer([], DECODING) == []


def test_only_the_content_counts(server: Server) -> None:
    messages = [{"content": None, "reasoning_content": "Hm."}, {"content": "Yes.", "reasoning_content": "Hm."}, {}]
    server.script = lambda number, body: right(body, message=messages[number])
    answers = generator(server.url, concurrency=1).answer([question(i) for i in range(3)], DECODING)
    assert answers == [Answer("", 7, False), Answer("Yes.", 7, False), Answer("", 7, False)]


def test_the_key_is_sent_without_the_line_break_of_the_file_it_came_from(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret\n")
    generator(server.url).answer([question(0)], DECODING)
    assert server.keys == ["Bearer sk-secret"]


def test_requests_overlap_as_far_as_allowed_and_never_further(server: Server) -> None:
    """One row of ten takes six times as long: with a barrier between batches, all others would wait for it."""

    def script(_: int, body: Body) -> Reply:
        pause(0.3 if body["seed"] % 10 == 0 else 0.05)
        return right(body)

    server.script = script
    started = time.monotonic()
    answers = generator(server.url, concurrency=16).answer([question(i) for i in range(96)], DECODING)
    seconds = time.monotonic() - started
    assert answers == [expected(i) for i in range(96)]
    assert server.most_in_flight == 16
    assert seconds < 1.2  # serial: 7.2; with barriers: 1.8; at best: 0.5


def test_answers_are_right_and_in_order_under_faults(server: Server) -> None:
    draw, seen = random.Random(18), Counter[str]()
    faults = ["429", "500", "503", "dropped", "slow", "malformed", "half"]

    def script(_: int, body: Body) -> Reply | None:
        with server.lock:
            fault = draw.choice(faults) if draw.random() < 0.3 else ""
            seen[fault] += 1
            server.in_flight -= fault == "slow"  # nobody waits for that one to the end
        if fault == "slow":
            pause(0.5)
            with server.lock:
                server.in_flight += 1
        pause(0.01)
        if fault == "dropped":
            return None
        status, headers, text = right(body)
        if fault == "malformed":
            return 200, {}, text[:-5]
        if fault == "half":
            return 200, {}, '{"error": {"message": "upstream"}}'
        return (int(fault), {}, "busy") if fault.isdigit() else (status, headers, text)

    server.script = script
    generating = generator(server.url, concurrency=8, timeout=0.25, patience=60)
    assert generating.answer([question(i) for i in range(50)], DECODING) == [expected(i) for i in range(50)]
    assert set(faults) < set(seen)
    assert server.most_in_flight <= 8


@pytest.mark.parametrize(
    ("status", "headers", "least"),
    [
        (503, lambda: {"Retry-After": "0.6"}, 0.6),
        # a server whose clock is an hour behind
        (429, lambda: {"Retry-After": in_seconds(-3599), "Date": in_seconds(-3600)}, 1),
        (
            429,
            lambda: {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "0m0.6s",
                "x-ratelimit-remaining-tokens": "10",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            0.6,
        ),
    ],
)
def test_nobody_asks_before_the_moment_the_server_names(
    server: Server, status: int, headers: Callable[[], dict[str, str]], least: float
) -> None:
    told = [0.0]

    def script(number: int, body: Body) -> Reply:
        if number == 6:  # while three others are in flight, and 20 rows wait
            told[0] = time.monotonic()
            return wrong(status, headers=headers())
        pause(0.05)
        return right(body)

    server.script = script
    assert generator(server.url).answer([question(i) for i in range(30)], DECODING) == [
        expected(i) for i in range(30)
    ]
    after = [moment - told[0] for moment in server.moments[7:]]
    assert min(seconds for seconds in after if seconds > 0.04) >= least  # what was under way could not be held back
    assert min(seconds for seconds in after if seconds > 0.04) < least + 2
    assert len([seconds for seconds in after if seconds <= 0.04]) <= 3


def test_a_busy_server_is_asked_less_at_once_and_then_more_again(server: Server) -> None:
    most, full = [0], [0]

    def script(number: int, body: Body) -> Reply:
        with server.lock:
            at_once = server.in_flight
            most[0] = max(most[0], at_once) if 16 <= number < 32 else most[0]
            full[0] = max(full[0], at_once) if number >= 32 else full[0]
        pause(0.03)
        return wrong(429) if number < 16 else right(body)

    server.script = script
    answers = generator(server.url, concurrency=16).answer([question(i) for i in range(110)], DECODING)
    assert answers == [expected(i) for i in range(110)]
    assert 4 <= most[0] <= 11  # half of 16, and one more for a round of answers: 16 refusals together count once
    assert 12 <= full[0] <= 16
    first = {body["seed"] for body in server.bodies[16:36]}
    assert first >= set(range(16))  # who waits for room is not passed over


def test_a_poisonous_row_alone_is_refused(server: Server) -> None:
    def script(_: int, body: Body) -> Reply:
        match asked(body):
            case "question 3":
                return wrong(400, "it has 5000 tokens", code="context_length_exceeded", param="messages")
            case "question 4":
                return wrong(400, "'max_tokens' or 'max_completion_tokens' is too large", type="BadRequestError")
            case "question 5":
                return right(body, finish_reason="content_filter")
            case "question 6":
                return 200, {}, '{"choices": []}'
            case "question 7":
                return (
                    422,
                    {},
                    '{"error": "Input validation error: `inputs` is too long", "error_type": "validation"}',
                )
        return right(body)

    server.script = script
    answers = generator(server.url).answer([question(i) for i in range(12)], DECODING)
    refusals = {i: answer.refused for i, answer in enumerate(answers) if answer.refused}
    assert refusals == {
        3: "refused by the server (400 context_length_exceeded)",
        4: "refused by the server (400 BadRequestError)",
        5: "refused by the server (content_filter)",
        6: "refused by the server (no choices)",
        7: "refused by the server (422)",
    }
    assert all(answer == Answer("", 0, False, answer.refused) for answer in answers if answer.refused)
    assert all(answers[i] == expected(i) for i in range(12) if i not in refusals)


def test_a_row_that_is_never_answered_does_not_hold_up_the_others(server: Server) -> None:
    def script(_: int, body: Body) -> Reply:
        if asked(body) == "question 3":
            pause(0.5)
        pause(0.02)
        return right(body)

    server.script = script
    generating = generator(server.url, concurrency=2, timeout=0.2, patience=0.6)
    answers = generating.answer([question(i) for i in range(60)], DECODING)
    assert answers[3] == Answer("", 0, False, refused="no answer from the server (timed out)")
    assert [answers[i] for i in range(60) if i != 3] == [expected(i) for i in range(60) if i != 3]
    tries = [moment for moment, body in zip(server.moments, server.bodies, strict=True) if body["seed"] == 3]
    assert tries[-1] - tries[0] > 0.35


def test_the_new_name_of_the_limit_is_found_and_kept(server: Server) -> None:
    def script(_: int, body: Body) -> Reply:
        if "max_tokens" in body:
            return wrong(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return right(body)

    server.script = script
    generating = generator(server.url, concurrency=1)
    assert generating.answer([question(i) for i in range(3)], DECODING) == [expected(i) for i in range(3)]
    assert generating.answer([question(3)], DECODING) == [expected(3)]
    assert ["max_tokens" in body for body in server.bodies] == [True, False, False, False, False]
    assert server.bodies[1]["max_completion_tokens"] == 64


def test_a_row_that_is_too_long_for_either_name_changes_nothing(server: Server) -> None:
    too_long = wrong(400, "'max_tokens' or 'max_completion_tokens' is too large: 5000")
    server.script = lambda number, body: too_long if number < 2 else right(body)
    answers = generator(server.url, concurrency=1).answer([question(0), question(1)], DECODING)
    assert answers == [Answer("", 0, False, refused="refused by the server (400)"), expected(1)]
    assert ["max_tokens" in body for body in server.bodies] == [True, False, True]


@pytest.mark.parametrize(
    ("reply", "last"),
    [
        (wrong(500, "out of\nmemory"), "500: out of"),
        (wrong(429, "quota"), "429: quota"),
        (None, "Server disconnected without sending a response."),
        ((200, {}, "<html>\n"), "malformed answer: <html>"),
    ],
)
def test_a_server_that_never_answers_halts_the_job(server: Server, reply: Reply | None, last: str) -> None:
    server.script = lambda *_: reply
    started = time.monotonic()
    with pytest.raises(Halt) as caught:
        generator(server.url, patience=0.4).answer([question(i) for i in range(20)], DECODING)
    assert 0.4 <= time.monotonic() - started < 1.4
    assert not isinstance(caught.value, UserError)
    assert str(caught.value) == (
        f"{server.url}: no answer in 0.4 s ({last}); "
        "what is finished is kept: mend it and run the same command again"
    )


def test_tries_become_rarer(server: Server) -> None:
    server.script = lambda *_: wrong(500)
    with pytest.raises(Halt):
        generator(server.url, patience=1.05).answer([question(0)], DECODING)
    first, second, third, *_ = server.moments
    assert 0.25 <= second - first < 0.6
    assert 0.5 <= third - second < 1.1


def test_a_server_that_dies_in_the_middle_halts_the_job(server: Server) -> None:
    server.script = lambda number, body: right(body) if number < 10 else None
    started = time.monotonic()
    with pytest.raises(Halt, match=r"no answer in 0\.4 s"):
        generator(server.url, patience=0.4).answer([question(i) for i in range(20)], DECODING)
    assert 0.4 <= time.monotonic() - started < 2


def test_a_server_that_is_not_there_or_hangs_halts_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0), backlog=64) as mute:  # it takes connections, and no more
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/v1"
        started = time.monotonic()
        with pytest.raises(Halt, match=r"no answer in 0\.3 s \(nothing within 0\.2 s\)"):
            generator(url, timeout=0.2, patience=0.3).answer([question(0)], DECODING)
        assert time.monotonic() - started < 2
    started = time.monotonic()
    with pytest.raises(Halt, match=r"no answer in 0\.3 s \(All connection attempts failed\)"):
        generator(url, patience=0.3).answer([question(0)], DECODING)
    assert 0.3 <= time.monotonic() - started < 1.3


def test_slow_answers_are_no_fault_however_short_the_patience(server: Server) -> None:
    def script(number: int, body: Body) -> Reply:
        pause(0.3)
        return wrong(500) if number == 0 else right(body)

    server.script = script
    assert generator(server.url, patience=0.2).answer([question(0)], DECODING) == [expected(0)]


def test_a_wait_beyond_the_patience_is_not_begun(server: Server) -> None:
    server.script = lambda *_: wrong(429, "daily limit reached", headers={"Retry-After": "3600"})
    with pytest.raises(Halt) as caught:
        generator(server.url).answer([question(0)], DECODING)
    assert str(caught.value) == (
        f"{server.url}: asks to wait 3600 s, which is beyond the patience of 5 s (429: daily limit reached); "
        "what is finished is kept: mend it and run the same command again"
    )
    assert len(server.moments) == 1


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            wrong(401, "Incorrect API key provided: sk-secret"),
            "refuses the key in OPENAI_API_KEY: set another (401)",
        ),
        (wrong(403), "refuses the key in OPENAI_API_KEY: set another (403)"),
        (
            wrong(404, "No such model, sk-secret."),
            "has no model 'some-model', or no chat completions at this url (404: No such model, ....)",
        ),
        (
            wrong(400, "Unsupported value: 'temperature'", param="temperature"),
            "refuses every request made with these settings (400: Unsupported value: 'temperature')",
        ),
        (
            (405, {}, "Method Not Allowed"),
            "refuses every request made with these settings (405: Method Not Allowed)",
        ),
    ],
)
def test_what_holds_for_every_row_is_said_at_once_and_without_the_key(
    server: Server, monkeypatch: pytest.MonkeyPatch, reply: Reply, message: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    server.script = lambda *_: reply
    with pytest.raises(UserError) as caught:
        generator(server.url).answer([question(i) for i in range(20)], DECODING)
    assert str(caught.value) == f"{server.url}: {message}"
    assert len(server.moments) <= 4


def test_a_server_that_wants_a_key_names_the_variable(server: Server) -> None:
    server.script = lambda *_: wrong(401)
    with pytest.raises(UserError, match=r"wants a key: set OPENAI_API_KEY \(401\)$"):
        generator(server.url).answer([question(0)], DECODING)


def test_a_key_that_cannot_be_sent_is_refused_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("sk-se\ncret", "sk-sécret"):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        with pytest.raises(UserError, match=r"^OPENAI_API_KEY holds a blank or a character that no key has"):
            generator("http://127.0.0.1:1/v1")


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8000/v1",
        "ftp://host/v1",
        "http:///v1",
        "http://host:port/v1",
        "http://sk-secret@host/v1",
        "http://host/v1?key=sk-secret",
    ],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(UserError, match=r"looks like http://host:8000/v1") as caught:
        generator(url)
    assert "sk-secret" not in str(caught.value)
