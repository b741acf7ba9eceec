"""The study: SDRRL and MT-LLM, their baselines, and themselves without each of their parts, in three tiny worlds.

Its settings are in configs/tiny/study.yaml, SDRRL's below `sdrrl` and MT-LLM's below `mtllm`; with other
`sdrrl.arms`, `mtllm.modes` and `seeds` it is your own.
"""

from pathlib import Path

from xlnu.demo import DemoConfig, work
from xlnu.job import job

if __name__ == "__main__":
    job("study", DemoConfig, work, __doc__, config=Path(__file__).parents[1] / "configs" / "tiny" / "study.yaml")
