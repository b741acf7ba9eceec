"""The demo: a transfer set of the tiny world, with real models made on the spot. Three minutes the first time.

It is `jobs/transfer.py --config configs/tiny/transfer.yaml`.
"""

from pathlib import Path

from xlnu.job import job
from xlnu.transfer.job import TransferJobConfig, work

if __name__ == "__main__":
    tiny = Path(__file__).parents[1] / "configs" / "tiny" / "transfer.yaml"
    job("demo", TransferJobConfig, work, __doc__, config=tiny)
