"""Makes a transfer set: instructions are answered by the LLM, translated, judged, code-switched and put together.

The set is Parquet with `messages`, with a card, and opens with datasets.load_dataset("parquet", ...).
Without settings it reads configs/transfer.yaml, which makes one of the tiny world until you write yours there.
"""

from pathlib import Path

from xlnu.job import job
from xlnu.transfer.job import TransferJobConfig, work

if __name__ == "__main__":
    job("transfer", TransferJobConfig, work, __doc__, yours=Path(__file__).parents[1] / "configs" / "transfer.yaml")
