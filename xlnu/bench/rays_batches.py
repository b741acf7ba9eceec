"""Our server with its batches put together by `@serve.batch`: `python -m xlnu.bench.rays_batches DIR PORT`."""

import asyncio
import signal
import sys
import threading
from typing import Any

import ray
from ray import serve
from torch import Tensor

from xlnu import machine
from xlnu.serve.app import NAME, application
from xlnu.serve.reading import size
from xlnu.serve.replica import Replica, ReplicaSettings
from xlnu.serve.settings import ServeConfig
from xlnu.stack.predict import PROCESSORS_TOKENS
from xlnu.stack.windows import Window

WAIT = 0.01  # seconds that a batch stays open, as Ray's documentation has it in its examples


def _tokens(windows: list[Window]) -> int:
    return sum(size(one).tokens for one in windows)


class RaysReplica(Replica):
    def __init__(self, settings: ReplicaSettings) -> None:
        super().__init__(settings)
        self.batches.put = self._put  # type: ignore[method-assign]

    async def _put(self, item: Window, *_: Any, **__: Any) -> Tensor:
        found: Tensor = await self._batch(item)
        return found

    @serve.batch(max_batch_size=PROCESSORS_TOKENS, batch_wait_timeout_s=WAIT, batch_size_fn=_tokens)
    async def _batch(self, windows: list[Window]) -> list[Any]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.batches.thread, self.reading.compute, windows)


def main(folder: str, port: str) -> None:
    ray.init(num_cpus=machine.cores() + 4, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(port)})
    serve.run(application(ServeConfig(models={"model": folder}), RaysReplica), name=NAME, route_prefix="/")
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    stopped.wait()
    serve.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main(*sys.argv[1:])
