"""What ran this: the device and the versions that stand in every manifest, report and bench."""

import contextlib
import ctypes
import importlib.metadata
import os
import platform
import random
import socket
import sys
from pathlib import Path

LIBRARIES = ["ray", "torch", "transformers", "deepspeed", "peft", "ctranslate2", "unbabel-comet"]
LIBRARIES += ["pyarrow", "omegaconf", "numpy"]


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("xlnu", *LIBRARIES):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def cores() -> int:
    """The processors this process may use, which in a container is often fewer than the machine has."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else min(allowed, max(1, int(quota) // int(period)))


def gpus() -> int:
    """Those that torch can use. Where the system knows of none it is not asked: importing it takes seconds."""
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/dxg").exists():
        return 0
    import torch

    return torch.cuda.device_count()


def keep_memory() -> None:
    """What this process frees, it keeps for itself. As it stands, the C library gives large blocks back to the
    system and asks for them anew, page by page and zeroed: in training on processors, a fifth of the time.
    """
    found = ctypes.CDLL(None)
    if hasattr(found, "mallopt"):  # glibc's
        trim_threshold, mmap_max, never = -1, -4, -1
        found.mallopt(trim_threshold, never)
        found.mallopt(mmap_max, 0)


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def free_port() -> int:
    """That nobody listens on, of those that nobody is given by chance, as Linux gives those from 32768 on, and Ray
    those below 20000: who is told of it listens some seconds later, and until then a connection would take another.
    """
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("", port))
            return port


def device() -> str:
    """The processors, and the GPUs if torch is here already: a manifest is not worth importing it for."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return f"{len(names)} x {names[0]}"
    return f"{cores()} x {processor()}"
