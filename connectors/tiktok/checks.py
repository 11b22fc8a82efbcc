"""What `clvsync check` looks at in a TikTok advertiser account; nothing is changed.

The scope for changing audiences (31) shows only when something is changed: a grant without it is 40001 then.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from connectors.errors import FatalError, SyncError
from connectors.protocol import Check
from connectors.settings import reveal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from connectors.protocol import Capabilities
    from connectors.tiktok.audiences import Directory
    from connectors.tiktok.client import Client
    from connectors.tiktok.settings import TikTokAccount

ENABLED = "STATUS_ENABLE"


class Checks:
    """The checks of one advertiser. `app`: its id and a reference to its secret, when both are configured."""

    def __init__(
        self,
        client: Client,
        account: TikTokAccount,
        directory: Directory,
        limits: Capabilities,
        app: tuple[str, str] | None,
        now: Callable[[], datetime],
    ) -> None:
        self._client, self._account, self._directory, self._limits = client, account, directory, limits
        self._app, self._now = app, now

    def all(self) -> Sequence[Check]:
        """Token, account, grant, audiences, reports, the pixel for predicted values; after a bad token nothing more."""
        first = self._try("token", self._token)
        if not first.ok:
            return [first]
        found = [first, self._try("account", self._known)]
        if self._app:
            found.append(self._try("grant", self._grant))
        found += [self._try("audiences", self._count), self._try("reports", self._report)]
        if self._account.predicted_value is not None:
            found.append(self._try("pixel for predicted values", self._pixel))
        return found

    def _token(self) -> str:
        self._client.get("/user/info/", {})
        return "valid; it doesn't expire"

    def _known(self) -> str:
        """State, currency and time zone; raises where config says otherwise or TikTok has disabled the account."""
        fields = ["advertiser_id", "name", "currency", "display_timezone", "status"]
        query = {"advertiser_ids": [self._account.account_id], "fields": fields}
        data = self._client.get("/advertiser/info/", query).data
        found = next((one for one in data.get("list") or [] if str(one.get("advertiser_id")) == self._account.account_id), None)
        if found is None:
            raise FatalError("the token does not reach this advertiser", remedy="correct account_id", platform="tiktok")
        for name, key in (("currency", "currency"), ("timezone", "display_timezone")):
            wanted, told = getattr(self._account, name), str(found.get(key) or "")
            if wanted and told and wanted != told:
                raise FatalError(f"its {name} is {told}, not {wanted}", remedy=f"correct {name}", platform="tiktok")
        status = str(found.get("status") or ENABLED)
        if status != ENABLED:
            raise FatalError(f"the account is {status}", remedy="see the account in TikTok Ads Manager", platform="tiktok")
        return ", ".join(str(found[key]) for key in ("status", "currency", "display_timezone") if found.get(key))

    def _grant(self) -> str:
        app_id, secret = self._app or ("", "")
        if self._account.account_id not in self._client.granted(app_id, reveal(secret, field="tiktok.credentials.secret")):
            raise FatalError(
                "this advertiser has not granted the app access",
                remedy="let the advertiser authorise the app, or correct account_id",
                platform="tiktok",
            )
        return "granted"

    def _count(self) -> str:
        return f"{self._directory.count()} of {self._limits.maximum_audiences}, lookalikes included"

    def _report(self) -> str:
        day = (self._now().date() - timedelta(days=1)).isoformat()
        selection = {"report_type": "BASIC", "data_level": "AUCTION_ADVERTISER", "dimensions": ["advertiser_id"]}
        query = {
            "advertiser_id": self._account.account_id,
            **selection,
            "metrics": ["spend"],
            "start_date": day,
            "end_date": day,
        }
        self._client.get("/report/integrated/get/", {**query, "page": 1, "page_size": 1})
        return "reports can be read"

    def _pixel(self) -> str:
        """The pixel's name; that events may be sent shows only when some are."""
        code = self._account.predicted_value.pixel_code if self._account.predicted_value else ""
        data = self._client.get("/pixel/list/", {"advertiser_id": self._account.account_id, "code": code}).data
        for one in data.get("pixels") or []:
            if str(one.get("pixel_code")) == code:
                return str(one.get("pixel_name") or code)
        raise FatalError(f"this advertiser has no pixel {code}", remedy="correct pixel_code", platform="tiktok")

    def _try(self, name: str, call: Callable[[], str]) -> Check:
        subject = f"tiktok {self._account.account_id} {name}"
        try:
            return Check(subject, ok=True, detail=call())
        except SyncError as error:
            return Check(subject, ok=False, detail=error.message, remedy=error.remedy)
