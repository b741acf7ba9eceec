"""Where this server logs, and how a fault is told without what was asked."""

import logging
from types import TracebackType

log = logging.getLogger("ray.serve")  # what Ray Serve writes for each replica, beside Ray's other logs


def bare(error: BaseException) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    """Where it was raised, and not what it says: many exceptions quote the text they failed at."""
    return RuntimeError, RuntimeError(type(error).__name__), error.__traceback__
