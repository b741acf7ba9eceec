"""Benches: ours against named baselines on the same work, in pairs, with the spread and what limits ours.

Leaves bench.json and bench.png; a ratio above 1 means that ours is better.
"""

from xlnu.bench.suites import BenchConfig, work
from xlnu.job import job

if __name__ == "__main__":
    job("bench", BenchConfig, work, __doc__)
