"""The Ray Serve application: `serve run configs/serve.yaml` builds it by this file's `build`."""

from pathlib import Path
from typing import Any

from xlnu import config, machine
from xlnu.cluster.pools import asks
from xlnu.errors import UserError
from xlnu.serve import keys
from xlnu.serve.settings import ServeConfig

NAME = "xlnu"
INGRESS = "api"
IN_HAND = 1000  # requests of a replica, which itself refuses those that would wait too long
CHECK_EVERY, CHECK_WAIT = 5.0, 30.0


def build(args: dict[str, Any]) -> Any:
    """`args`: the keys of ServeConfig."""
    return application(config.of(ServeConfig, args, "args"))


def folder_of(folder: str) -> str:
    """Absolute, if it is one here: replicas are started elsewhere."""
    place = Path(folder).expanduser()
    return str(place.resolve()) if place.is_dir() else folder


def check(given: ServeConfig) -> None:
    """What can be told before anything starts."""
    if given.replicas.most < max(1, given.replicas.least):
        raise UserError(f"replicas.most: {given.replicas.most}; replicas.least is {given.replicas.least}")


def application(given: ServeConfig, kind: Any = None) -> Any:
    """`kind`: of replicas, if not ours."""
    from ray import serve

    from xlnu.serve import ingress, replica

    if not given.models:
        raise UserError("models: must be given: a name, and the DIR of a stack: models={topic: DIR}")
    check(given)
    handles = []
    for name, folder in given.models.items():
        settings = replica.ReplicaSettings(
            name, folder_of(folder), given.detect, given.numbers, given.batch_tokens, given.limits.wait,
            given.replicas.threads or max(1, machine.cores() // given.replicas.most), given.replicas.gpus > 0,
        )  # fmt: skip
        held: Any = serve.deployment(kind or replica.Replica)
        made = held.options(name=f"model_{name}", **_options(given))
        handles.append(made.bind(settings))
    hashes = given.api.keys | keys.from_environment()
    about = ingress.IngressSettings(
        list(given.models), given.limits, hashes, given.api.texts_in_log, wakes=given.replicas.least == 0
    )
    api = ingress.deployment().options(
        name=INGRESS,
        num_replicas=given.api.replicas,
        ray_actor_options={"num_cpus": given.api.cpus, "resources": _role()},
        **_common(given),
    )
    return api.bind(about, *handles)


def _options(given: ServeConfig) -> dict[str, Any]:
    of = given.replicas
    found: dict[str, Any] = {
        "ray_actor_options": {"num_cpus": of.cpus, "num_gpus": of.gpus, "resources": _role()},
        "max_queued_requests": IN_HAND,
        **_common(given),
    }
    if of.least == of.most:
        return found | {"num_replicas": of.most}
    return found | {
        "autoscaling_config": {
            "min_replicas": of.least,
            "max_replicas": of.most,
            "target_ongoing_requests": of.requests,
            "upscale_delay_s": of.up_after,
            "downscale_delay_s": of.down_after,
        }
    }


def _role() -> dict[str, float]:
    """Nothing is refused: this may run on a machine that does not know which others can be started."""
    import ray

    return asks("server", told=False) if ray.is_initialized() else {}


def _common(given: ServeConfig) -> dict[str, Any]:
    return {
        "max_ongoing_requests": IN_HAND,
        "max_surge_percent": 100,  # an update starts the new replicas before the old ones go
        "health_check_period_s": CHECK_EVERY,
        "health_check_timeout_s": CHECK_WAIT,
        "graceful_shutdown_timeout_s": given.limits.deadline + 5,  # what is in hand is answered first
        "graceful_shutdown_wait_loop_s": 1.0,
        "logging_config": {"encoding": "JSON", "enable_access_log": False},
    }
