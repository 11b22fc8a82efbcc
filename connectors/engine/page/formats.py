"""Numbers as people read them: money with its currency, thousands, shares, ranges; a dash where nothing is known."""

from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal
from typing import Any

DASH = "–"
SYMBOLS = {
    "USD": "$",
    "EUR": "€",
    "GBP": "£",
    "JPY": "¥",
    "INR": "₹",
    "CNY": "CN¥",
    "KRW": "₩",
    "BRL": "R$",
    "CAD": "CA$",
    "AUD": "A$",
}
NO_CENTS = frozenset({"JPY", "KRW", "VND", "CLP", "HUF", "ISK", "TWD"})


def number(value: Any) -> float | None:
    """The value as a finite float, None where there is none."""
    if value is None or value == "" or isinstance(value, str | date):
        return None
    found = float(value)
    return found if math.isfinite(found) else None


def count(value: Any) -> str:
    """`12,345`; whole numbers only."""
    found = number(value)
    return DASH if found is None else f"{found:,.0f}"


def money(value: Any, currency: str, *, cents: bool | None = None) -> str:
    """`$12,345` or `$9.87` (cents below 100 unless said otherwise); a currency without a symbol is named after the number."""
    found = number(value)
    if found is None:
        return DASH
    show = (abs(found) < 100 if cents is None else cents) and currency not in NO_CENTS
    text = f"{abs(found):,.{2 if show else 0}f}"
    sign = "−" if found < 0 and float(text.replace(",", "")) else ""
    symbol = SYMBOLS.get(currency)
    return f"{sign}{symbol}{text}" if symbol else f"{sign}{text} {currency}".rstrip()


def share(value: Any) -> str:
    """`12%`, with a decimal below ten percent."""
    found = number(value)
    if found is None:
        return DASH
    return f"{found:.1%}" if 0 < abs(found) < 0.1 else f"{found:.0%}"


def ratio(value: Any) -> str:
    """`2.31×`."""
    found = number(value)
    return DASH if found is None else f"{found:,.2f}×"


def days(value: Any) -> str:
    """`41 days`."""
    found = number(value)
    return DASH if found is None else "the first day" if found < 1 else f"{found:,.0f} days" if found != 1 else "1 day"


def moment(run_id: Any) -> str:
    """A run's time in words, `22 November 2026, 11:23 UTC`; an id that holds none as it is."""
    text = str(run_id)
    try:
        found = datetime.strptime(text[:15], "%Y%m%dT%H%M%S")
    except ValueError:
        return text
    return f"{found:%-d %B %Y, %H:%M} UTC"


def change(now: Any, before: Any) -> str:
    """`+3.2%` against before; a dash where either is missing, or where nothing would be seen to move."""
    a, b = number(now), number(before)
    if a is None or b is None or b == 0 or abs(a / b - 1) < 0.0005:
        return DASH
    return f"{a / b - 1:+.1%}".replace("-", "−")


def plain(value: Any) -> Any:
    """A value that JSON can hold: decimals as text with their digits, dates as ISO text, nan as None."""
    if isinstance(value, Decimal):
        return format(value.normalize(), "f") if value else "0"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def sentence(text: Any) -> str:
    """The text with a capital and a full stop."""
    said = str(text).strip().rstrip(".")
    return f"{said[:1].upper()}{said[1:]}." if said else ""


def label(name: str) -> str:
    """A column's name for people: `predicted_clv` -> `Predicted CLV`."""
    words = name.replace("_", " ").strip()
    text = words[:1].upper() + words[1:]
    for short in ("clv", "roas", "cac", "mae", "wape"):
        text = text.replace(short, short.upper()).replace(short.capitalize(), short.upper())
    return text
