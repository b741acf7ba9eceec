"""What `python jobs/serve.py` does: hosts stacks on this machine or on the cluster of RAY_ADDRESS, until it is told
to stop, and leaves the files by which others start the same: serve.yaml for `serve run`, and rayservice.yaml.
"""

import contextlib
import json
import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from xlnu import machine, spread
from xlnu.cluster.pools import asks
from xlnu.cluster.roles import everything
from xlnu.config import section, setting
from xlnu.engines.checkpoint import find, own_name
from xlnu.errors import Halt, UserError
from xlnu.run import FolderConfig, Run, print_out
from xlnu.serve import detector, keys
from xlnu.serve.app import NAME, application, check, folder_of
from xlnu.serve.manifest import KubeConfig, rayservice, serve_file
from xlnu.serve.settings import LOOPBACK, PROXIES, ServeConfig


@dataclass
class ServeJobConfig(ServeConfig):
    model: str = setting("", "DIR of one stack, in place of models; it is called by its step or its folder")
    host: str = setting("127.0.0.1", "where to listen; all but this machine's own address needs keys")
    port: int = setting(8000, "where to listen", at_least=1, at_most=65535)
    metrics_port: int = setting(
        8080, "where Prometheus finds what is counted, on a Ray of its own", at_least=1, at_most=65535
    )
    kube: KubeConfig = section(KubeConfig)
    run: FolderConfig = section(FolderConfig)


def ours(content: dict[str, Any]) -> dict[str, Any]:
    """A file that Ray Serve reads, as our own: its applications' args are our settings."""
    if "applications" not in content:
        return content
    some = [one for one in content["applications"] if one.get("import_path") == "xlnu.serve.app:build"]
    if len(some) != 1:
        raise UserError("applications: one of them, and no more, has the import_path xlnu.serve.app:build")
    http = {name: value for name, value in (content.get("http_options") or {}).items() if name in ("host", "port")}
    return {**(some[0].get("args") or {}), **http}


def work(config: ServeJobConfig, run: Run) -> None:
    if config.model:
        config.models = {_called(config.model): config.model}
    if not config.models:
        raise UserError("model: must be given, as model=DIR: a stack that a job left, or its name on the hub")
    for name, folder in config.models.items():
        here = folder.startswith((".", "/", "~")) or Path(folder).exists() or folder.count("/") > 1
        if here and "://" not in folder and not (Path(folder).expanduser() / "config.json").is_file():
            raise UserError(f"models.{name}: {folder}: there is no stack: no config.json is in it{_hint(folder)}")
    check(config)
    if config.host not in LOOPBACK and not (config.api.keys or keys.from_environment()):
        raise UserError(
            f"host: {config.host}: others could ask, and there are no keys: `python -m xlnu.serve.keys` makes one; "
            "its hash goes below api.keys, or the key itself into XLNU_API_KEYS"
        )
    with contextlib.suppress(ConnectionRefusedError, OSError):
        socket.create_connection((config.host, config.port), 1).close()
        raise UserError(f"port: {config.port}: something listens there already; take another, as port=8001")
    if run.plan:
        print_out(_plan(config))
        return
    from xlnu.stack import artefact

    config.models = {name: folder_of(folder) for name, folder in config.models.items()}
    for name, folder in config.models.items():  # a replica would say the same, but to its log
        artefact.complete(find(f"models.{name}", folder).local() if "://" in folder else folder)
    detector.opened(config.detect)
    whole = serve_file(config, config.host, config.port)
    run.put("serve.yaml", _yaml(whole, "serve run"))
    run.put("rayservice.yaml", _yaml(rayservice(config, config.kube), "kubectl apply -f"))
    _host(config, run)


def _called(folder: str) -> str:
    """distilled_topic-0123456789abcdef is the step distilled_topic."""
    name = own_name(folder) or "model"
    step, dash, address = name.rpartition("-")
    return step if dash and len(address) == 16 else name


def _hint(folder: str) -> str:
    near = (
        sorted(str(path.parent) for path in Path(folder).glob("models/*/config.json"))
        if Path(folder).is_dir()
        else []
    )
    return f"; did you mean {near[0]}?" if near else "; a job prints where its stacks lie"


def _yaml(content: dict[str, Any], command: str) -> bytes:
    return f"# {command} this file\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}".encode()


def _plan(config: ServeJobConfig) -> str:
    of = config.replicas
    each = f"{of.least} to {of.most}" if of.least != of.most else str(of.most)
    lines = [
        f"{name}: {folder}: {each} replicas, {of.cpus:g} cores and {of.gpus:g} GPUs each"
        for name, folder in config.models.items()
    ]
    return "\n".join([*lines, f"api: {config.api.replicas} processes on http://{config.host}:{config.port}"])


def _host(config: ServeJobConfig, run: Run) -> None:
    stopped = threading.Event()
    with _ray(config, run):
        from ray import serve

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        run.display.say(f"serve: {', '.join(config.models)}: starting; some 20 s")
        serve.start(http_options={"host": config.host, "port": config.port})
        try:
            serve.run(application(config), name=NAME, route_prefix="/")
        except RuntimeError as error:
            raise Halt(f"the server did not start: {_why() or ' '.join(str(error).split())}") from None
        print_out(f"http://{config.host}:{config.port}\n{curl(config)}")
        stopped.wait()
        run.display.say("serve: stopping: what is in hand is answered first")
        serve.delete(NAME)
        serve.shutdown()  # type: ignore[no-untyped-call]


def _why() -> str:
    """Of what Ray has on the deployments that failed, the exception, which stands below a traceback."""
    from ray import serve

    found = serve.status().applications.get(NAME)
    failed = [one.message for one in found.deployments.values() if "FAILED" in one.status] if found else []
    said = "\n".join(failed)
    raised = re.findall(r"^[\w.]*(?:Error|Exception)(?:: .*)?$", said, re.MULTILINE)
    return raised[-1] if raised else " ".join(said.split())[-1500:]


def curl(config: ServeJobConfig) -> str:
    """A line that works, whatever the model's task: every stack embeds."""
    first = next(iter(config.models))
    body = json.dumps({"model": first, "input": "The child plays with the ball.", "language": "eng_Latn"})
    key = '-H "Authorization: Bearer $KEY" ' if config.api.keys else ""
    address = f"http://{config.host}:{config.port}/v1/embeddings"
    return f"curl {address} -H 'Content-Type: application/json' {key}-d '{body}'"


@contextlib.contextmanager
def _ray(config: ServeJobConfig, run: Run) -> Iterator[None]:
    if os.environ.get("RAY_ADDRESS"):
        spread.connect(run.display)
        import ray

        asks("server")  # before anything is started: Serve itself would wait for such a machine
    else:
        os.environ |= PROXIES
        spread.on_its_own()
        import ray

        spread.quietly()
        # what replicas claim is theirs twice over, for an update starts the new beside the old
        claimed = 2 * config.replicas.most * len(config.models) * config.replicas.cpus
        ray.init(
            address="local", num_cpus=machine.cores() + int(claimed) + config.api.replicas + 1,
            resources=everything(),
            include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
            _metrics_export_port=config.metrics_port,
        )  # fmt: skip
    try:
        yield
    finally:
        ray.shutdown()
