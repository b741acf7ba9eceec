"""Through OpenAIGenerator, against a real HTTP server that answers as chat models do."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from xlnu.engines.base import Translation
from xlnu.engines.openai import OpenAIGenerator
from xlnu.engines.prompted import PromptedTranslator
from xlnu.languages import resolve

ASKED = "Translate from English to Swahili. Answer with the translation only.\n\n"
REFUSED = Translation("", 0, False, "refused by the server (400)")
ENGLISH, SWAHILI = resolve("eng_Latn"), resolve("swh_Latn")


class Server(ThreadingHTTPServer):
    """It answers by the last line it is sent, with what `says` holds for it, and refuses what it does not know."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.says: dict[str, str] = {}
        self.bodies: list[dict[str, Any]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        text = self.server.says.get(body["messages"][-1]["content"].rpartition("\n\n")[2])
        answer = {"choices": [{"message": {"content": text}, "finish_reason": "length"}]}
        self.send_response(400 if text is None else 200)
        self.end_headers()
        self.wfile.write(json.dumps(answer | {"usage": {"completion_tokens": 9}}).encode())


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


def translator(server: Server, shots: dict[str, list[tuple[str, str]]]) -> PromptedTranslator:
    url = f"http://127.0.0.1:{server.server_port}/v1"
    return PromptedTranslator(
        OpenAIGenerator(url, "some-model", concurrency=1, timeout=5, patience=5), shots, max_new_tokens=32
    )


def test_the_chat_shows_examples_of_the_target_and_asks_for_the_text(server: Server) -> None:
    server.says = {"Cat": "Paka"}
    shots = {"swh_Latn": [("Dog", "Mbwa"), ("Bird", "Ndege")], "deu_Latn": [("Dog", "Hund")]}
    assert translator(server, shots).translate(["Cat"], ENGLISH, SWAHILI) == [Translation("Paka", 9, True)]
    (body,) = server.bodies
    assert body["messages"] == [
        {"role": "user", "content": ASKED + "Dog"},
        {"role": "assistant", "content": "Mbwa"},
        {"role": "user", "content": ASKED + "Bird"},
        {"role": "assistant", "content": "Ndege"},
        {"role": "user", "content": ASKED + "Cat"},
    ]
    assert (body["temperature"], body["max_tokens"]) == (0, 32)


def test_without_examples_it_is_only_asked(server: Server) -> None:
    server.says = {"Paka": "Cat"}
    (cat,) = translator(server, {"swh_Latn": [("Dog", "Mbwa")]}).translate(["Paka"], SWAHILI, ENGLISH)
    assert cat.text == "Cat"
    asked = ASKED.replace("English to Swahili", "Swahili to English")
    assert server.bodies[0]["messages"] == [{"role": "user", "content": asked + "Paka"}]


def test_the_seed_is_the_texts_own(server: Server) -> None:
    server.says = {"Cat": "Paka", "Dog": "Mbwa"}
    zero_shot = translator(server, {})
    zero_shot.translate(["Cat", "Dog"], ENGLISH, SWAHILI)
    zero_shot.translate(["Dog"], ENGLISH, SWAHILI)
    zero_shot.translate(["Dog"], ENGLISH, resolve("deu_Latn"))
    cat, dog, again, german = (body["seed"] for body in server.bodies)
    assert dog == again
    assert len({cat, dog, german}) == 3


def test_a_refusal_stands_in_its_place_with_its_reason(server: Server) -> None:
    server.says = {"Cat": "Paka", "Dog": "Mbwa"}
    translations = translator(server, {}).translate(["Cat", "Poison", "Dog"], ENGLISH, SWAHILI)
    assert translations == [Translation("Paka", 9, True), REFUSED, Translation("Mbwa", 9, True)]


@pytest.mark.parametrize(
    ("text", "said", "translation"),
    [
        ("Cat", " Paka\n", "Paka"),
        ("Cat", '"Paka"', "Paka"),
        ("Cat", "“Paka”", "Paka"),
        ("Cat", "「Paka」", "Paka"),
        ("Cat", "Translation: Paka", "Paka"),
        ("Cat", "Swahili: Paka", "Paka"),
        ("Cat", 'Swahili translation:\n"Paka"', "Paka"),
        ("Ask: who?", "Swahili: Uliza: nani?", "Uliza: nani?"),
        # what may belong to the text stays
        ('"Cat"', '"Paka"', '"Paka"'),
        ("'Cat'", "«Paka»", "«Paka»"),
        ('"Cat" and "dog"', '"Paka" na "mbwa"', '"Paka" na "mbwa"'),
        ("Cat and dog", '"Paka" na "mbwa"', '"Paka" na "mbwa"'),
        ('They call it "cat"', '"Wanamwita paka"', '"Wanamwita paka"'),
        ("'Tis a cat", '"Ni paka"', '"Ni paka"'),
        ("Cat", "'Paka'", "'Paka'"),
        ("Cat", '"Paka', '"Paka'),
        ("Cat", '"', '"'),
        ("Swahili: a tongue", "Swahili: lugha", "Swahili: lugha"),
        ("Tafsiri: paka", "Translation: cat", "Translation: cat"),
        ("Swahili cats", "Swahili paka", "Swahili paka"),
    ],
)
def test_only_what_chat_models_put_around_a_translation_goes(
    server: Server, text: str, said: str, translation: str
) -> None:
    server.says = {text: said}
    (translated,) = translator(server, {}).translate([text], ENGLISH, SWAHILI)
    assert translated.text == translation


def test_a_script_is_named_to_the_model_and_not_expected_in_its_label(server: Server) -> None:
    server.says = {"Cat": "Acehnese: Mië"}
    (translated,) = translator(server, {}).translate(["Cat"], ENGLISH, resolve("ace_Latn"))
    assert translated.text == "Mië"
    assert "from English to Acehnese in Latin script." in server.bodies[0]["messages"][0]["content"]
