"""Which addresses are on this machine: only to those may anything travel in plain text, or without credentials."""

from __future__ import annotations

import pytest

from connectors.settings import is_loopback


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("127.0.0.1:8803", True),
        ("http://127.0.0.1:8801", True),
        ("http://127.0.0.1:8801/v26.0", True),
        ("insecure:127.1.2.3:5", True),
        ("localhost:1", True),
        ("http://[::1]:80", True),
        ("127.evil.example:443", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://127.0.0.1:8801@evil.example", False),
        ("http://localhost@evil.example/", False),
        ("https://graph.facebook.com", False),
        ("localhost.example:80", False),
        ("", False),
    ],
)
def test_only_this_machine_is_this_machine(address: str, here: bool) -> None:
    assert is_loopback(address) is here
