"""TikTok's return codes as data: code -> meaning, class of error, remedy.

Source: "Appendix - Return codes" of TikTok API for Business (portal/docs?id=1737172488964097). HTTP is 200 for nearly all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from connectors.errors import (
    ConfigurationError,
    FatalError,
    NotReadyError,
    OutcomeUnknownError,
    RemovalRefusedError,
    RetriableError,
    SyncError,
)

OK, PARTIAL = 0, 20001
MISSING, DUPLICATE, BAD_SIGNATURE, FILE_EXPIRED, TASK_NOT_READY, EXPLAINED = 40007, 40050, 40900, 40910, 40201, 40002
THROTTLES = frozenset({40016, 40100, 40132, 40133})
DEAD_TOKEN = frozenset({40101, 40102, 40103, 40104, 40105, 40106, 40107, 40110, 40112, 40113})
"""Of the credentials: whatever is asked with them is refused."""


@dataclass(frozen=True, slots=True)
class Code:
    """One return code: what it means, the error the engine gets, what a person should do."""

    meaning: str
    error: type[SyncError]
    remedy: str


_TOKEN = "set access_token to a valid long-lived token of an advertiser that granted this app"
_GRANT = "let the advertiser authorise the app again, with the audience and reporting permissions"
_APP = "check app_id and secret against the app in TikTok's developer portal"
_REPORT = "this is a mistake in the request; report it with the request id"
_WAIT = "run again to resume"

CODES: dict[int, Code] = {
    40000: Code("invalid parameters", FatalError, _REPORT),
    40001: Code("no permission (scope or object)", FatalError, _GRANT),
    40002: Code("parameter error, explained by its text", FatalError, "follow the text"),
    40006: Code("version incompatible", FatalError, "update this program"),
    40007: Code("object does not exist", FatalError, "the next run makes the audience anew"),
    40008: Code("not implemented", FatalError, _REPORT),
    40009: Code("not available in TikTok's sandbox", FatalError, "use a production account"),
    40010: Code("bad domain", ConfigurationError, "set api_base to https://business-api.tiktok.com"),
    40011: Code("too many ids in a request", FatalError, _REPORT),
    40013: Code("no sandbox account", FatalError, "create a sandbox account or use a production account"),
    40014: Code("unsupported in TikTok's sandbox", FatalError, "use a production account"),
    40016: Code("too frequent (endpoint)", RetriableError, _WAIT),
    40050: Code("duplicate request", OutcomeUnknownError, "the next run reads the outcome"),
    40051: Code("bad version", FatalError, "update this program"),
    40100: Code("too frequent (app)", RetriableError, _WAIT),
    40101: Code("app id and secret do not match, or a bad authorisation code", ConfigurationError, _APP),
    40102: Code("access token expired", ConfigurationError, _TOKEN),
    40103: Code("refresh token expired", ConfigurationError, _TOKEN),
    40104: Code("access token empty", ConfigurationError, _TOKEN),
    40105: Code("access token invalid", ConfigurationError, _TOKEN),
    40106: Code("the token's user does not fit the advertiser", FatalError, _GRANT),
    40107: Code("invalid refresh token", ConfigurationError, _TOKEN),
    40108: Code("bad grant type", FatalError, _REPORT),
    40109: Code("cannot be deciphered", FatalError, _REPORT),
    40110: Code("authorisation code cancelled, used or expired", ConfigurationError, _GRANT),
    40112: Code("bad password", FatalError, _TOKEN),
    40113: Code("app blocked, unknown, or not the token's app", ConfigurationError, _APP),
    40115: Code("bad timestamp", FatalError, "set this machine's clock"),
    40116: Code("bad signature of the request", FatalError, _REPORT),
    40117: Code("bad method", FatalError, _REPORT),
    40118: Code("app or advertiser not on TikTok's allow-list", FatalError, "ask TikTok to allow this feature"),
    40119: Code("developer and advertiser are not of one company", FatalError, _GRANT),
    40124: Code("developer profile not approved", FatalError, "finish the developer profile in TikTok's portal"),
    40125: Code("developer lacks permission", FatalError, "ask for the permission in TikTok's developer portal"),
    40132: Code("too frequent for one value of a field", RetriableError, _WAIT),
    40133: Code("too frequent (advertiser)", RetriableError, _WAIT),
    40200: Code("asynchronous task failed", RetriableError, _WAIT),
    40201: Code("asynchronous task not ready", NotReadyError, _WAIT),
    40202: Code("write conflict", RetriableError, _WAIT),
    40300: Code("advertiser missing", ConfigurationError, "correct account_id"),
    40301: Code("advertiser does not match", ConfigurationError, "correct account_id"),
    40700: Code("internal validation error", RetriableError, _WAIT),
    40900: Code("file signature (MD5) does not match", FatalError, "check disk and network; it was uploaded twice"),
    40905: Code("file missing", FatalError, _REPORT),
    40906: Code("file empty", FatalError, _REPORT),
    40907: Code("file too large", FatalError, _REPORT),
    40908: Code("bad file type", FatalError, _REPORT),
    40909: Code("calculate_type unsupported", FatalError, _REPORT),
    40910: Code("file expired", FatalError, "run again; it was uploaded twice"),
    40914: Code("invalid file", FatalError, _REPORT),
    40915: Code("file does not meet the specification", FatalError, _REPORT),
    41000: Code("this machine's address is in a banned country", FatalError, "run from an allowed country"),
    41001: Code("endpoint offline", FatalError, "update this program"),
    41002: Code("fields no longer in use", FatalError, "update this program"),
    50000: Code("system error", RetriableError, _WAIT),
    50002: Code("processing error", RetriableError, _WAIT),
    51305: Code("satellite service error", RetriableError, _WAIT),
    60001: Code("maintenance", RetriableError, _WAIT),
}

# Texts of 40002 that are not mistakes. The numeric code of a rejected REPLACE is not documented; its words are.
TEXTS: tuple[tuple[re.Pattern[str], type[SyncError]], ...] = (
    (re.compile(r"replace operation|one replace", re.I), NotReadyError),
    (re.compile(r"not editable|being (updated|processed)|is processing|check audience status", re.I), NotReadyError),
    (re.compile(r"(less|fewer) than 1,?000|(below|under) 1,?000|size (is |of )?0\b", re.I), RemovalRefusedError),
)


def lookup(code: int, text: str) -> Code:
    """The entry of a code; other 5xxxx codes are passing faults, any other unknown code is fatal with its own text."""
    known = CODES.get(code)
    if known is None:
        if 50000 <= code < 60000:
            return Code("system error", RetriableError, _WAIT)
        return Code("unknown code", FatalError, "see TikTok's list of return codes")
    if code == EXPLAINED:
        for pattern, error in TEXTS:
            if pattern.search(text):
                return Code(known.meaning, error, "")
    return known
