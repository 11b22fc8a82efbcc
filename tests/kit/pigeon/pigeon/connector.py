"""Pigeon Ads as the engine sees it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import quote

from connectors.errors import FatalError, NotReadyError, OutcomeUnknownError
from connectors.protocol import (
    AudienceHandle,
    AudienceSpec,
    AudienceState,
    AudienceStatus,
    CampaignDay,
    Check,
    Operation,
    Receipt,
)
from pigeon import CAPABILITIES
from pigeon.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from connectors.protocol import Batch, LookalikeSpec

WORDS = {Operation.ADD: "add", Operation.REMOVE: "remove", Operation.REPLACE: "replace"}


class PigeonConnector:
    """`connectors.protocol.Connector` for one account."""

    capabilities = CAPABILITIES

    def __init__(self, api_base: str, account_id: str, now: Callable[[], datetime]) -> None:
        self.account_id, self.now, self.client = account_id, now, Client(api_base)

    def check(self) -> Sequence[Check]:
        """Whether the account answers."""
        self.client.call("GET", "/lists?name=")
        return [Check("pigeon account", True)]

    def find_or_create(self, spec: AudienceSpec, remote_id: str = "") -> AudienceHandle:
        """The list: by id, by name, else made; a lost reply is cleared up by the name."""
        found = self._find("id", remote_id) if remote_id else ""
        found = found or self._find("name", spec.name) or self._make(spec.name)
        return AudienceHandle("pigeon", self.account_id, spec, found)

    def _find(self, key: str, value: str) -> str:
        lists = self.client.call("GET", f"/lists?{key}={quote(value)}")["lists"]
        return str(lists[0]["id"]) if lists else ""

    def _make(self, name: str) -> str:
        try:
            return str(self.client.call("POST", "/lists", {"name": name}, again=False)["id"])
        except OutcomeUnknownError:
            made = self._find("name", name)
            if not made:
                raise
            return made

    def status(self, handle: AudienceHandle) -> AudienceStatus:
        """Size and state."""
        lists = self.client.call("GET", f"/lists?id={handle.remote_id}")["lists"]
        if not lists:
            return AudienceStatus(AudienceState.MISSING)
        size = int(lists[0]["size"])
        return AudienceStatus(AudienceState.READY if size else AudienceState.TOO_SMALL, size, size)

    def send(self, handle: AudienceHandle, batch: Batch) -> Receipt:
        """The receipt: rows without an address are refused by Pigeon and counted."""
        digests = [cell.hex() if cell else "" for chunk in batch.chunks() for cell in chunk.column("email").to_pylist()]
        body = {WORDS[batch.operation]: digests}
        bad = int(self.client.call("POST", f"/lists/{handle.remote_id}/members", body)["bad"])
        return Receipt(accepted=batch.rows - bad, rejected={"no address": bad} if bad else {}, remote_id=handle.remote_id)

    def settle(self, handle: AudienceHandle, reference: str, rows: int) -> Receipt:
        """All rows: Pigeon leaves nothing pending."""
        return Receipt(accepted=rows)

    def find_or_create_lookalike(self, seed: AudienceHandle, spec: LookalikeSpec) -> AudienceHandle:
        """The lookalike: Pigeon keeps one per seed and country, whoever asks."""
        body = {"name": spec.name, "countries": sorted(spec.countries)}
        try:
            made = self.client.call("POST", f"/lists/{seed.remote_id}/lookalikes", body)
        except FatalError as error:
            if error.code == "461":
                raise NotReadyError(error.message, platform="pigeon", code="461") from None
            raise
        return AudienceHandle("pigeon", self.account_id, AudienceSpec(spec.key, spec.name), str(made["id"]))

    def delete(self, handle: AudienceHandle) -> None:
        """Nothing: the list is gone."""
        self.client.call("DELETE", f"/lists/{handle.remote_id}")

    def campaign_days(self, since: date, until: date) -> Iterator[CampaignDay]:
        """Results, day by day."""
        for row in self.client.call("GET", f"/results?since={since}&until={until}")["rows"]:
            yield CampaignDay(
                platform="pigeon",
                account_id=self.account_id,
                date=date.fromisoformat(row["date"]),
                campaign_id=row["campaign_id"],
                campaign_name=row["campaign_name"],
                adset_id=row["adset_id"],
                ad_id=row["ad_id"],
                spend=Decimal(row["spend"]),
                impressions=int(row["impressions"]),
                clicks=int(row["clicks"]),
                conversions=Decimal(row["conversions"]),
                conversion_value=Decimal(row["conversion_value"]),
                currency="EUR",
                pulled_at=self.now(),
            )

    def close(self) -> None:
        """Nothing: no connection is kept."""
