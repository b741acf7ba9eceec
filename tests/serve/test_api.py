"""The endpoint as its callers meet it: what it refuses and how it says so, its lists, its headers, its log."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.serve.serving import LABELS, SENTENCES, STACKS, Server, serving
from xlnu.serve.keys import hashed

KEY, OTHER = "a-key-that-only-tests-know", "another-key-of-the-environment"
TEXT = SENTENCES[0]


@pytest.fixture(scope="module")
def guarded(stacks: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for keys, tells languages by itself, and has small limits."""
    settings = (
        f"model={stacks['topic']}", f"api.keys={{team: {hashed(KEY)}}}", "detect=tests.serve.telling:Telling",
        "limits.body=5000", "limits.texts=4", "limits.characters=100", "limits.choices=3", "limits.deadline=20",
        "replicas.threads=1",
    )  # fmt: skip
    with serving(tmp_path_factory.mktemp("guarded"), *settings, XLNU_API_KEYS=OTHER) as server:
        server.http.headers["Authorization"] = f"Bearer {KEY}"
        yield server


def refused(got: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert got.status_code == status, got.text
    error: dict[str, Any] = got.json()["error"]
    assert error["code"] == code
    assert "\n" not in error["message"]
    return error


# ------------------------------------------------------------------------------------------------------ languages


@pytest.mark.parametrize("said", ["eng_Latn", "en", "eng", "English", "en-GB"])
def test_a_language_may_be_said_in_many_ways(said: str, served: Server) -> None:
    (one,) = served.data("classify", input=TEXT, language=said)
    assert one["language"] == "eng_Latn"


def test_what_is_ambiguous_is_refused_with_the_choices(served: Server) -> None:
    error = refused(served.ask("classify", input=TEXT, language="zh"), 422, "language_unknown")
    assert [one["code"] for one in error["choices"]] == ["zho_Hans", "zho_Hant"]
    assert error["param"] == "input.language"


def test_what_is_misspelt_is_refused_with_the_nearest(served: Server) -> None:
    got = served.ask("classify", input=["x", {"text": "y", "language": "Englsh"}], language="en")
    error = refused(got, 422, "language_unknown")
    assert "eng_Latn" in [one["code"] for one in error["choices"]]
    assert error["param"] == "input.1.language"


def test_what_the_encoder_does_not_read_is_refused(served: Server) -> None:
    error = refused(served.ask("classify", input=TEXT, language="sw"), 422, "language_not_read")
    assert "swh_Latn" in error["message"]


def test_one_may_stand_in_for_another_and_the_answer_says_so(served: Server) -> None:
    (one,) = served.data("classify", input=TEXT, language="mad->eng_Latn")
    assert one["language"] == "mad->eng_Latn"


def test_a_missing_language_is_asked_for(served: Server) -> None:
    error = refused(served.ask("embeddings", input=["x"]), 422, "language_missing")
    assert error["param"] == "input.0.language"


def test_a_detector_finds_a_missing_language(guarded: Server) -> None:
    one, other = guarded.data("classify", input=[TEXT, "ббб"])
    assert (one["language"], one["language_found"]) == ("eng_Latn", True)
    assert (other["language"], other["language_found"]) == ("qab_Cyrl", True)
    (said,) = guarded.data("classify", input=TEXT, language="qaa_Latn")
    assert (said["language"], said["language_found"]) == ("qaa_Latn", False)
    refused(guarded.ask("classify", input="123"), 422, "language_not_found")


def test_languages_are_listed(served: Server) -> None:
    lines = {one["code"]: one for one in served.http.get("/v1/languages").json()["data"]}
    assert lines["eng_Latn"]["name"] == "English"
    assert lines["eng_Latn"]["models"] == ["topic", "nli", "pick", "words", "sts"]
    assert len(lines) == 8
    few = served.http.get("/v1/languages", params={"model": "nli"}).json()["data"]
    assert {tuple(one["models"]) for one in few} == {("nli",)}


# --------------------------------------------------------------------------------------------------------- models


def test_models_are_listed(served: Server) -> None:
    data = {one["id"]: one for one in served.http.get("/v1/models").json()["data"]}
    assert list(data) == ["topic", "nli", "pick", "words", "sts"]
    assert data["topic"]["labels"] == LABELS
    assert data["pick"]["endpoints"] == ["choose", "similarity", "embeddings"]
    assert len({one["version"] for one in data.values()}) == 5
    assert served.http.get("/v1/models/nli").json() == data["nli"]


def test_the_default_is_the_first_model_that_can_do_it(served: Server) -> None:
    asked = {"question": "who?", "choices": ["a", "b"], "language": "en"}
    assert served.ask("choose", **asked).json()["model"] == "pick"
    assert served.ask("classify", input=TEXT, language="en").json()["model"] == "topic"


def test_a_model_that_is_not_here_is_named(served: Server) -> None:
    for got in (served.ask("classify", input=TEXT, language="en", model="gpt"), served.http.get("/v1/models/gpt")):
        assert "there is topic, nli, pick" in refused(got, 404, "model_not_found")["message"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"model": "pick", "input": TEXT}, "pick answers /v1/choose"),
        ({"model": "nli", "input": TEXT}, 'give the second text as "pair"'),
        ({"model": "topic", "input": {"text": "a", "pair": "b"}}, 'leave "pair" out'),
        ({"model": "topic", "input": {"words": ["a"]}}, "reads texts, not words"),
        ({"model": "words", "input": TEXT}, 'give them as "words"'),
        ({"input": {"language": "en"}}, "give a text, or words"),
        ({"input": {"text": "a", "words": ["a"]}}, "not both"),
    ],
)
def test_what_a_model_does_not_do_is_refused(asked: dict[str, Any], said: str, served: Server) -> None:
    got = served.ask("classify", **asked, language="en")
    assert said in refused(got, 422, "invalid_value")["message"]


