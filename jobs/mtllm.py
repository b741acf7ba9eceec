"""MT-LLM: the encoder of a translation model is put in front of an LLM, which then reads all of its languages
without translation. Tasks are learned in English alone. Leaves a stack for each task, and what it scores beside its
baselines.

Without settings it reads configs/mtllm.yaml, which does it in the tiny world until you write yours there.
"""

from pathlib import Path

from xlnu.job import job
from xlnu.mtllm.job import work
from xlnu.mtllm.settings import MtllmConfig

if __name__ == "__main__":
    job("mtllm", MtllmConfig, work, __doc__, yours=Path(__file__).parents[1] / "configs" / "mtllm.yaml")
