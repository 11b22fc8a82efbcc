"""What was found in an input: errors that stop, and findings that are only told."""

from __future__ import annotations

import re
from dataclasses import dataclass


class InputError(ValueError):
    """An input that can't be used. One line: where, what, how many more, and what to do.

    `row` counts data rows from 1, without a header; `value` is redacted: its letters and digits are hidden unless it looks
    like a date.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str = "",
        row: int | None = None,
        column: str = "",
        value: str | None = None,
        others: int = 0,
        remedy: str = "",
    ) -> None:
        self.message, self.file, self.row, self.column = message, file, row, column
        self.value, self.others, self.remedy = value, others, remedy
        self.problems: tuple[InputError, ...] = ()  # the first bad rows, one by one, this one included
        super().__init__(message)

    def __str__(self) -> str:
        """One line: file: row: column: message (value) and how many rows more; remedy."""
        place = [self.file, f"row {self.row}" if self.row else "", f"column {self.column}" if self.column else ""]
        text = ": ".join([*(part for part in place if part), self.message])
        text += f", found {self.value!r}" if self.value is not None else ""
        text += f" ({self.others} more rows like it)" if self.others else ""
        return f"{text}; {self.remedy}" if self.remedy else text


@dataclass(frozen=True, slots=True)
class Finding:
    """Something noticed that doesn't stop: how often, where it shows (data row from 1), what to do about it."""

    kind: str
    count: int
    text: str
    row: int | None = None
    column: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        """One line."""
        where = f" (see row {self.row})" if self.row else ""
        return f"{self.count} {self.text}{where}" + (f"; {self.remedy}" if self.remedy else "")


_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d\d(:\d\d)?([.,]\d+)?)?( ?[+-]\d\d:?\d\d|Z| [A-Z]{2,4})?")
_WORDS = {"nan", "inf", "-inf", "+inf", "infinity", "-infinity", "null", "none", "na", "n/a", "-", "true", "false"}


def redacted(value: object) -> str:
    """The value with letters as a and digits as 9, at most 30 characters; dates and words such as nan stay readable."""
    text = " ".join(str(value).split())
    if text.lower() in _WORDS or _DATE.fullmatch(text):
        return text
    masked = "".join("9" if one.isdigit() else "a" if one.isalpha() else one for one in text)
    return masked if len(masked) <= 30 else masked[:29] + "…"
