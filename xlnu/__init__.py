"""xlnu: an English-centric LLM made to understand, and answer in, 200 languages.

Importing this costs milliseconds: Ray, torch and transformers are imported where they are used.
"""

from xlnu import auto

__version__ = "0.1.0"

auto.watch()
