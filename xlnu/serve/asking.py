"""How the API asks a model's replicas: with a deadline, once more where a replica died, and never without end.

What a replica that died was working on is computed alone the next time: one of it may be what killed it.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RequestCancelledError

from xlnu.languages import Language
from xlnu.serve.measures import Measures
from xlnu.serve.reading import Example, Identity, Said, Want
from xlnu.serve.refused import Refusal, Refused

LIVES = 3  # replicas that one request may see die
LEAST = 0.01  # seconds; what is left of a deadline after that is no use
LOOK = 1.0  # seconds in which a replica that is there says who it is


@dataclass(frozen=True)
class Told:
    identity: Identity
    said: list[Said]


class Asking:
    def __init__(self, handles: Mapping[str, Any], measures: Measures) -> None:
        self.handles, self.measures = handles, measures
        self._known: dict[str, Identity] = {}
        self._languages: dict[tuple[str, str], tuple[Language, ...]] = {}  # by name and version

    async def ask(self, name: str, examples: Sequence[Example], want: Want, until: float) -> Told:
        """`until`: by the clock of time.monotonic."""
        for life in range(LIVES):
            try:
                found = await self._call(name, until, "read", list(examples), want, life > 0)
            except RayActorError:
                self.measures.retried(name)
                continue
            if isinstance(found, Refusal):
                raise Refused(found)
            self._known[name] = found.identity
            return Told(found.identity, found.said)
        raise Refused(503, "replica_died", f"{LIVES} replicas died of this request, or beside it", retry_after=5)

    async def identity(self, name: str, until: float) -> Identity:
        """As it was last seen: each answer brings it along."""
        if name not in self._known:
            self._known[name] = await self._alive(name, until, "identify")
        return self._known[name]

    async def languages(self, name: str, until: float) -> tuple[Language, ...]:
        identity = self._known[name] = await self._alive(name, until, "identify")
        key = (name, identity.version)
        if key not in self._languages:
            self._languages[key] = await self._alive(name, until, "languages")
        return self._languages[key]

    async def ready(self, name: str) -> bool:
        try:
            self._known[name] = await self._call(name, time.monotonic() + LOOK, "identify")
        except (Refused, RayActorError):
            return False
        return True

    async def _alive(self, name: str, until: float, method: str) -> Any:
        for _ in range(LIVES):
            try:
                return await self._call(name, until, method)
            except RayActorError:
                continue
        raise Refused(503, "replica_died", f"{name}: no replica lives long enough to answer", retry_after=5)

    async def _call(self, name: str, until: float, method: str, *given: Any) -> Any:
        left = until - time.monotonic()
        if left < LEAST:
            raise _late()
        response = getattr(self.handles[name], method).remote(*given)
        try:
            async with asyncio.timeout(left):
                return await response
        except TimeoutError:
            response.cancel()
            raise _late() from None
        except asyncio.CancelledError:  # its client has gone
            response.cancel()
            raise
        except BackPressureError:
            raise Refused(429, "overloaded", f"{name}: too many requests wait already", retry_after=1) from None
        except DeploymentUnavailableError:
            raise Refused(503, "unavailable", f"{name}: no replica could be started", retry_after=10) from None
        except RequestCancelledError:
            raise Refused(503, "cancelled", f"{name}: its replica gave this request up", retry_after=1) from None
        except RayTaskError as error:
            if isinstance(error.cause, RayActorError):
                raise error.cause from None
            raise


def _late() -> Refused:
    return Refused(504, "deadline", "the time of this request is up", retry_after=1)
