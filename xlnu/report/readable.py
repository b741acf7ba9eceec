"""Numbers as people read them."""


def readable(value: float) -> str:
    """Three meaningful digits or more: 0.0123, 4.56, 78.9, 1,234."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
