"""Structured logs on stderr, with secrets and identifiers redacted in the chain and on the standard library's handlers.

The Meta SDK puts the token into URLs and Google's INFO log prints hashed identifiers, so redaction covers every logger, also
those of libraries, and whatever an exception says.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from connectors.events import LOGGER

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from pathlib import Path

    from connectors.errors import SyncError

HIDDEN = "***"
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
_LIBRARIES = ("google.ads.googleads.client", "google.api_core", "httpx", "httpcore", "urllib3", "facebook_business")
_PATTERNS = (
    re.compile(
        r"(?i)((?:access_token|appsecret_proof|app_secret|client_secret|refresh_token|api_key|password|secret)[\"']?\s*[=:]\s*[\"']?)"
        r"([^\s&\"',}\]]+)"
    ),
    re.compile(r"(?i)((?:authorization|access-token)[\"']?\s*[=:]\s*[\"']?(?:bearer\s+)?)([^\s\"',}\]]+)"),
)
_BARE = re.compile(  # Meta's and Google's tokens where no name says so; a proxy's password; a service account's key
    r"\bEAA[0-9A-Za-z]{16,}|\bya29\.[\w.-]{8,}|(?<=://)[^\s/:@\"']+:[^\s/@\"']+(?=@)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END|$)"
)
_EMAIL = re.compile(r"[\w.+'`-]+@[\w-]+(?:\.[\w-]+)+")
_DIGEST = re.compile(r"\b[0-9a-fA-F]{64}\b")
_PHONE = re.compile(r"(?<![\w.-])\+\d[\d ().-]{7,18}\d(?![\w-])")


def redact(text: str) -> str:
    """The text without tokens, e-mail addresses, phone numbers in international form and SHA-256 digests."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\1{HIDDEN}", text)
    for pattern in (_BARE, _EMAIL, _DIGEST, _PHONE):
        text = pattern.sub(HIDDEN, text)
    return text


def redacted(error: SyncError) -> str:
    """One line as the error says itself, redacted; a field's own name (`access_token:`) hides no words after it."""
    place = str(error.place or "")
    said = str(error)
    return f"{redact(place)}: {redact(said.removeprefix(f'{place}: '))}" if place else redact(said)


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
    """Formats a record as another formatter does, then redacts it, traceback included."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """The record as text without secrets."""
        return redact(self._inner.format(record))


def on_screen() -> bool:
    """Whether stderr has a log that something else would spoil: JSON lines, or the steps of a run as they happen."""
    screens = [one for one in logging.getLogger().handlers if one.name in ("json", "text")]
    return any(one.name == "json" or one.level <= logging.INFO for one in screens)


def configure(*, level: str = "", as_json: bool = False, file: Path | None = None) -> None:
    """Nothing: structlog and the standard library write redacted lines to stderr (and JSON lines to `file`).

    `level`: debug, info or warning; by default events are written where a machine reads them (JSON, a file), and a person at a
    terminal sees warnings of libraries alone: what a run did is in its answer.
    """
    import structlog

    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_chain(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    screen = logging.StreamHandler(sys.stderr)
    screen.setFormatter(_formatter(as_json=as_json))
    screen.name = "json" if as_json else "text"
    shown = _LEVELS[level or ("info" if as_json else "warning")]
    screen.setLevel(shown)
    if not as_json and shown > logging.INFO:
        screen.addFilter(lambda record: record.name != LOGGER)  # a failed audience is in the answer, with its remedy
    handlers: list[logging.Handler] = [screen]
    lowest = shown
    if file is not None:
        keeper = _PrivateHandler(file, delay=True)
        keeper.setFormatter(_formatter(as_json=True))
        keeper.setLevel(_LEVELS[level or "info"])
        lowest = min(lowest, keeper.level)
        handlers.append(keeper)
    logging.basicConfig(level=lowest, handlers=handlers, force=True)
    for library in _LIBRARIES:
        logging.getLogger(library).setLevel(logging.WARNING)


class _PrivateHandler(logging.FileHandler):
    """A log file that only its owner can read: it names accounts and audiences."""

    def _open(self) -> Any:
        return os.fdopen(os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8")


def _chain() -> list[Any]:
    import structlog

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _fields,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _formatter(*, as_json: bool) -> RedactingFormatter:
    """For structlog's events and for records of any library alike, so that JSON lines are all JSON."""
    import structlog

    colours = sys.stderr.isatty() and not as_json
    last: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.format_exc_info]
    last += [_redact_event, structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=colours)]
    return RedactingFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_chain(), processors=last))


def _fields(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The event with the fields that `events.tell` gave."""
    record = event.get("_record")
    return event if record is None else {**event, **getattr(record, "fields", {})}
