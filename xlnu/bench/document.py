"""bench.json: what was measured, and on what. schema.json says what each key means."""

import os
import platform
from typing import Any

from xlnu import machine
from xlnu.bench.frame import Result
from xlnu.report.document import plain

FORMAT = 1


def this_machine() -> dict[str, Any]:
    return {
        "processor": machine.processor(),
        "cores": machine.cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "device": machine.device(),
        "platform": platform.platform(),
        "versions": machine.versions(),
    }


def document(results: list[Result]) -> dict[str, Any]:
    return {"format": FORMAT, "machine": this_machine(), "benches": plain(results)}
