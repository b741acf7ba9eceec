"""Waiting for what other processes do, without taking the core that they need."""

import threading
import time
from collections.abc import Callable
from typing import Any


def until(true: Callable[[], Any], seconds: float = 120, every: float = 0.2) -> Any:
    """What it says, once that is anything."""
    end, wait = time.monotonic() + seconds, threading.Event()
    while not (found := true()):
        assert time.monotonic() < end, f"not within {seconds:g} s"
        wait.wait(every)
    return found
