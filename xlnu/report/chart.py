"""Scales: from numbers to places on a page, with ticks at round numbers. Places are percent of a plot's width or
height, so that a plot is as wide as its reader's screen while its text keeps its size, with no script.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

TICKS = 6  # of an axis, at most
DECADES = 2  # x over more than these is drawn by its logarithm


@dataclass(frozen=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True)
class Axis:
    low: float
    high: float
    step: float = 0.0  # between ticks; 0: its ticks are powers of ten

    @property
    def log(self) -> bool:
        return not self.step

    def at(self, value: float) -> float:
        """Percent of the way from low to high."""
        low, high, value = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return round(100 * (value - low) / (high - low), 2)

    def ticks(self) -> list[Tick]:
        if self.log:
            values = _decades(self.low, self.high)
        else:
            first, last = math.ceil(self.low / self.step - 1e-6), math.floor(self.high / self.step + 1e-6)
            values = [number * self.step for number in range(first, last + 1)]
        return [Tick(self.at(value), text) for value, text in zip(values, tick_texts(values), strict=True)]


def axis(values: Iterable[float], limits: tuple[float, float] | None = None, *, tight: bool = False) -> Axis:
    """Around all values, out to round numbers but not beyond the limits; with 0, if that is not far.

    `tight`: it ends with the values themselves, as the x of a curve does.
    """
    found = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(found), max(found)
    if low == high:
        pad = abs(low) / 2 or 0.5
        low, high = low - pad, high + pad
    elif not tight:
        low = 0.0 if 0 < low < high / 2 else low
        high = 0.0 if low / 2 < high < 0 else high
    if limits:
        low, high = max(low, limits[0]), min(high, limits[1])
    step = _step(low, high, outward=not tight)
    if tight:
        return Axis(low, high, step)
    low, high = math.floor(low / step + 1e-6) * step, math.ceil(high / step - 1e-6) * step
    return Axis(max(low, limits[0]), min(high, limits[1]), step) if limits else Axis(low, high, step)


def log_axis(values: Iterable[float]) -> Axis | None:
    """None where the values do not span enough for it, or are not all above 0."""
    found = list(values)
    if not found or min(found) <= 0 or max(found) <= min(found) * 10**DECADES:
        return None
    return Axis(min(found), max(found))


def tick_texts(values: Sequence[float]) -> list[str]:
    """All with the same number of decimals, as many as tell them apart; very small and large ones by powers."""
    most = max(map(abs, values), default=0.0)
    if most and (most < 1e-3 or most >= 1e6):
        return [_power(value) for value in values]
    for decimals in range(8):
        texts = [f"{value:,.{decimals}f}" for value in values]
        if all(math.isclose(round(v, decimals), v, abs_tol=most * 1e-6) for v in values):
            break
    return [text.replace("-", "−") for text in texts] if values else []


def _power(value: float) -> str:
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)) + 1e-9)
    head = f"{value / 10**exponent:.3g}".replace("-", "−")
    power = f"10{str(exponent).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
    return power if head == "1" else f"{head}·{power}"


def _step(low: float, high: float, *, outward: bool) -> float:
    """The smallest round step that makes no more than so many ticks, out to the next ones or between the ends."""
    power = 10.0 ** math.floor(math.log10((high - low) / TICKS))
    down, up = (math.floor, math.ceil) if outward else (math.ceil, math.floor)
    margin = 1e-6 if outward else -1e-6

    def ticks(step: float) -> int:
        return up(high / step - margin) - down(low / step + margin) + 1

    return next(step for head in (1, 2, 2.5, 5, 10, 20, 50) if ticks(step := power * head) <= TICKS)


def _decades(low: float, high: float) -> list[float]:
    powers = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    every = -(-len(powers) // TICKS)
    return [10.0**power for power in powers][::every]
