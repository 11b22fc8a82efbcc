"""Logs: no token, address, phone number or digest gets through, whoever writes the line."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest
import structlog

from connectors import logs

DIGEST = hashlib.sha256(b"mary@example.com").hexdigest()
LINES = [
    ("GET https://graph.facebook.com/v26.0/act_1?access_token=EAABsecret&fields=id", "EAABsecret"),
    ('{"access_token": "EAABsecret", "x": 1}', "EAABsecret"),
    ("Authorization: Bearer ya29.secret", "ya29.secret"),
    ("Access-Token: tiktoksecret", "tiktoksecret"),
    ("appsecret_proof=abcdef0123456789", "abcdef0123456789"),
    ("bad address mary.o'neil+shop@example.co.uk in row 3", "mary"),
    (f"hashed_email: {DIGEST}", DIGEST),
    ("phone +44 7700 900123 refused", "7700"),
]


@pytest.mark.parametrize(("line", "secret"), LINES)
def test_redaction(line: str, secret: str) -> None:
    assert secret not in logs.redact(line)
    assert logs.redact(logs.redact(line)) == logs.redact(line)


def test_harmless_text_stays() -> None:
    line = "2026-11-22 row 17: column 'ordered_at' is not a date; 23,570 customers; act_1111111111111111; v26.0"
    assert logs.redact(line) == line


def test_every_logger_is_redacted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(verbose=True, file=tmp_path / "log.txt")
    try:
        raise ValueError("call failed: https://x/?access_token=EAABsecret for mary@example.com")
    except ValueError:
        logging.getLogger("some.library").exception("upload of %s failed", DIGEST)
    structlog.get_logger().warning("refused", url="https://x/?access_token=EAABsecret", rows=[{"email": "mary@example.com"}])
    written = capsys.readouterr().err + (tmp_path / "log.txt").read_text()
    assert "refused" in written
    assert "upload of" in written
    for secret in ("EAABsecret", "mary@example.com", DIGEST):
        assert secret not in written
    logging.basicConfig(force=True)
