"""Customer-list audiences: find or make, rename, count, read, delete (fact sheet 2.1, 2.8, 2.9)."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from connectors.errors import (
    ConfigurationError,
    FatalError,
    SeedInUseError,
    SyncError,
)
from connectors.meta.codes import OPERATION_STATUS, VALUE_TOS
from connectors.meta.refusals import PLATFORM, tag_of
from connectors.neutral import flagged_words
from connectors.protocol import AudienceCount, AudienceHandle, AudienceState, AudienceStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.meta.client import GraphClient
    from connectors.meta.settings import MetaAccount
    from connectors.protocol import AudienceSpec

PAGE: Final = 100  # Meta advises 20 for accounts with heavy audiences: the client halves it when told so
LISTED: Final = "id,name,subtype,is_value_based"
STATUS: Final = (
    "id,operation_status,delivery_status,approximate_count_lower_bound,approximate_count_upper_bound,time_updated,delete_time,"
    "fields_violating_integrity_policy"
)
IN_USE: Final = "2656"
LABELS: Final = {"high": "HIGH_VALUE_CUSTOMERS", "low": "LOW_VALUE_CUSTOMERS"}  # Meta's own labels for a list's customers


def terms_accepted(client: GraphClient, account: MetaAccount) -> dict[str, int]:
    """Which terms the account has signed: `custom_audience_tos`, `value_based_custom_audience_tos` -> 1 or 0."""
    answer = client.get(f"act_{account.account_id}", fields="tos_accepted")
    signed = answer.get("tos_accepted")
    return {str(name): int(value) for name, value in signed.items()} if isinstance(signed, dict) else {}


def refuse_flagged(*texts: str) -> None:
    """Nothing; raises ConfigurationError when a name or description would get the audience blocked (status 471)."""
    if words := flagged_words(*texts):
        raise ConfigurationError(
            f"the audience text {texts[0]!r} holds {', '.join(map(repr, words))}, for which Meta blocks audiences",
            remedy="name audiences neutrally, for example 'Seed A'; nothing about health or money",
            platform=PLATFORM,
        )


def is_missing(error: SyncError) -> bool:
    """Whether Meta says that the audience is not there (or not visible to this token)."""
    return tag_of(error) == "missing"


class Audiences:
    """The customer-list audiences of one ad account."""

    def __init__(self, client: GraphClient, account: MetaAccount) -> None:
        self._client, self._account = client, account
        self._edge = (f"act_{account.account_id}", "customaudiences")

    def find_or_create(self, spec: AudienceSpec, remote_id: str) -> AudienceHandle:
        """The audience; a lost reply to its creation is cleared up by looking for its name."""
        found = self._read(remote_id) if remote_id else None
        found = found or self._by_name(spec.name)
        if found is None:
            refuse_flagged(spec.name, spec.description)
            if spec.value_weighted:
                self._value_terms()
            return self._handle(spec, self._create(spec))
        if bool(found.get("is_value_based")) != spec.value_weighted:
            kind = "value-based" if found.get("is_value_based") else "not value-based"
            remedy = "Meta fixes this when an audience is made: give it another name or change `value_weighted`"
            raise ConfigurationError(f"the audience {spec.name!r} exists and is {kind}", remedy=remedy, platform=PLATFORM)
        return self._handle(spec, str(found["id"]))

    def status(self, remote_id: str) -> AudienceStatus:
        """State and size bounds; MISSING when Meta doesn't know the id."""
        try:
            answer = self._client.get(remote_id, fields=STATUS)
        except SyncError as error:
            if is_missing(error):
                return AudienceStatus(AudienceState.MISSING, detail="deleted, or not visible to this token")
            raise
        return read_status(answer)

    def rename(self, spec: AudienceSpec, remote_id: str) -> None:
        """Nothing: Meta shows the spec's name and description; it refuses both for a seed of lookalikes."""
        refuse_flagged(spec.name, spec.description)
        try:
            self._client.post(remote_id, expect="success", resend=True, name=spec.name, description=spec.description)
        except FatalError as error:
            if not error.code.startswith(IN_USE):
                raise
            raise FatalError(
                "Meta lets no seed be renamed while lookalikes are built on it",
                remedy="leave it, or rename it in Ads Manager",
                platform=PLATFORM,
                code=error.code,
            ) from None

    def count(self) -> AudienceCount:
        """The account's customer lists and, with a limit of their own, its lookalikes."""
        kinds = [one.get("subtype") for one in self.listed("id,subtype")]
        return AudienceCount(kinds.count("CUSTOM"), kinds.count("LOOKALIKE"))

    def delete(self, remote_id: str) -> None:
        """Nothing: the audience is gone, also when it was before. Raises SeedInUseError with the ids of its lookalikes."""
        try:
            self._client.delete(remote_id)
        except SyncError as error:
            if error.code.startswith(IN_USE):
                raise self._in_use(remote_id, error) from None
            if not is_missing(error):
                raise

    def _in_use(self, remote_id: str, error: SyncError) -> SeedInUseError:
        built: list[Any] = []
        with contextlib.suppress(SyncError):  # without the ids the refusal is still true
            built = self._client.get(remote_id, fields="lookalike_audience_ids").get("lookalike_audience_ids") or []
        ids = tuple(str(one) for one in built)
        named = f" ({', '.join(ids)})" if ids else ""
        return SeedInUseError(
            f"{error.message}{named}", lookalikes=ids, remedy=error.remedy, platform=PLATFORM, code=error.code
        )

    def listed(self, fields: str = LISTED) -> Iterator[dict[str, Any]]:
        """Every audience of the account."""
        return self._client.pages(*self._edge, limit=PAGE, fields=fields)

    def _read(self, remote_id: str) -> dict[str, Any] | None:
        try:
            return self._client.get(remote_id, fields=LISTED)
        except SyncError as error:
            if is_missing(error):
                return None
            raise

    def _by_name(self, name: str) -> dict[str, Any] | None:
        found = [one for one in self.listed() if one.get("name") == name and one.get("subtype", "CUSTOM") == "CUSTOM"]
        if len(found) > 1:
            ids = ", ".join(str(one["id"]) for one in found)
            raise ConfigurationError(
                f"{len(found)} audiences are named {name!r}: {ids}", remedy="rename all but one", platform=PLATFORM
            )
        return found[0] if found else None

    def _value_terms(self) -> None:
        if terms_accepted(self._client, self._account).get("value_based_custom_audience_tos") != 1:
            link = VALUE_TOS.format(account=self._account.account_id)
            raise FatalError(
                f"the ad account {self._account.account_id} has not accepted the terms for value-based audiences",
                remedy=f"a person with access to it opens {link}, accepts, and runs this again",
                platform=PLATFORM,
            )

    def _create(self, spec: AudienceSpec) -> str:
        fields: dict[str, Any] = {
            "name": spec.name,
            "subtype": "CUSTOM",
            "customer_file_source": self._account.customer_file_source,
        }
        if spec.description:
            fields["description"] = spec.description
        if spec.value_weighted:
            fields["is_value_based"] = True
        if spec.tier in LABELS:
            fields["audience_labels"] = [LABELS[spec.tier]]
        if spec.membership_days:
            fields["retention_days"] = spec.membership_days
        if self._account.opt_out_link:
            fields["opt_out_link"] = self._account.opt_out_link

        def find() -> str | None:
            made = self._by_name(spec.name)
            return str(made["id"]) if made else None

        return self._client.make(*self._edge, find=find, **fields)

    def _handle(self, spec: AudienceSpec, remote_id: str) -> AudienceHandle:
        return AudienceHandle(PLATFORM, self._account.account_id, spec, remote_id)


