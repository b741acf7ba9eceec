"""Evaluation: what stacks, classifiers and LLMs score on benchmarks, beside one another and beside guesses.

`python jobs/evaluate.py model=DIR benchmarks=[sib200=FOLDER] languages=[sw, uk]`, and
`python jobs/evaluate.py compare RUN RUN ...` holds finished runs against one another.
"""

import sys

from xlnu.evaluate import compare
from xlnu.evaluate.job import work
from xlnu.evaluate.settings import EvaluationConfig
from xlnu.job import job

if __name__ == "__main__":
    if sys.argv[1:2] == ["compare"]:
        of_runs = compare.arguments(sys.argv[2:])
        how = "evaluate.py compare RUN RUN ..."
        job("compare", compare.CompareConfig, compare.work, compare.__doc__, arguments=of_runs, usage=how)
    job("evaluate", EvaluationConfig, work, __doc__)
