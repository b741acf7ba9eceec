"""What goes wrong on a cluster, made to go wrong: processes and machines that die, a store that is not there."""

import contextlib
import os
import random
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from xlnu.cluster.fake import Fake


@dataclass
class Gate:
    """In front of a server: it lets connections through, or refuses requests, or drops the line."""

    behind: tuple[str, int]
    listening: socket.socket
    mode: str = "open"
    lines: set[socket.socket] = field(default_factory=set)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.listening.getsockname()[1]}"

    def set(self, mode: str) -> None:
        """open; refuse: every request is answered with 503; drop: connections are cut, and none is taken."""
        self.mode = mode
        if mode == "drop":
            for line in list(self.lines):
                with contextlib.suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with client:
            if self.mode == "drop":
                return
            try:
                server = socket.create_connection(self.behind, 20)
            except OSError:
                return
            with server:
                self.lines |= {client, server}
                back = threading.Thread(target=self._pass, args=(server, client, False), daemon=True)
                back.start()
                self._pass(client, server, True)
                back.join()
                self.lines -= {client, server}

    def _pass(self, one: socket.socket, other: socket.socket, asks: bool) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if asks and self.mode == "refuse":
                    one.sendall(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    break
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def gate(server: str) -> Iterator[Gate]:
    """`server`: its host and port."""
    host, _, port = server.partition(":")
    listening = socket.create_server(("127.0.0.1", 0))
    made = Gate((host, int(port)), listening)
    threading.Thread(target=made.serve, daemon=True).start()
    yield made
    listening.close()


# ------------------------------------------------------------------------------------------------ processes


def named(made: Fake, name: bytes) -> list[int]:
    """Processes of the cluster whose command line has this. Workers name themselves by what they do, and are known
    by their raylet, which is their parent.
    """
    ours, found = set(made.processes()), []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if name in (folder / "cmdline").read_bytes():
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if int(folder.name) in ours or parent in ours:
                    found.append(int(folder.name))
    return found


def kill_one(made: Fake, name: bytes, chance: random.Random) -> bool:
    found = named(made, name)
    if found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(found), signal.SIGKILL)
    return bool(found)


def kill_actor(made: Fake, chance: random.Random) -> bool:
    return kill_one(made, b"ray::MapWorker", chance)


def kill_trainer(made: Fake, chance: random.Random) -> bool:
    return kill_one(made, b"ray::RayTrainWorker", chance)


def raylets(made: Fake) -> list[int]:
    """Of all machines but the head."""
    found = []
    for pid in named(made, b"raylet/raylet"):
        with contextlib.suppress(OSError):
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            if b"RAY_NODE_TYPE_NAME=ray.head.default" not in environment:
                found.append(pid)
    return found


def kill_machine(made: Fake, chance: random.Random) -> bool:
    """At once, and whatever ran on it: as a spot machine goes that nobody gave notice of."""
    found = raylets(made)
    if not found:
        return False
    kill(chance.choice(found))
    return True


def kill(raylet: int) -> None:
    for pid in [*_children(raylet), raylet]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _children(of: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == of:
                found.append(int(folder.name))
    return found


def kill_agent(made: Fake, chance: random.Random) -> bool:
    """The dashboard's agent on a machine that is not the head. Ray's raylet does not live without it."""
    of = [pid for raylet in raylets(made) for pid in _children(raylet)]
    agents = [pid for pid in of if b"dashboard/agent.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    if not agents:
        return False
    os.kill(chance.choice(agents), signal.SIGKILL)
    return True


KILLS: dict[str, Callable[[Fake, random.Random], bool]] = {
    "actor": kill_actor,
    "trainer": kill_trainer,
    "machine": kill_machine,
    "agent": kill_agent,
}
