"""SDRRL: the LLM answers in its best language, its answers are translated, judged and code-switched, and it is
trained on them. Leaves a model directory that others open.

`--config configs/tiny/sdrrl.yaml` does it in the tiny world.
"""

from xlnu.job import job
from xlnu.sdrrl.job import SdrrlConfig, work

if __name__ == "__main__":
    job("sdrrl", SdrrlConfig, work, __doc__)
