"""A transfer set by other engines than CTranslate2: transformers, a server over HTTP, the LLM for itself."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from xlnu import steps
from xlnu.config import load
from xlnu.engines.checkpoint import Checkpoint
from xlnu.errors import UserError
from xlnu.progress import Display
from xlnu.steps import Result, Step
from xlnu.store import Store
from xlnu.tiny.build import Built
from xlnu.tiny.embed import embed
from xlnu.transfer.build import TransferSet
from xlnu.transfer.job import TransferJobConfig

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("ray_here")]

FAMILIES = ("en_en", "tgt_tgt", "tgt_en", "en_tgt", "translate_fwd", "translate_bwd", "complete")
CONFIG = Path(__file__).parents[2] / "configs" / "tiny" / "transfer.yaml"


def planned(tiny: Built, *settings: str) -> TransferSet:
    few = ["instructions.at_most=6", "languages=[qaa_Latn]", "transfer.flags=[]", "transfer.filter=none"]
    arguments = [*few, "tiny.size=xs", f"tiny.cache={tiny.data.parent}", "english.reject=[]", *settings]
    config = load(TransferJobConfig, str(CONFIG), arguments)
    _, declared = embed(config, config.tiny, Display(), plan=False)
    return TransferSet(config, declared)


def run(todo: list[Step], store: Path) -> dict[str, Result]:
    return steps.named(steps.run(todo, Store(str(store)), Display()), todo)


def make(store: Path, tiny: Built, *settings: str, last: str = "transfer") -> dict[str, Result]:
    """The steps up to the last that is asked for."""
    todo = planned(tiny, *settings).steps
    return run(todo[: 1 + [step.name for step in todo].index(last)], store)


def rows(made: dict[str, Result], step: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made[step].table().to_pylist()
    return found


class Server(ThreadingHTTPServer):
    refuses = silent_at = "nothing"

    def __init__(self, *where: Any) -> None:
        super().__init__(*where)
        self.asked: list[dict[str, Any]] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        said = body["messages"][-1]["content"].rpartition("\n")[2]
        answer = "" if said == self.server.silent_at else f"<{said}>"
        choice = {"message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}
        reply = json.dumps({"choices": [choice], "usage": {"completion_tokens": len(said.split())}}).encode()
        self.send_response(400 if said == self.server.refuses else 200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield server
        server.shutdown()
        serving.join()


def test_a_server_answers_and_translates(tiny: Built, server: Server, tmp_path: Path) -> None:
    by_server = ("engine=openai", f"url=http://127.0.0.1:{server.server_port}/v1", "model=some-model")
    settings = [f"{who}.{what}" for who in ("english", "translator") for what in by_server]
    made = make(tmp_path, tiny, *settings)
    for row in rows(made, "english"):
        asked = row["input"] or row["instruction"]
        assert (row["answer"], row["engine"], row["model"]) == (f"<{asked}>", "openai", "some-model")
    (sentence, *_) = rows(made, "sentences")
    (translated, *_) = rows(made, "translated_qaa_latn")
    assert translated["text"] == f"<{sentence['text']}>"
    assert {(row["engine"], row["model"]) for row in rows(made, "bitext_qaa_latn")} == {("openai", "some-model")}
    asked = [body for body in server.asked if body["messages"][0]["content"].startswith("Translate from")]
    assert {(len(body["messages"]), body["max_tokens"]) for body in asked} >= {(2 * 5 + 1, 60)}
    assert "mt_ct2" not in made


def test_the_llm_translates_for_itself_with_examples(tiny: Built, tmp_path: Path) -> None:
    plan = planned(tiny, "translator.engine=llm", "translator.shots=3", "translator.max_tokens=5")
    assert plan.mt
    assert len(plan.mt.shots["qaa_Latn"]) == 3
    made = run(plan.steps, tmp_path)
    found = {(row["engine"], row["model"]) for row in rows(made, "bitext_qaa_latn")}
    assert found == {("llm", rows(made, "english")[0]["model"])}
    assert "mt_ct2" not in made


def test_transformers_draws_by_the_seed(tiny: Built, tmp_path: Path) -> None:
    drawn = ("english.engine=hf", "english.temperature=1.5", "english.max_new_tokens=8", "translator.engine=hf")
    first, other, again = (
        make(tmp_path / str(i), tiny, *drawn, f"english.seed={seed}", "english.rows_per_part=4", last=last)
        for i, (seed, last) in enumerate(((0, "transfer"), (1, "english"), (0, "transfer")))
    )
    answers = [[row["answer"] for row in rows(made, "english")] for made in (first, other, again)]
    assert answers[0] == answers[2] != answers[1]
    assert rows(first, "transfer") == rows(again, "transfer")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["english.temperature=1"], "english.temperature: the engine ct2 cannot draw by a seed of each row; take"),
        (["english.engine=openai"], "english.url: the engine openai needs the server's address"),
        (
            ["translator.engine=hf", "translator.compute=int8"],
            "translator.compute: the engine hf has no int8; take",
        ),
        (["languages=[eng_Latn]"], "languages: eng_Latn is the source language itself"),
        (["languages=[]"], "languages: name at least one"),
        (
            ["english.model=/nowhere"],
            "english.model: /nowhere: there is no such folder of a Hugging Face checkpoint",
        ),
        (["english.model=/etc/hostname"], "english.model: /etc/hostname: is a file; name the folder of a Hugging"),
        (["english.model=/etc"], "english.model: /etc: the folder holds no model: there is no config.json in it"),
        (["english.model=tiny:lm"], "tiny:lm: the tiny world has no 'lm': there are 'llm', 'mt', 'qe', 'data'"),
        (
            ["translator.engine=llm", "english.engine=vllm"],
            "translator.engine: llm needs english.engine=ct2, hf or",
        ),
        (
            ["transfer.parallel.target=''"],
            "transfer.parallel.target: must be given beside transfer.parallel.source",
        ),
        (
            ["transfer.parallel.target=/{target}"],
            "transfer.parallel: /qaa_Latn: no such file, though its other half",
        ),
        (["transfer.switch.dictionaries=en-fr.txt"], "transfer.switch.dictionaries: en-fr.txt: names no language"),
        (
            ["transfer.switch.dictionaries=/no/{target_tag}.txt"],
            "transfer.switch.dictionaries: fits no file of any language in its script; looked for /no/qaa.txt",
        ),
        (
            ["transfer.parallel.source=/no/{target}", "transfer.parallel.target=/no/{source}-{target}"],
            "transfer.parallel.source: fits no language's file; looked for /no/qaa_Latn",
        ),
        (
            ["english.model=''"],
            "english.model: must be given: a folder with a checkpoint, or a model's name on the",
        ),
        (["english.engine=vllm", "english.compute=int8"], "english.compute: the engine vllm has no int8; take"),
        (
            ["english.engine=openai", "english.url=http://x/v1", "english.model=''"],
            "english.model: the engine openai needs the name by which its server knows the model",
        ),
        (
            [f"transfer.families.{name}=0" for name in FAMILIES],
            "transfer.families: every weight is 0: there would be no row",
        ),
    ],
)
def test_a_mistake_is_one_line_before_any_work(tiny: Built, settings: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        planned(tiny, *settings)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("transfer.ask.cue=Now.", "transfer.ask.cue: got Now. (command line)"),
        (
            "transfer.ask.translate='{source} {target}'",
            "transfer.ask.translate: got {source} {target} (command line)",
        ),
        (
            "transfer.ask.complete='{language} {text} {more}'",
            "transfer.ask.complete: got {language} {text} {more} (command line)",
        ),
        ("transfer.ask.complete='{language} {text'", "transfer.ask.complete: got {language} {text (command line)"),
    ],
)
def test_a_prompt_that_would_lose_its_text_is_refused(tiny: Built, setting: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        planned(tiny, setting)
    assert str(caught.value).startswith(message)
    assert "it must hold" in str(caught.value)


def test_a_model_that_another_machine_lacks_is_named(tmp_path: Path) -> None:
    there = Checkpoint(str(tmp_path / "gone"), "", "0123")
    with pytest.raises(UserError, match=rf"{tmp_path}/gone: there is no such folder on .*: put it where every"):
        there.local()


def test_what_a_server_refuses_is_rejected_with_its_reason(
    tiny: Built, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(tmp_path, tiny, "translator.engine=echo", last="sentences")
    refused = rows(made, "sentences")[0]["text"]
    monkeypatch.setattr(server, "refuses", refused)
    by_server = ("engine=openai", f"url=http://127.0.0.1:{server.server_port}/v1", "model=some-model")
    made = make(tmp_path, tiny, *(f"translator.{what}" for what in by_server))
    translated = made["translated_qaa_latn"].manifest
    assert translated.rejected == {"refused by the server (400)": 1}
    assert translated.rows_in == translated.rows_out + 1
    pieces = {row["id"]: str(row) for row in rows(made, "pieces")}
    joined = rows(made, "bitext_qaa_latn")
    hit = [row for row in joined if row["reject"]]
    assert hit
    assert {row["reject"] for row in hit} == {"refused by the server (400)"}
    assert all(refused in pieces[row["parent"]] for row in hit)
    assert {row["parent"] for row in rows(made, "transfer") if row["reject"] == hit[0]["reject"]} == {
        row["parent"] for row in hit
    }


def test_a_row_without_an_answer_never_teaches_silence(tiny: Built, tmp_path: Path, server: Server) -> None:
    by_server = ("engine=openai", f"url=http://127.0.0.1:{server.server_port}/v1", "model=some-model")
    first = rows(make(tmp_path, tiny, "translator.engine=echo", last="instructions"), "instructions")[0]
    server.silent_at = first["input"] or first["instruction"]
    settings = [f"english.{what}" for what in by_server] + ["translator.engine=echo"]
    made = make(tmp_path, tiny, *settings)
    (silent,) = [row for row in rows(made, "english") if row["flags"] == ["empty"]]
    assert silent["reject"] is None, "english.reject=[] lets it go further"
    for row in rows(made, "transfer"):
        assert (row["reject"] == "no answer") == (row["parent"] == silent["id"])


def test_a_model_on_the_hub_that_cannot_be_had_is_one_line(tiny: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        UserError, match=r"english\.model: some/model: no folder here, and the hub does not give it"
    ):
        planned(tiny, "english.model=some/model")


@pytest.mark.skipif("XLNU_REAL_DATA" not in os.environ, reason="XLNU_REAL_DATA names no folder of real data")
@pytest.mark.parametrize("name", ["llms_from_scratch_instruction-data.json", "self_instruct_seed_tasks.jsonl"])
def test_real_text_comes_through_every_step_character_for_character(name: str, tmp_path: Path) -> None:
    path = Path(os.environ["XLNU_REAL_DATA"], "instructions", name)
    echo = [f"{who}.{what}=echo" for who in ("english", "translator") for what in ("engine", "model")]
    arguments = [
        *echo,
        f"instructions.path={path}",
        "languages=[swh_Latn]",
        "english.reject=[]",
        "transfer.flags=[]",
    ]
    config = load(TransferJobConfig, None, [*arguments, "transfer.families.gold_tgt_tgt=1"])
    made = run(TransferSet(config).steps, tmp_path)
    sources = [row for row in rows(made, "english") if row["reject"] is None]
    assert len(sources) == {"l": 1075, "s": 175}[name[0]]
    translated, gold = rows(made, "bitext_swh_latn"), rows(made, "gold_bitext_swh_latn")
    for source, row, answer in zip(sources, translated, gold, strict=True):
        fields = ("instruction", "input", "answer")
        assert [row[field] for field in fields] == [source[field] for field in fields]
        assert answer["answer"] == source["output"]
        assert row["question_round_trip"] > 0.99, "what comes back as it went has the highest chrF"
    assert made["transfer"].manifest.rejected == {}
