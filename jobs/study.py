"""The study: SDRRL, its baselines, and itself without each of its parts, in three tiny worlds.

It is `jobs/sdrrl.py --config configs/tiny/study.yaml`; with other `arms`, `objectives` and `seeds` it is your own.
"""

from pathlib import Path

from xlnu.job import job
from xlnu.sdrrl.job import SdrrlConfig, work

if __name__ == "__main__":
    job("study", SdrrlConfig, work, __doc__, config=Path(__file__).parents[1] / "configs" / "tiny" / "study.yaml")
