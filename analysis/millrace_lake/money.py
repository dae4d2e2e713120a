"""Money as a person reads it, without a digit lost."""

from decimal import Decimal


def money(amount: Decimal, currency: str = "") -> str:
    """Two decimals, or all four where those are not enough: `1,234.50 EUR`, `0.1230 EUR`.

    No float is made of it: what is shown is the sum that was stored.
    """
    exact = f"{amount:,.4f}"
    return f"{exact.removesuffix('00')} {currency}".rstrip()
