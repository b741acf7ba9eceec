"""The API as a deployment of Ray Serve, with a handle on each model's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray import serve

from xlnu.serve.api import Api, app_of
from xlnu.serve.asking import Asking
from xlnu.serve.measures import Measures
from xlnu.serve.settings import LOOPBACK, LimitsConfig


@dataclass(frozen=True)
class IngressSettings:
    models: Sequence[str]
    limits: LimitsConfig
    hashes: Mapping[str, str]
    texts_in_log: bool
    wakes: bool  # replicas are started when somebody asks


class Ingress:
    def __init__(self, settings: IngressSettings, *handles: Any) -> None:
        refuse_strangers(settings.hashes, _host())
        measures = Measures()
        by_name = dict(zip(settings.models, handles, strict=True))
        asking = Asking(by_name, measures)
        api = Api(asking, settings.models, settings.limits, settings.hashes, settings.texts_in_log, settings.wakes)
        self.made = app_of(api, measures)

    def __serve_build_asgi_app__(self) -> Any:
        return self.made


def refuse_strangers(hashes: Mapping[str, str], host: str) -> None:
    """ValueError where anybody on the network could ask."""
    if not hashes and host not in LOOPBACK:
        raise ValueError(
            f"the server listens on {host}, where others can reach it, and has no keys: put some below api.keys "
            "(`python -m xlnu.serve.keys` makes them) or into XLNU_API_KEYS, or listen on 127.0.0.1"
        )


def _host() -> str:
    from ray.serve.context import _get_global_client

    options: Any = _get_global_client().http_config  # type: ignore[union-attr]
    return options.host or "127.0.0.1"


def deployment() -> Any:
    return serve.deployment(serve.ingress()(Ingress))
