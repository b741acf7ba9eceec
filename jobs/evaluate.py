"""Evaluation: what stacks, classifiers and LLMs score on benchmarks, beside one another and beside guesses.

`python jobs/evaluate.py model=DIR benchmarks=[sib200=FOLDER] languages=[sw, uk]`; `python jobs/evaluate.py compare
RUN RUN ...` holds finished runs against one another.
"""

from xlnu.evaluate.job import work
from xlnu.evaluate.settings import EvaluationConfig
from xlnu.job import job

if __name__ == "__main__":
    job("evaluate", EvaluationConfig, work, __doc__)