def test_a_chooser_is_not_asked_for_labels(served: Server) -> None:
    got = served.ask("choose", model="topic", question="a", choices=["b", "c"], language="en")
    assert "topic answers /v1/classify" in refused(got, 422, "invalid_value")["message"]


# ------------------------------------------------------------------------------------------------------- the body


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ('{"inp', 400, "no JSON"),
        ("[]", 422, "body: "),
        ("{}", 422, "input: is missing"),
        ('{"input": "a", "lang": "en"}', 422, "lang: there is no such field; did you mean language?"),
        ('{"input": [{"text": "a", "langauge": "en"}]}', 422, "input.0.langauge: there is no such field"),
        ('{"input": [""], "language": "en"}', 422, "input.0: "),
        ('{"input": " ", "language": "en"}', 422, "input: is blank"),
        ('{"input": [], "language": "en"}', 422, "input: "),
        ('{"input": 5, "language": "en"}', 422, "input: should be a text"),
        ('{"input": "\\ud800", "language": "en"}', 422, "input"),
        ('{"input": "a", "language": 5}', 422, "language: "),
    ],
)
def test_a_body_that_does_not_fit_is_told_where(body: str, status: int, said: str, served: Server) -> None:
    got = served.http.post("/v1/classify", content=body, headers={"Content-Type": "application/json"})
    assert got.status_code == status, got.text
    assert said in got.json()["error"]["message"]


def test_other_mistakes_are_told_in_the_same_shape(served: Server) -> None:
    assert "/docs" in refused(served.http.get("/v1/nothing"), 404, "not_found")["message"]
    got = served.http.put("/v1/models")
    refused(got, 405, "method_not_allowed")
    assert got.headers["allow"] == "GET"
    refused(served.ask("embeddings", input=TEXT, language="en", dimensions=7), 422, "invalid_value")


def test_what_is_too_much_is_refused(guarded: Server) -> None:
    asked: dict[str, Any] = {"language": "en"}
    refused(guarded.ask("classify", input="a" * 6000, **asked), 413, "too_long")
    chunks = iter([b'{"input": "', b"a" * 6000, b'"}'])  # without a length that could be looked at
    refused(guarded.http.post("/v1/classify", content=chunks), 413, "too_long")
    error = refused(guarded.ask("classify", input=["ok", "a" * 101], **asked), 422, "too_long")
    assert error["param"] == "input.1"
    refused(guarded.ask("classify", input=["a"] * 5, **asked), 422, "too_many")
    refused(guarded.ask("similarity", input="a", candidates=["a"] * 4, **asked), 422, "too_many")
    assert len(guarded.data("classify", input=["a"] * 4, **asked)) == 4


# -------------------------------------------------------------------------------------------------- keys, headers


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {KEY}", 200), (f"bearer {OTHER}", 200),
        (None, 401), ("Bearer nobody's", 401), (f"Basic {KEY}", 401), ("Bearer", 401),
    ],
)  # fmt: skip
def test_only_who_has_a_key_is_let_in(header: str | None, status: int, guarded: Server) -> None:
    headers = {"Authorization": header} if header else {}
    asked = {"input": TEXT, "language": "en"}
    got = httpx.post(f"{guarded.address}/v1/classify", json=asked, headers=headers, timeout=30)
    assert got.status_code == status
    if status == 401:
        refused(got, 401, "invalid_api_key")
        assert got.headers["www-authenticate"] == "Bearer"
        for path in ("models", "languages", "models/topic"):
            assert httpx.get(f"{guarded.address}/v1/{path}", headers=headers).status_code == 401
    for path in ("healthz", "readyz", "", "docs", "openapi.json"):  # what says nothing of anybody
        assert httpx.get(f"{guarded.address}/{path}", headers=headers).status_code == 200