def read_status(answer: dict[str, Any]) -> AudienceStatus:
    """Meta's operation and delivery status as ours; -1 bounds become None."""
    operation, delivery = answer.get("operation_status") or {}, answer.get("delivery_status") or {}
    code, usable = _code(operation), _code(delivery)
    state, text = OPERATION_STATUS.get(code, (AudienceState.BLOCKED, str(operation.get("description") or "unknown status")))
    if state is AudienceState.READY and usable >= 400:
        state, text = AudienceState.BLOCKED, str(delivery.get("description") or "not usable")
    elif state is AudienceState.READY and usable == 300:
        state, text = AudienceState.TOO_SMALL, "too small or inactive"
    if wrong := answer.get("fields_violating_integrity_policy"):
        text += f": its {' and '.join(map(str, wrong))}"
    if ends := _moment(answer.get("delete_time")):
        text += f", deleted on {ends:%Y-%m-%d}"
    lower, upper = (_bound(answer.get(f"approximate_count_{side}_bound")) for side in ("lower", "upper"))
    detail = f"{text} (status {code}, delivery {usable})"
    return AudienceStatus(state, lower, upper, detail=detail, updated=_moment(answer.get("time_updated")))


def _code(status: dict[str, Any]) -> int:
    """The status's number, 0 (not available) too; a status that isn't told is taken as normal."""
    return 200 if status.get("code") is None else int(status["code"])


def _moment(value: Any) -> datetime | None:
    seconds = int(value) if str(value or "").isdigit() else 0
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _bound(value: Any) -> int | None:
    number = int(value) if value is not None else -1
    return number if number >= 0 else None
