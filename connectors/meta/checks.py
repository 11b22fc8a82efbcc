"""What `clvsync check` looks at in a Meta ad account; nothing is changed.

When a token ends can only be asked with the token in a URL (`debug_token`), so it isn't: an ended one is 190/463 here.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from connectors.errors import SyncError
from connectors.meta.audiences import read_status, terms_accepted
from connectors.meta.codes import TOS, VALUE_TOS
from connectors.protocol import AudienceState, Check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from connectors.meta.audiences import Audiences
    from connectors.meta.client import GraphClient
    from connectors.meta.settings import MetaAccount
    from connectors.protocol import Capabilities

ACTIVE: Final = (1, 9, 201)  # account_status: active, in its grace period, any active
STATES: Final = {
    1: "active", 2: "disabled", 3: "unsettled", 7: "in risk review", 8: "settlement pending", 9: "in its grace period",
    100: "closing", 101: "closed", 201: "active", 202: "closed",
}  # fmt: skip
WANTED: Final = ("ads_management", "ads_read")
HELD: Final = "id,name,subtype,operation_status,delivery_status"
RIGHTS = "make a new system-user token with ads_management and ads_read"


class Checks:
    """The checks of one ad account."""

    def __init__(self, client: GraphClient, account: MetaAccount, audiences: Audiences, limits: Capabilities) -> None:
        self._client, self._account, self._audiences, self._limits = client, account, audiences, limits
        self._subject = f"meta {account.account_id}"

    def all(self) -> Sequence[Check]:
        """Token and account, its state, currency and zone, terms, permissions, audiences, reports, the dataset for values."""
        try:
            held = self._client.get(f"act_{self._account.account_id}", fields="id,account_status,currency,timezone_name")
            signed = terms_accepted(self._client, self._account)
        except SyncError as error:
            return [Check(f"{self._subject}: account", False, error.message, error.remedy)]
        found = [self._state(held), *self._as_configured(held), *self._terms(signed), *self._permissions()]
        found.append(self._try("audiences", self._count))
        found.append(self._try("ads_read", self._read_report))
        if self._account.predicted_value is not None:
            found.append(self._try("dataset for predicted values", self._dataset))
        if warning := self._client.version_warning:
            found.append(Check(f"{self._subject}: API version", False, warning, "raise meta.api_version"))
        return found

    def _state(self, held: dict[str, Any]) -> Check:
        number = int(held.get("account_status") or 1)
        told = [STATES.get(number, f"status {number}"), held.get("currency"), held.get("timezone_name")]
        remedy = "" if number in ACTIVE else "see Account Quality and Billing in Meta's Business settings"
        return Check(f"{self._subject}: account", number in ACTIVE, ", ".join(str(one) for one in told if one), remedy)

    def _as_configured(self, held: dict[str, Any]) -> list[Check]:
        wrong = []
        for what, told, ours in (
            ("currency", held.get("currency"), self._account.currency),
            ("timezone", held.get("timezone_name"), self._account.timezone),
        ):
            if told and ours and told != ours:
                wrong.append(
                    Check(f"{self._subject}: {what}", False, f"Meta says {told}, config {ours}", f"write {what}: {told}")
                )
        return wrong

    def _terms(self, signed: dict[str, int]) -> list[Check]:
        found = []
        for name, key, link in (
            ("customer-list terms", "custom_audience_tos", TOS),
            ("value-based terms", "value_based_custom_audience_tos", VALUE_TOS),
        ):
            ok = signed.get(key) == 1
            remedy = (
                "" if ok else f"a person of this business opens {link.format(account=self._account.account_id)} and accepts"
            )
            found.append(Check(f"{self._subject}: {name}", ok, "accepted" if ok else "not accepted", remedy))
        return found

    def _permissions(self) -> list[Check]:
        """One finding, or none where Meta doesn't tell this token of its permissions."""
        try:
            told = self._client.get("me", "permissions", expect="data")["data"]
        except SyncError:
            return []
        granted = {str(one.get("permission")) for one in told if one.get("status") == "granted"}
        if not granted:
            return []
        lacking = [one for one in WANTED if one not in granted]
        detail = f"missing: {', '.join(lacking)}" if lacking else ", ".join(WANTED)
        return [Check(f"{self._subject}: permissions", not lacking, detail, RIGHTS if lacking else "")]

    def _count(self) -> str:
        """How many audiences there are, and which Meta blocks."""
        kinds: Counter[str] = Counter()
        blocked = []
        for one in self._audiences.listed(HELD):
            kinds[
                "lookalikes" if one.get("subtype") == "LOOKALIKE" else "lists" if one.get("subtype") == "CUSTOM" else "others"
            ] += 1
            if one.get("subtype") == "CUSTOM" and read_status(one).state is AudienceState.BLOCKED:
                blocked.append(str(one.get("name")))
        told = (
            f"{kinds['lists']} of {self._limits.maximum_audiences} customer lists, "
            f"{kinds['lookalikes']} of {self._limits.maximum_lookalikes} lookalikes"
        )
        return told + (f"; blocked by Meta: {', '.join(map(repr, blocked[:5]))}" if blocked else "")

    def _read_report(self) -> str:
        self._client.get(f"act_{self._account.account_id}", "insights", expect="data", date_preset="yesterday", limit=1)
        return "reports can be read"

    def _dataset(self) -> str:
        """The dataset's name and when it last had an event; that events may be sent shows only when some are."""
        wanted = self._account.predicted_value
        number = wanted.dataset_id if wanted else ""
        held = self._client.get(number, fields="id,name,last_fired_time")
        last = str(held.get("last_fired_time") or "")[:10]
        return f"{held.get('name') or number}, " + (f"last event {last}" if last else "no event so far")

    def _try(self, name: str, call: Callable[[], str]) -> Check:
        try:
            return Check(f"{self._subject}: {name}", True, call())
        except SyncError as error:
            return Check(f"{self._subject}: {name}", False, error.message, error.remedy)
