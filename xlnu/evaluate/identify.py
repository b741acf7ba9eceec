"""Which of a few languages a text is in: by its script, and within a script by runs of letters.

Naive Bayes over runs of one to four letters, learned from some hundred sentences a language. It chooses among the
languages it was given and no others: that is enough to see a model fall back into the source language.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

_LONGEST = 4
_UNSEEN = 0.1  # of a run, in the count of a language that never had it


class Identifier:
    def __init__(self, texts: Mapping[str, Sequence[str]]) -> None:
        """`texts`: sentences by the name of their language."""
        counts = {name: Counter(run for text in some for run in _runs(text)) for name, some in texts.items()}
        known = len({run for each in counts.values() for run in each})
        self.names = set(counts)
        self.unseen, self.likely = dict[str, float](), dict[str, dict[str, float]]()
        for name, each in counts.items():
            total = math.log(each.total() + _UNSEEN * known)
            self.unseen[name] = math.log(_UNSEEN) - total
            self.likely[name] = {run: math.log(count + _UNSEEN) - total for run, count in each.items()}

    def of(self, text: str) -> str | None:
        """None for what has no letter that any of the languages has."""
        runs = _runs(text)
        if not any(run in likely for run in runs if len(run) == 1 for likely in self.likely.values()):
            return None
        return max(self.likely, key=lambda name: self._likely(runs, name))

    def _likely(self, runs: Sequence[str], name: str) -> float:
        likely, unseen = self.likely[name], self.unseen[name]
        return sum(likely.get(run, unseen) for run in runs)


def _runs(text: str) -> list[str]:
    """Runs of letters within words, their borders among them; of words without spaces, within the whole."""
    found = []
    for word in "".join(
        c if c.isalpha() or unicodedata.category(c)[0] == "M" else " " for c in text.casefold()
    ).split():
        found += list(word)
        framed = f" {word} "
        found += [framed[start : start + n] for n in range(2, _LONGEST + 1) for start in range(len(framed) - n + 1)]
    return found
