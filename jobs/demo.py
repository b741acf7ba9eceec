"""The demo: SDRRL in the tiny world, with real models made on the spot, held against tuning on translated answers.

It is `jobs/sdrrl.py --config configs/tiny/demo.yaml`.
"""

from pathlib import Path

from xlnu.job import job
from xlnu.sdrrl.job import SdrrlConfig, work

if __name__ == "__main__":
    job("demo", SdrrlConfig, work, __doc__, config=Path(__file__).parents[1] / "configs" / "tiny" / "demo.yaml")
