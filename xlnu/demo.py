"""What `make demo` and `make study` do: SDRRL and then MT-LLM, in one run with one report."""

from dataclasses import dataclass

from xlnu.config import section, setting
from xlnu.mtllm.job import Mtllm
from xlnu.mtllm.settings import Settings as MtllmSettings
from xlnu.run import Run, RunConfig
from xlnu.sdrrl.job import Sdrrl
from xlnu.sdrrl.job import Settings as SdrrlSettings
from xlnu.tiny.build import TinyConfig


@dataclass
class DemoConfig:
    sdrrl: SdrrlSettings = section(SdrrlSettings)
    mtllm: MtllmSettings = section(MtllmSettings)
    seeds: list[int] = setting(
        [], "all is done with each: as the seed of every set, stage and training, and as tiny.seed"
    )
    tiny: TinyConfig = section(TinyConfig)
    run: RunConfig = section(RunConfig)


def work(config: DemoConfig, run: Run) -> None:
    run.report_of(
        [
            Sdrrl(config.sdrrl, config.seeds, config.tiny, run),
            Mtllm(config.mtllm, config.seeds, config.tiny, run),
        ]
    )
