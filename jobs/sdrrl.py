"""SDRRL: the LLM answers in its best language, its answers are translated, judged and code-switched, and it is
trained on them. Leaves a model directory that others open.

Without settings it reads configs/sdrrl.yaml, which does it in the tiny world until you write yours there.
"""

from pathlib import Path

from xlnu.job import job
from xlnu.sdrrl.job import SdrrlConfig, work

if __name__ == "__main__":
    job("sdrrl", SdrrlConfig, work, __doc__, yours=Path(__file__).parents[1] / "configs" / "sdrrl.yaml")
