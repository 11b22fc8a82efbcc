"""Structured logs on stderr, with secrets and identifiers redacted in the chain and on the standard library's handlers.

The Meta SDK puts the token into URLs and Google's INFO log prints hashed identifiers, so redaction covers every logger, also
those of libraries, and whatever an exception says.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from pathlib import Path

HIDDEN = "***"
_PATTERNS = (
    re.compile(
        r"(?i)((?:access_token|appsecret_proof|app_secret|client_secret|refresh_token|api_key|password|secret)[\"']?\s*[=:]\s*[\"']?)"
        r"([^\s&\"',}\]]+)"
    ),
    re.compile(r"(?i)((?:authorization|access-token)[\"']?\s*[=:]\s*[\"']?(?:bearer\s+)?)([^\s\"',}\]]+)"),
)
_EMAIL = re.compile(r"[\w.+'`-]+@[\w-]+(?:\.[\w-]+)+")
_DIGEST = re.compile(r"\b[0-9a-fA-F]{64}\b")
_PHONE = re.compile(r"(?<![\w.-])\+\d[\d ().-]{7,18}\d(?![\w-])")


def redact(text: str) -> str:
    """The text without tokens, e-mail addresses, phone numbers in international form and SHA-256 digests."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\1{HIDDEN}", text)
    for pattern in (_EMAIL, _DIGEST, _PHONE):
        text = pattern.sub(HIDDEN, text)
    return text


def _redact_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: _redact_value(value) for key, value in event.items()}


def _redact_value(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: _redact_value(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_redact_value(one) for one in value]
    return value


class RedactingFormatter(logging.Formatter):
    """Formats a record of any library, then redacts it, traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text without secrets."""
        return redact(super().format(record))


def configure(*, verbose: bool = False, as_json: bool = False, file: Path | None = None) -> None:
    """Nothing: structlog and the standard library now write redacted lines to stderr (and to `file`, as JSON)."""
    import structlog

    level = logging.DEBUG if verbose else logging.WARNING
    renderer: Any = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if file is not None:
        handlers.append(logging.FileHandler(file, delay=True))
    for handler in handlers:
        handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=handlers, force=True)
    for library in ("google.ads.googleads.client", "google.api_core", "httpx", "httpcore", "urllib3", "facebook_business"):
        logging.getLogger(library).setLevel(logging.WARNING)
