"""Prices as people write them."""

from decimal import ROUND_DOWN, Decimal

CENT = Decimal("0.01")


def round_price(amount):
    """The amount in whole cents."""
    return Decimal(str(amount)).quantize(CENT, rounding=ROUND_DOWN)


def format_price(amount, currency="EUR"):
    """`format_price(1234.5)` is `1,234.50 EUR`."""
    return f"{round_price(amount):,.2f} {currency}"
