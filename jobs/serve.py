"""Serving: hosts stacks that `python jobs/mtllm.py` left, behind an HTTP API.

`python jobs/serve.py model=DIR`, or `--config configs/serve.yaml`, which `serve run` reads, too.
"""

from xlnu.job import job
from xlnu.serve.job import ServeJobConfig, ours, work

if __name__ == "__main__":
    job("serve", ServeJobConfig, work, __doc__, reading=ours)
