"""A click id goes to the platform whose link it was, and to no other."""

from __future__ import annotations

import pytest

from connectors.engine.click_ids import of_platform

GOOGLE, META = ("gclid", "gbraid", "wbraid"), ("fbclid",)


@pytest.mark.parametrize(
    ("text", "parameters", "ours", "found"),
    [
        ("gclid=Abc fbclid=IwAR", GOOGLE, False, "Abc"),
        ("gclid=Abc fbclid=IwAR", META, False, "IwAR"),
        ("fbclid=IwAR", GOOGLE, True, None),
        ("wbraid=0A==", GOOGLE, False, "wbraid=0A=="),
        ("Cj0K", GOOGLE, True, "Cj0K"),
        ("Cj0K", GOOGLE, False, None),
        ("abc==", GOOGLE, True, "abc=="),
        ("fb.1.1700.x=1", META, True, "fb.1.1700.x=1"),
        ("", GOOGLE, True, None),
        (None, GOOGLE, True, None),
    ],
)
def test_each_platform_gets_its_own(text: str | None, parameters: tuple[str, ...], ours: bool, found: str | None) -> None:
    assert of_platform(text, parameters, ours=ours) == found
