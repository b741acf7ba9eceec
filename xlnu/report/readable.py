"""Numbers as people read them."""


def readable(value: float) -> str:
    """Three meaningful digits or more: 0.0123, 4.56, 78.9, 1,234."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """As exact as it matters: 8.25 s, 12 min 05 s, 3 h 20 min."""
    if seconds < 120:
        return f"{readable(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def short(text: str, letters: int) -> str:
    """Cut to fit where there is no room for more."""
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"
