"""What Ray's autoscaler starts machines by, where they are processes of one: Ray's own fake provider, but for two
things. Machines of its making share the folder that a job's code is unpacked in, so that each new one takes it from
under the others; and all say that they are of the head's type.
"""

import json
import os
from typing import Any

from ray._private.node import Node
from ray._private.parameter import RayParams
from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider
from ray.autoscaler.tags import (
    NODE_KIND_WORKER,
    STATUS_UP_TO_DATE,
    TAG_RAY_NODE_KIND,
    TAG_RAY_NODE_NAME,
    TAG_RAY_NODE_STATUS,
    TAG_RAY_USER_NODE_TYPE,
)

STORE_BYTES = 200_000_000  # of a machine's object store: they all share one memory


class Machines(FakeMultiNodeProvider):
    def _create_node_with_resources_and_labels(
        self, _config: Any, tags: dict[str, str], _count: int, resources: dict[str, float], labels: dict[str, str]
    ) -> None:
        with self.lock:
            kind: str = tags[TAG_RAY_USER_NODE_TYPE]
            number: str = self._next_hex_node_id()  # type: ignore[no-untyped-call]
            rest = {name: value for name, value in resources.items() if name not in ("CPU", "GPU")}
            here = {"RAY_OVERRIDE_NODE_ID_FOR_TESTING": number, "RAY_CLOUD_INSTANCE_ID": number}
            here |= {"RAY_NODE_TYPE_NAME": kind, "RAY_OVERRIDE_RESOURCES": json.dumps(rest)}
            os.environ["RAY_NODE_TYPE_NAME"] = kind  # the label is taken from this process
            params = RayParams(
                min_worker_port=0,
                max_worker_port=0,
                dashboard_agent_listen_port=0,
                num_cpus=int(resources.get("CPU", 0)),
                num_gpus=int(resources.get("GPU", 0)),
                object_store_memory=STORE_BYTES,
                resources=rest,
                labels=labels,
                redis_address=self._gcs_address,
                gcs_address=self._gcs_address,
                runtime_env_dir_name=f"runtime_resources_{number[-5:]}",
                env_vars=here,
            )
            node = Node(params, head=False, shutdown_at_exit=False, spawn_reaper=False)
            own = {TAG_RAY_NODE_KIND: NODE_KIND_WORKER, TAG_RAY_USER_NODE_TYPE: kind}
            own |= {TAG_RAY_NODE_NAME: number, TAG_RAY_NODE_STATUS: STATUS_UP_TO_DATE}
            made: Any = {"tags": own | tags, "node": node}
            self._nodes[number] = made