def test_a_request_has_an_id(served: Server) -> None:
    given = served.ask("classify", headers={"X-Request-ID": "mine-1"}, input=TEXT, language="en")
    assert given.headers.get_list("x-request-id") == ["mine-1"]
    ids = {served.http.get("/v1/models").headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    whole = log_of(served)
    assert all(one in whole for one in ids), "who reads the log finds the request that a client tells of"


def test_a_page_may_load_nothing_from_elsewhere(served: Server) -> None:
    for path in ("/", "/docs"):
        got = served.http.get(path)
        policy = got.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "http" not in policy
        assert got.headers["x-frame-options"] == "DENY"
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["referrer-policy"] == "no-referrer"


def test_a_deadline_is_kept(served: Server) -> None:
    heavy = {"input": [SENTENCES[3]] * 250, "language": "en"}
    got = served.ask("classify", headers={"X-Request-Timeout": "0.05"}, **heavy)
    error = refused(got, 504, "deadline")
    assert got.headers["retry-after"]
    assert error["type"] == "server_error"
    assert got.elapsed.total_seconds() < 3
    for wrong in ("0", "-1", "soon", "nan"):
        refused(served.ask("classify", headers={"X-Request-Timeout": wrong}, **heavy), 422, "invalid_value")


def test_it_says_how_it_is(served: Server) -> None:
    assert served.http.get("/healthz").json() == {"status": "ok", "models": {}}
    ready = served.http.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["models"] == dict.fromkeys(STACKS, True)


def test_a_curl_line_is_printed_that_works(served: Server) -> None:
    import shlex
    import subprocess

    address, line = served.printed
    done = subprocess.run(shlex.split(line), capture_output=True, text=True, check=True)
    assert address in line
    assert json.loads(done.stdout)["model"] == "topic"


# -------------------------------------------------------------------------------------------------------- OpenAI's


def test_openais_client_works(guarded: Server) -> None:
    client = openai.OpenAI(base_url=f"{guarded.address}/v1", api_key=KEY)
    assert [one.id for one in client.models.list()] == ["topic"]
    assert client.models.retrieve("topic").object == "model"
    by = {"extra_body": {"language": "swh->eng_Latn"}}
    plain = client.embeddings.create(model="topic", input=[TEXT, "b"], encoding_format="float", **by)  # type: ignore[arg-type]
    packed = client.embeddings.create(model="topic", input=[TEXT, "b"], **by)  # type: ignore[arg-type]
    assert [one.index for one in plain.data] == [0, 1]
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, rel=1e-6)
    assert plain.usage.total_tokens > 4
    with pytest.raises(openai.NotFoundError, match="no model 'gpt'"):
        client.embeddings.create(model="gpt", input="a")
    with pytest.raises(openai.UnprocessableEntityError, match="cannot be told"):
        client.embeddings.create(model="topic", input="1")
    with pytest.raises(openai.AuthenticationError, match="key"):
        openai.OpenAI(base_url=f"{guarded.address}/v1", api_key="no").models.list()


# --------------------------------------------------------------------------------------------------------- its log


def log_of(server: Server) -> str:
    """All that Ray keeps of this server's processes."""
    paths = [path for path in (server.session() / "logs").rglob("*") if path.is_file()]
    return "\n".join(path.read_text(errors="replace") for path in paths)


def test_the_log_tells_of_a_request_all_but_what_was_asked(guarded: Server) -> None:
    secret = "zebrasecret"
    guarded.ask("classify", headers={"X-Request-ID": "find-me"}, input=f"{secret} one", language="en")
    guarded.ask("classify", input=f"{secret} two", language=f"{secret}ish")
    guarded.ask("classify", input=secret, surprise=secret)
    whole = log_of(guarded)
    lines = [json.loads(one) for one in whole.splitlines() if one.startswith("{") and "find-me" in one]
    told = next(one for one in lines if one["message"] == "answered")
    assert told["status"] == 200
    assert (told["model"], told["languages"], told["items"], told["caller"]) == ("topic", ["eng_Latn"], 1, "team")
    assert told["ms"] > 0
    assert math.isfinite(told["tokens"])
    assert "texts" not in told
    assert secret not in whole
    assert KEY not in whole
    assert OTHER not in whole


def test_what_was_asked_is_logged_where_that_is_wanted(served: Server) -> None:
    served.ask("classify", input="zebra one", language="en")
    lines = [json.loads(one) for one in log_of(served).splitlines() if one.startswith("{") and "zebra" in one]
    assert [one["texts"] for one in lines] == [[["zebra one"]]]
