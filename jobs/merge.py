"""Merges two fine-tuned LLMs of one architecture, an expert of a language and one of a task, without training.

The model is left in `model` in the job's folder, and opens with AutoModelForCausalLM.from_pretrained.
It is merged on the CPU, a shard at a time.

With stack=FOLDER it puts a stack (MT-LLM) and its parents into one directory that needs nothing else, the adapter
merged into the LLM. After `import xlnu` it opens with AutoModel.from_pretrained.
"""

from xlnu.job import job
from xlnu.merge.job import MergeConfig, work

if __name__ == "__main__":
    job("merge", MergeConfig, work, __doc__)
