"""The embedded tiny world: makes it, or finds it made, and shows it.

Seven made languages with glosses, the facts that the LLM knows, how good each model came out, and where they lie.
"""

from xlnu.job import job
from xlnu.tiny.show import ShowConfig, work

if __name__ == "__main__":
    job("tiny", ShowConfig, work, __doc__)
