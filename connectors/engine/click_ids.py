"""Which of a person's click ids a platform knows: by the parameter's name (gclid=...), else by where the person came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def of_platform(text: str | None, parameters: Sequence[str], *, ours: bool) -> str | None:
    """The click id for a platform whose links carry `parameters`; None when there is none.

    `text` holds one or several, divided by spaces. One without its parameter's name counts only where the person is known to
    have come from the platform (`ours`). The first parameter's name is taken off, another one stays in front.
    """
    for token in (text or "").split():
        name, sign, value = token.partition("=")
        if sign and name.lower() in parameters and value:
            return value if name.lower() == parameters[0] else f"{name.lower()}={value}"
        if ours and not (value.strip("=") and name.isalpha()):
            return token
    return None
