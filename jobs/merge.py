"""Merges two fine-tuned LLMs of one architecture, an expert of a language and one of a task, without training.

The model is left in `model` in the job's folder, and opens with AutoModelForCausalLM.from_pretrained.
It is merged on the CPU, a shard at a time.
"""

from xlnu.job import job
from xlnu.merge.job import MergeConfig, work

if __name__ == "__main__":
    job("merge", MergeConfig, work, __doc__)
