"""A request that gets no answer: its status, and an error of the shape that OpenAI's clients read."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from xlnu.languages import Language


@dataclass(frozen=True)
class Refusal:
    """`param`: where in the request it lies. `choices`: languages that may have been meant."""

    status: int
    code: str
    message: str
    param: str | None = None
    choices: tuple[Language, ...] = ()
    retry_after: int | None = None

    def body(self) -> dict[str, Any]:
        kind = "invalid_request_error" if self.status < 500 and self.status != 429 else "server_error"
        said: dict[str, Any] = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        if self.choices:
            said["choices"] = [{"code": one.code, "name": one.name} for one in self.choices]
        return {"error": said}

    @property
    def headers(self) -> dict[str, str]:
        found = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return found | ({"WWW-Authenticate": "Bearer"} if self.status == 401 else {})


class Refused(Exception):
    """Raised where it is found out, within a process; between processes the refusal goes as a value."""

    def __init__(self, *about: Any, **more: Any) -> None:
        """What a refusal is made of, or one that another process made."""
        self.refusal = about[0] if isinstance(about[0], Refusal) else Refusal(*about, **more)
        super().__init__(self.refusal.message)


def wrong(
    message: str, param: str | None = None, code: str = "invalid_value", choices: Iterable[Language] = ()
) -> Refused:
    """What the caller must change."""
    return Refused(422, code, message, param, tuple(choices))
