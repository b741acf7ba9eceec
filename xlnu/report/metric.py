"""What a metric's numbers are: their unit, how many digits mean something, and which way is better.

The metrics themselves are evaluate's, which builds on this. One that nobody knows here is shown without a unit.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from xlnu.report.readable import readable

SHARES = (
    "accuracy", "accuracy_norm", "word_accuracy", "macro_f1", "span_f1", "exact_match", "f1", "off_target",
    "rouge_l",
)  # fmt: skip
POINTS = ("bleu", "spbleu", "chrf")  # of a hundred; translation has them to_source and from_source
SMALLER_IS_BETTER = ("absolute_error", "off_target")


@dataclass(frozen=True)
class Metric:
    label: str
    unit: str  # share, points, or none
    smaller_is_better: bool

    @property
    def axis(self) -> str:
        unit = {"share": "share, 0 to 1", "points": "points, 0 to 100"}.get(self.unit)
        return "; ".join(filter(None, (f"{self.label} ({unit})" if unit else self.label, self._way)))

    @property
    def _way(self) -> str:
        return "less is better" if self.smaller_is_better else ""

    @property
    def limits(self) -> tuple[float, float] | None:
        """Beyond which there is nothing."""
        return {"share": (0.0, 1.0), "points": (0.0, 100.0)}.get(self.unit)

    def number(self, value: float) -> str:
        """All numbers of a table to the same digit, so that they compare at a glance."""
        digits = {"share": 3, "points": 1}.get(self.unit)
        text = readable(value) if digits is None else f"{value:.{digits}f}"
        return _minus(text)

    def difference(self, value: float) -> str:
        digits = {"share": 3, "points": 1}.get(self.unit)
        text = f"{value:+.3g}" if digits is None else f"{value:+.{digits}f}"
        return _minus(text)

    def spread(self, low: float, high: float) -> str:
        return f"{self.number(low)} to {self.number(high)}"


def metric(name: str, values: Iterable[float] = ()) -> Metric:
    """`values`: a share is none if they say otherwise."""
    kind = name.removesuffix("_to_source").removesuffix("_from_source")
    values = list(values)
    unit = "share" if kind in SHARES else "points" if kind in POINTS else ""
    most = {"share": 1.0, "points": 100.0}.get(unit, 0.0)
    if any(not 0 <= value <= most for value in values):
        unit = ""
    return Metric(name.replace("_", " "), unit, kind in SMALLER_IS_BETTER)


def _minus(text: str) -> str:
    number = text.lstrip("+-")
    nothing = not number.strip("0.,")
    return number if nothing else text.replace("-", "−", 1)
