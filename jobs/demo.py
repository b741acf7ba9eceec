"""The demo: two steps on the store, with their report. No model is loaded yet.

A dozen instructions become one translation request for each of the 204 languages of FLORES-200.
"""

from xlnu.demo import DemoConfig, work
from xlnu.job import job

if __name__ == "__main__":
    job("demo", DemoConfig, work, __doc__)
