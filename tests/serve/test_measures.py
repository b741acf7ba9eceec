"""What is counted, as Prometheus reads it; and that the dashboard asks for nothing else."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from tests.serve.serving import SENTENCES, TOP, Server
from tests.waiting import until
from xlnu.machine import free_port
from xlnu.serve.dashboard import PANELS, dashboard

FILE = TOP / "cluster" / "grafana" / "serving.json"


def samples(server: Server) -> dict[str, list[tuple[dict[str, str], float]]]:
    text = httpx.get(f"http://127.0.0.1:{server.metrics}/metrics", timeout=30).text
    found = dict[str, list[tuple[dict[str, str], float]]]()
    for family in families(text):
        for one in family.samples:
            found.setdefault(one.name, []).append((one.labels, one.value))
    return found


def total(server: Server, name: str, **tags: str) -> float:
    rows = samples(server).get(f"ray_xlnu_{name}", [])
    return sum(value for labels, value in rows if tags.items() <= labels.items())


def test_requests_are_counted(served: Server) -> None:
    """By what no other test asks of this server: numbers come some seconds late."""
    asked = {"model": "words", "candidates": [{"text": "plum", "language": "qag_Armn"}]}
    text = {"text": SENTENCES[1], "language": "qag_Armn"}
    said = served.ask("similarity", input=text, **asked).json()
    assert served.ask("similarity", input=SENTENCES[0], language="zh", **asked).status_code == 422
    by = {"endpoint": "similarity", "model": "words"}

    def seen() -> tuple[float, ...]:
        return (
            total(served, "requests_total", **by, code="200"),
            total(served, "requests_total", **by, code="422"),
            total(served, "request_seconds_count", **by),
            total(served, "texts_total", model="words", language="qag_Armn"),
            total(served, "tokens_total", model="words", language="qag_Armn"),
        )

    # the API's process and the model's tell of what they count one after the other
    assert until(lambda: seen() == (1, 1, 2, 2, said["usage"]["total_tokens"]))
    batches = until(lambda: total(served, "batch_seconds_count", model="words"))
    assert until(lambda: total(served, "wait_seconds_count", model="words") >= batches)
    tokens = until(lambda: total(served, "batch_tokens_total", model="words"))
    assert tokens >= said["usage"]["total_tokens"]
    # one is shorter, and they were computed together
    assert until(lambda: total(served, "batch_padding_total", model="words"))


def test_no_caller_can_make_it_count_by_what_he_likes(served: Server) -> None:
    """A series for each name that somebody thinks of would fill Prometheus' memory."""
    served.http.get("/v1/models/whatever-1")
    served.http.get("/v1/whatever-2")
    served.ask("classify", input="a", language="en", model="whatever-3")
    served.data("classify", input="a", language="wha->eng_Latn")
    by = {"endpoint": "models/{name}", "code": "404"}
    until(lambda: total(served, "requests_total", **by))
    until(lambda: total(served, "requests_total", endpoint="other", code="404"))
    seen = {value for rows in samples(served).values() for labels, _ in rows for value in labels.values()}
    assert not [one for one in seen if "wha" in one]


def test_the_dashboard_is_the_one_that_is_shipped() -> None:
    assert json.loads(FILE.read_text()) == dashboard(), (
        "python -m xlnu.serve.dashboard > cluster/grafana/serving.json"
    )


def test_the_dashboard_asks_for_what_is_counted(served: Server) -> None:
    served.data("classify", input=SENTENCES[0], language="en")
    assert len(PANELS) == 10
    asked = {name for _, _, shown in PANELS for _, query in shown for name in re.findall(r"ray_xlnu_\w+", query)}
    asked.remove("ray_xlnu_retries_total")  # nothing died yet, so that is not counted yet
    until(lambda: asked <= samples(served).keys())  # one process after another tells of what it counts


def test_prometheus_understands_the_dashboard(served: Server, tmp_path: Path) -> None:
    """A real one reads the server's numbers, and answers every query of the file with some."""
    binary = shutil.which("prometheus")
    if not binary:
        pytest.skip("there is no prometheus on this machine's PATH")
    port = free_port()
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\n"
        f"scrape_configs: [{{job_name: ray, static_configs: [{{targets: ['127.0.0.1:{served.metrics}']}}]}}]\n"
    )
    command = [binary, f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
               f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]  # fmt: skip
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)

    def asked(query: str) -> Any:
        served.ask("classify", input=[SENTENCES[0], SENTENCES[1]], language="en")
        try:
            got = http.get("/api/v1/query", params={"query": query.replace("$model", ".*")}).json()
        except httpx.TransportError:
            return None
        assert got["status"] == "success", got
        return got["data"]["result"]

    try:
        for title, _, shown in PANELS:
            for _, query in shown:
                if "retries" in query:
                    until(lambda query=query: asked(query) is not None)  # type: ignore[misc]
                else:
                    assert until(lambda query=query: asked(query)), title  # type: ignore[misc]
    finally:
        running.terminate()
        running.wait(20)
        http.close()
