"""Meta's error and status codes as data: what each means, which of our errors it is, and what a person can do.

Source: fact sheet sections 2.7, 2.8, 3, 4, 5, 6 and 7 (error reference, Custom Audience reference, Insights codes).
A code that is not in the table is fatal and keeps Meta's own text: never success, never a blind retry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from connectors.errors import FatalError, NotReadyError, OutcomeUnknownError, RemovalRefusedError, RetriableError
from connectors.protocol import AudienceState

if TYPE_CHECKING:
    from connectors.errors import SyncError

TOS = "https://business.facebook.com/ads/manage/customaudiences/tos/?act={account}"
VALUE_TOS = "https://www.facebook.com/customaudiences/value_based/tos.php?act={account}"

_TOKEN = "make a new system-user token with ads_management and ads_read, and put it where `credentials` points"
_TERMS = f"a person of this business opens {TOS} and accepts the terms"
_FLAGGED = (
    "the audience's name or description hints at health or finance: appeal in Ads Manager, or use a new, neutrally named one"
)
_LESS = "the same request never succeeds: ask for fewer days (done by itself where reports are read)"
_RIGHTS = "give the token's user this ad account with the task Manage campaigns, and the app ads_management"


@dataclass(frozen=True, slots=True)
class Code:
    """One row: Graph code and subcode (None: any), meaning, class of error, remedy, wait in seconds, a tag for our use."""

    code: int
    subcode: int | None
    meaning: str
    raises: type[SyncError]
    remedy: str = ""
    wait: float | None = None
    tag: str = ""


CODES: Final = (
    # passing faults
    Code(1, None, "unknown error at Meta", RetriableError, tag="transient"),
    Code(1, 99, "unknown error, often a request that is too large", RetriableError, tag="transient"),
    Code(2, None, "service temporarily unavailable", RetriableError, tag="transient"),
    Code(-2, None, "report failed at Meta", RetriableError, tag="transient"),
    Code(341, None, "application limit reached for now", RetriableError, tag="transient"),
    Code(5000, None, "unknown error at Meta", RetriableError, tag="transient"),
    Code(21009, None, "temporary failure", RetriableError, tag="transient"),
    # throttles
    Code(4, None, "too many calls by this app", RetriableError, wait=60, tag="throttle"),
    Code(4, 1504022, "too many insights calls, all apps together", RetriableError, wait=60, tag="throttle"),
    Code(4, 1504039, "too many insights calls by this app", RetriableError, wait=60, tag="throttle"),
    Code(17, None, "too many calls by this user", RetriableError, wait=60, tag="throttle"),
    Code(17, 2446079, "too many calls to this ad account", RetriableError, wait=60, tag="throttle"),
    Code(32, None, "too many calls by this page", RetriableError, wait=60, tag="throttle"),
    Code(613, None, "calls look abusive and are held back", RetriableError, wait=300, tag="throttle"),
    Code(613, 1487742, "too many calls to this ad account", RetriableError, wait=60, tag="throttle"),
    Code(613, 5044001, "more than 100 edits a second on this account", RetriableError, wait=1, tag="throttle"),
    Code(80000, None, "too many insights calls to this ad account", RetriableError, wait=300, tag="throttle"),
    Code(80003, None, "too many custom-audience calls to this ad account", RetriableError, wait=300, tag="throttle"),
    Code(80004, None, "too many ads-management calls to this ad account", RetriableError, wait=300, tag="throttle"),
    Code(80014, None, "too many catalogue-batch calls", RetriableError, wait=300, tag="throttle"),
    # temporary blocks
    Code(
        368,
        None,
        "temporarily blocked for policy reasons",
        FatalError,
        "stop for some hours and look at Account Quality",
        tag="block",
    ),
    Code(1404078, None, "temporarily blocked", FatalError, "stop for some hours and look at Account Quality", tag="block"),
    Code(2859015, None, "temporarily blocked", FatalError, "stop for some hours and look at Account Quality", tag="block"),
    # token
    Code(102, None, "session invalid", FatalError, _TOKEN, tag="token"),
    Code(
        104,
        None,
        "signature or appsecret_proof is wrong",
        FatalError,
        "check that app_secret belongs to the token's app",
        tag="token",
    ),
    Code(190, None, "access token invalid", FatalError, _TOKEN, tag="token"),
    Code(190, 458, "the app was removed by the user", FatalError, _TOKEN, tag="token"),
    Code(
        190,
        459,
        "the user has to pass a checkpoint",
        FatalError,
        "the user logs in at facebook.com, then makes a new token",
        tag="token",
    ),
    Code(190, 460, "the password was changed", FatalError, _TOKEN, tag="token"),
    Code(190, 463, "access token expired", FatalError, _TOKEN, tag="token"),
    Code(190, 464, "the user is unconfirmed", FatalError, "the user confirms the account at facebook.com", tag="token"),
    Code(190, 467, "access token invalid", FatalError, _TOKEN, tag="token"),
    Code(
        190,
        490,
        "the user has to pass a checkpoint",
        FatalError,
        "the user logs in at facebook.com, then makes a new token",
        tag="token",
    ),
    Code(190, 492, "the session has ended", FatalError, _TOKEN, tag="token"),
    # permission
    Code(3, None, "the app may not call this", FatalError, _RIGHTS, tag="permission"),
    Code(10, None, "permission missing", FatalError, _RIGHTS, tag="permission"),
    Code(
        100,
        33,
        "object missing or not visible to this token",
        FatalError,
        "check the id, and that the token sees the account",
        tag="missing",
    ),
    Code(
        100, 3191001, "no permission for this report", FatalError, "give the token ads_read on the ad account", tag="permission"
    ),
    Code(200, None, "permission missing", FatalError, _RIGHTS, tag="permission"),
    Code(
        270,
        None,
        "the app has development access only",
        FatalError,
        "raise the app's Marketing API access tier to Full",
        tag="permission",
    ),
    Code(294, None, "ads_management missing or app not allowed", FatalError, _RIGHTS, tag="permission"),
    Code(2654, 1713092, "no write permission on the ad account", FatalError, _RIGHTS, tag="permission"),
    # terms
    Code(200, 1870034, "customer-list terms not accepted", FatalError, _TERMS, tag="terms"),
    Code(
        200, 1870050, "ad account belongs to no business", FatalError, "add the ad account to a business portfolio", tag="terms"
    ),
    Code(200, 1870090, "customer-list terms not accepted", FatalError, _TERMS, tag="terms"),
    Code(1870092, None, "business-tools terms not accepted", FatalError, _TERMS, tag="terms"),
    Code(2655, None, "terms not accepted", FatalError, _TERMS, tag="terms"),
    Code(2663, None, "terms not accepted by this person", FatalError, _TERMS, tag="terms"),
    Code(2664, None, "terms not accepted by this company", FatalError, _TERMS, tag="terms"),
    # request
    Code(
        100,
        None,
        "a parameter is missing or wrong",
        FatalError,
        "if it names appsecret_proof, check app_secret; else report this",
        tag="request",
    ),
    Code(105, None, "too many parameters", FatalError, "lower the batch size", tag="request"),
    Code(194, None, "a parameter is missing", FatalError, "please report this", tag="request"),
    Code(2500, None, "bad query", FatalError, "please report this", tag="request"),
    Code(2635, None, "this API version has expired", FatalError, "raise meta.api_version", tag="request"),
    # audiences
    Code(
        803,
        None,
        "object not there (yet)",
        FatalError,
        "check the id; a new audience can take a minute to appear",
        tag="missing",
    ),
    Code(
        2650,
        None,
        "audience can't be updated",
        FatalError,
        "an audience first filled by another tool's schema needs a new one",
        tag="state",
    ),
    Code(2650, 1870144, "replace needs fewer than 100 million members", FatalError, "set value_update: add", tag="state"),
    Code(2650, 1870145, "an update of this audience is in progress", NotReadyError, tag="busy"),
    Code(2650, 1870147, "the replace's first batch was not seen", NotReadyError, tag="restart"),
    Code(2650, 1870148, "the list was updated in part only", OutcomeUnknownError, "run again with --refresh", tag="state"),
    Code(2650, 1870158, "the session's 90 minutes are over", NotReadyError, tag="closed"),
    Code(2650, 1870159, "the session is finished already", NotReadyError, tag="closed"),
    Code(
        2654,
        None,
        "audience can't be made",
        FatalError,
        "see Meta's text: too small a source, or a lookalike that exists",
        tag="create",
    ),
    Code(2654, 1713089, "lookalike country invalid", FatalError, "use ISO country codes that Meta serves", tag="create"),
    Code(
        2656, None, "lookalikes built on it exist", FatalError, "delete its lookalikes first; ads using them stop", tag="state"
    ),
    Code(
        200,
        1870047,
        "removal refused: too few members would be left",
        RemovalRefusedError,
        "replace the list or delete the audience",
        tag="floor",
    ),
    Code(100, 1713228, "audience can't be edited", FatalError, _FLAGGED, tag="flagged"),
    Code(100, 1713229, "audience can't be edited", FatalError, _FLAGGED, tag="flagged"),
    Code(100, 1713230, "members of a flagged audience can't change", FatalError, _FLAGGED, tag="flagged"),
    Code(100, 1713231, "a flagged audience can't be edited", FatalError, _FLAGGED, tag="flagged"),
    Code(100, 1713232, "the lookalike's seed is flagged", FatalError, _FLAGGED, tag="flagged"),
    Code(
        1487301,
        None,
        "the audience isn't shared with this ad account",
        FatalError,
        "share it again or let a new one be made",
        tag="missing",
    ),
    Code(1487366, None, "the audience was deleted", FatalError, "let a new one be made", tag="missing"),
    # insights
    Code(3018, None, "report starts more than 37 months ago", FatalError, "ask for a later start", tag="history"),
    Code(100, 1487534, "too much data for one report", FatalError, _LESS, tag="split"),
    Code(-3, 1504045, "too much data for one report", FatalError, _LESS, tag="split"),
    Code(100, 1504018, "report timed out", FatalError, _LESS, tag="split"),
    Code(2, 1504038, "report timed out", FatalError, _LESS, tag="split"),
    Code(-2, 2490547, "report failed", RetriableError, tag="transient"),
    Code(2, 1504041, "breakdown not valid", FatalError, "please report this", tag="request"),
    Code(2, 1504042, "metric not valid", FatalError, "please report this", tag="request"),
    Code(2, 1504043, "intermittent report error", RetriableError, tag="transient"),
    Code(2, 1504044, "unknown report error", RetriableError, tag="transient"),
    Code(2601, 1815107, "report not ready", RetriableError, tag="transient"),
)

_EXACT: Final = {(row.code, row.subcode): row for row in CODES}
_BY_SUBCODE: Final = {row.subcode: row for row in CODES if row.subcode is not None and row.subcode > 10_000}


def find(code: int, subcode: int | None = None, *, transient: bool = False) -> Code:
    """The row for a code: exact, else by its subcode, else by the code alone or its range; unknown ones are fatal."""
    if subcode is not None:
        exact = _EXACT.get((code, subcode)) or _BY_SUBCODE.get(subcode) or _EXACT.get((subcode, None))
        if exact is not None:
            return exact
    general = _EXACT.get((code, None)) or _in_range(code)
    if transient and (general is None or general.tag in ("request", "create")):
        return Code(code, subcode, "temporary, says Meta", RetriableError, tag="transient")
    return general or Code(code, subcode, "a code that is not in our table", FatalError, "see Meta's text", tag="unknown")


def _in_range(code: int) -> Code | None:
    if 200 < code <= 299:
        return Code(code, None, "permission missing", FatalError, _RIGHTS, tag="permission")
    if 80000 <= code <= 80014:
        return Code(code, None, "too many calls to this ad account", RetriableError, wait=300, tag="throttle")
    return None


OPERATION_STATUS: Final[dict[int, tuple[AudienceState, str]]] = {
    0: (AudienceState.PROCESSING, "status not available"),
    100: (AudienceState.READY, "expiring: unused for two years"),
    200: (AudienceState.READY, "normal"),
    400: (AudienceState.READY, "warning"),
    410: (AudienceState.TOO_SMALL, "nothing uploaded"),
    411: (AudienceState.READY, "low match rate"),
    412: (AudienceState.READY, "many invalid entries in the last upload"),
    414: (AudienceState.PROCESSING, "replace in progress"),
    415: (AudienceState.READY, "the last replace failed: the old members stand"),
    421: (AudienceState.BLOCKED, "pixel missing"),
    422: (AudienceState.BLOCKED, "pixel not firing"),
    423: (AudienceState.BLOCKED, "pixel invalid"),
    431: (AudienceState.READY, "lookalike refresh failed: the old people stand"),
    432: (AudienceState.BLOCKED, "lookalike could not be built"),
    433: (AudienceState.BLOCKED, "lookalike could not be built"),
    434: (AudienceState.PROCESSING, "lookalike build is being retried"),
    441: (AudienceState.READY, "populating: usable, will grow"),
    442: (AudienceState.READY, "could not be prefilled"),
    450: (AudienceState.BLOCKED, "out of date: inactive because unused"),
    470: (AudienceState.BLOCKED, "its creator's account is inactive"),
    471: (AudienceState.BLOCKED, "blocked for its name or description (hints at health or finance)"),
    500: (AudienceState.BLOCKED, "error that needs action in Ads Manager"),
}
