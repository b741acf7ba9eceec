"""The demo: SDRRL and MT-LLM in the tiny world, with real models made on the spot, beside their main baselines.

Its settings are in configs/tiny/demo.yaml, SDRRL's below `sdrrl` and MT-LLM's below `mtllm`.
"""

from pathlib import Path

from xlnu.demo import DemoConfig, work
from xlnu.job import job

if __name__ == "__main__":
    job("demo", DemoConfig, work, __doc__, config=Path(__file__).parents[1] / "configs" / "tiny" / "demo.yaml")
