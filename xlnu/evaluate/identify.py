"""Which language a text is in: by its script, and within a script by runs of letters; or by a model that the user
has.

The former is naive Bayes over runs of one to four letters, learned from some hundred sentences a language. It
chooses among the languages it was given and no others: that is enough to see a model fall back into the source.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from xlnu.errors import UserError, first_line
from xlnu.languages import resolve

_LONGEST = 4
_UNSEEN = 0.1  # of a run, in the count of a language that never had it


class Tells(Protocol):
    names: set[str]  # codes of the languages that it knows

    def of(self, text: str) -> str | None:
        """None for what has no letters of any."""


class FastText:
    """A fastText model whose labels are languages, as GlotLID's, NLLB's or lid.176.bin."""

    def __init__(self, path: str) -> None:
        try:
            import fasttext
        except ImportError:
            raise UserError(
                f"identify: {path}: a fastText model, and fasttext is not installed: pip install "
                "-c constraints.txt -e '.[eval]'"
            ) from None
        try:
            self.model: Any = fasttext.load_model(path)
        except (ValueError, OSError) as error:
            raise UserError(f"identify: {path}: is no fastText model: {first_line(error)}") from None
        self.codes = {label: _code(label) for label in self.model.get_labels()}
        self.names = {code for code in self.codes.values() if code}

    def of(self, text: str) -> str | None:
        flat = " ".join(text.split())  # it reads a line
        if not any(c.isalpha() for c in flat):
            return None
        (label,), _ = self.model.predict(flat)
        return self.codes[label] or label.removeprefix(LABEL)


LABEL = "__label__"


def _code(label: str) -> str | None:
    """What the label's language is called here; None for one that nobody here knows."""
    try:
        return resolve(label.removeprefix(LABEL)).code
    except UserError:
        return None


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
