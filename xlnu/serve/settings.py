"""What a server is told. configs/serve.yaml has it below `args`, jobs/serve.py as its own settings."""

import re
from dataclasses import dataclass
from typing import Literal

from xlnu.config import section, setting

Numbers = Literal["auto", "float32", "bfloat16", "float16"]
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# What Ray Serve's proxies find proxies.py by, in the environment of their node.
PROXIES = {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "xlnu.serve.proxies:middlewares"}
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.IGNORECASE)
_HASH = re.compile(r"[0-9a-f]{64}")


def _names(models: dict[str, str]) -> None:
    for name in models:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a model: letters, digits, and . _ - between them")


def _hashes(keys: dict[str, str]) -> None:
    for name, given in keys.items():
        if not _HASH.fullmatch(given):
            raise ValueError(
                f"{name}: is not the SHA-256 of a key, 64 digits from 0 to f: "
                "`python -m xlnu.serve.keys` makes a key and prints its hash"
            )


@dataclass
class LimitsConfig:
    """What is more than that is refused, never waited for without end."""

    body: int = setting(2_000_000, "bytes of a request; more get 413", at_least=1_000)
    texts: int = setting(256, "texts of a request, a pair counting as one", at_least=1)
    characters: int = setting(50_000, "characters of a text", at_least=1)
    choices: int = setting(50, "choices of a question, and candidates of a comparison", at_least=2)
    deadline: float = setting(
        30.0, "seconds until a request is given up; a client may ask for fewer by X-Request-Timeout", above=0
    )
    wait: float = setting(
        10.0, "seconds of work that may lie before a request: where more does, it gets 429 at once", above=0
    )


@dataclass
class ReplicasConfig:
    """How many processes hold a model, by the requests that each has in hand."""

    least: int = setting(1, "replicas of each model at any time; 0: none while nobody asks", at_least=0)
    most: int = setting(1, "replicas of each model under load", at_least=1)
    requests: float = setting(32, "requests in hand of a replica above which there should be more", above=0)
    up_after: float = setting(5.0, "seconds of more requests until there are more replicas", at_least=0)
    down_after: float = setting(300.0, "seconds of fewer requests until there are fewer replicas", at_least=0)
    cpus: float = setting(
        1,
        "processor cores that a replica claims from Ray; during an update, new ones stand beside the old",
        at_least=0,
    )
    gpus: float = setting(0, "GPUs that a replica claims; below 1, replicas share one", at_least=0)
    threads: int = setting(
        0, "threads it computes with; 0: the machine's cores, shared by all replicas", at_least=0
    )


@dataclass
class ApiConfig:
    """The processes that speak HTTP. They hold no model."""

    replicas: int = setting(1, "of them", at_least=1)
    cpus: float = setting(0.1, "processor cores that each claims from Ray", at_least=0)
    keys: dict[str, str] = setting(
        {},
        "who may ask: a name, and the SHA-256 of its key. XLNU_API_KEYS, keys with commas between them, "
        "adds others. Without any, only this machine itself is served",
        check=_hashes,
    )
    texts_in_log: bool = setting(False, "write what is asked into the log; else nothing of it is")


@dataclass
class ServeConfig:
    models: dict[str, str] = setting(
        {},
        "name: DIR of a stack, or its name on the hub; the first that can do what is asked is the default",
        check=_names,
    )
    detect: str = setting(
        "", "what tells the language of a text that comes without: a fastText model's file, or MODULE:NAME of yours"
    )
    numbers: Numbers = setting("auto", "what the weights are computed in; auto: as they were saved")
    batch_tokens: int = setting(
        0, "tokens of a batch, padding included; 0: 512 on processors, 8192 on a GPU", at_least=0
    )
    limits: LimitsConfig = section(LimitsConfig)
    replicas: ReplicasConfig = section(ReplicasConfig)
    api: ApiConfig = section(ApiConfig)
