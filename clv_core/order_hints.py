"""What to do about a date or an amount that can't be read, told from how it is written."""

from __future__ import annotations

import re

_DATES = (
    (r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}.*", "day and month can be mistaken for each other: write dates as YYYY-MM-DD"),
    (r"\d{9,10}(\.\d+)?", "this looks like seconds since 1970: export dates as YYYY-MM-DD HH:MM:SS+00:00"),
    (r"\d{12,13}", "this looks like milliseconds since 1970: export dates as YYYY-MM-DD HH:MM:SS+00:00"),
    (r"[34]\d{4}([.,]\d+)?", "this looks like Excel's number of a day: give the cells the date format YYYY-MM-DD"),
    (r"\d{4}\D.*:\d\d\s*[A-Za-z/_]{2,}", "write the time zone as an offset: YYYY-MM-DD HH:MM:SS-05:00"),
)
_AMOUNTS = (
    (r"\(.*\)|.*\d\s?[-−]|−.*", "write refunds with a minus sign before plain digits, such as -12.50"),
    (r".*\d[,.'’\s]\d{3}[,.]\d{1,2}\D*", "write 1234.56: a point before the cents and nothing between thousands"),
    (r"\D*\d+,\d{1,2}\D*", "write 12.50: a point before the cents, not a comma"),
    (r"\D*\d{1,3}([,.'’\s]\d{3})+\D*", "write 1234.56: nothing between thousands"),
    (r"(\D+\d[\d.]*|\d[\d.]*\s*\D+)", "write the number alone, such as 12.50; the currency goes into a column `currency`"),
)


def hint(canonical: str, raw: object) -> str:
    """What to write instead; "" where the value's form says nothing more than the general remedy."""
    text = str(raw).strip()
    known = {"ordered_at": _DATES}.get(canonical) or (_AMOUNTS if canonical in ("amount", "margin", "cost") else ())
    return next((remedy for pattern, remedy in known if re.fullmatch(pattern, text)), "")
