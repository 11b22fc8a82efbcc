"""One advertiser account on TikTok, as the engine's protocol asks for it."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from connectors.errors import ConfigurationError
from connectors.protocol import (
    AudienceCount,
    AudienceHandle,
    AudienceSpec,
    AudienceState,
    AudienceStatus,
    Operation,
    Receipt,
    ValueSignal,
    utc_now,
)
from connectors.settings import reveal
from connectors.tiktok.audiences import Directory
from connectors.tiktok.checks import Checks
from connectors.tiktok.client import Client
from connectors.tiktok.deliveries import Deliveries
from connectors.tiktok.lookalikes import Lookalikes
from connectors.tiktok.names import objection
from connectors.tiktok.pace import Pacer
from connectors.tiktok.results import Results
from connectors.tiktok.segments import Segments
from connectors.tiktok.values import Values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date, datetime

    from connectors.protocol import Batch, CampaignDay, Capabilities, Check, LookalikeSpec, ValueBatch
    from connectors.tiktok.settings import TikTokAccount, TikTokSettings

LEVELS = (10.0, 20.0, 30.0, 50.0)  # calls a second that TikTok grants an app: basic, advanced, premium, ultimate
_pacers: dict[tuple[str, str, float], Pacer] = {}
_pacers_lock = threading.Lock()


def shared_pacer(settings: TikTokSettings, token: str, sleep: Callable[[float], None]) -> Pacer:
    """The bucket of an app: its accounts share TikTok's limits, so they share this. Keyed by a digest of the token."""
    rate = settings.requests_per_second
    if sleep is not time.sleep:  # somebody else's time has a bucket of its own
        return Pacer(rate, burst(rate), sleep=sleep)
    key = (settings.api_base, hashlib.sha256(token.encode()).hexdigest(), rate)
    with _pacers_lock:
        return _pacers.setdefault(key, Pacer(rate, burst(rate)))


def burst(rate: float) -> float:
    """Calls that may leave at once: with the rate's own they stay below the level that the rate belongs to, with room for
    calls that bunch up on the way."""
    return max(1.0, 0.6 * (next((level for level in LEVELS if level > rate), rate) - rate))


def _if_set(secret: str) -> str:
    """The secret, or "" where it is missing: only `check` needs it, and says so."""
    try:
        return reveal(secret)
    except ConfigurationError:
        return ""


class TikTokConnector:
    """Audiences and results of one advertiser."""

    def __init__(
        self,
        settings: TikTokSettings,
        account: TikTokAccount,
        capabilities: Capabilities,
        *,
        now: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        pacer: Pacer | None = None,
    ) -> None:
        self.capabilities, self.account_id, self._account, self._now = capabilities, account.account_id, account, now
        secret = settings.credentials
        token = secret if isinstance(secret, str) else reveal(secret.access_token, field="tiktok.credentials.access_token")
        app = None if isinstance(secret, str) or not secret.app_id or not secret.secret else (secret.app_id, secret.secret)
        pace = pacer or shared_pacer(settings, token, sleep)
        self._client = Client(
            settings.api_base,
            token,
            pace,
            secrets=[_if_set(app[1])] if app else (),
            timeout=settings.timeout_seconds,
            sleep=sleep,
            clock=clock,
        )
        columns = capabilities.recipe.columns()
        self._directory = Directory(self._client, self.account_id, now)
        self._settings, self.share_with = settings, tuple(account.share_with)
        self._checks = Checks(self._client, account, self._directory, capabilities, app, now)
        self._deliveries = Deliveries(self._directory, columns, settings.file_type)
        self._segments = Segments(self._directory, columns)
        self._lookalikes = Lookalikes(self._directory, settings.lookalike)
        self._results = Results(self._client, account, settings, now)
        wanted = account.predicted_value
        self.signal = (
            ValueSignal(wanted.pixel_code, wanted.event, wanted.value, wanted.days, account.currency) if wanted else None
        )
        self._values = Values(self._client, columns)

    def check(self) -> Sequence[Check]:
        """Token, account, grant, audiences, reports, the pixel for predicted values; changes nothing."""
        return self._checks.all()

    def objection(self, spec: AudienceSpec | LookalikeSpec) -> str:
        """Why TikTok would refuse this: its name's length or words, an unknown country."""
        return objection(spec, self._settings.lookalike.location_ids)

    def count_audiences(self) -> AudienceCount:
        """All of the account's audiences: lookalikes have no limit of their own."""
        return AudienceCount(self._directory.count())

    def rename(self, handle: AudienceHandle) -> None:
        """Nothing: TikTok shows the spec's name; a streaming audience keeps the one it was made with."""
        self._directory.rename(handle.remote_id, handle.path, handle.spec.name)

    def share(self, handle: AudienceHandle, accounts: Sequence[str]) -> None:
        """Nothing: these advertisers of the same Business Center may use the audience too."""
        self._directory.share(handle.remote_id, accounts)

    def unshare(self, handle: AudienceHandle, accounts: Sequence[str]) -> None:
        """Nothing: these advertisers may no longer use it."""
        self._directory.unshare(handle.remote_id, accounts)

    def refresh_lookalike(self, handle: AudienceHandle) -> None:
        """Nothing: the lookalike is built anew from its seed of today."""
        self._lookalikes.refresh(handle.remote_id)

    def find_or_create(self, spec: AudienceSpec, remote_id: str = "") -> AudienceHandle:
        """The audience; a file audience that isn't there yet has no id until its first ADD makes it."""
        handle = AudienceHandle("tiktok", self.account_id, spec)
        if remote_id:
            known = self._directory.details(remote_id)
            if known is not None and not known.expired(self._now()):
                return replace(handle, remote_id=known.id, path=known.path or "file")
        found = self._directory.named(spec.name, "file", "stream")
        if found:
            return replace(handle, remote_id=found[0].id, path=found[0].path)
        for old in self._directory.expired(spec.name, "file", "stream"):
            # it counts against the account's 400; and where only this machine's clock says so, its members must not stay
            self._directory.delete(old.id, old.path)
        if spec.exclusion:
            return replace(handle, remote_id=self._segments.create(spec.name), path="stream")
        return replace(handle, path="file")

    def status(self, handle: AudienceHandle) -> AudienceStatus:
        """What TikTok says now."""
        if not handle.remote_id:
            return AudienceStatus(AudienceState.MISSING, detail="made by the first members")
        audience = self._directory.details(handle.remote_id)
        if audience is None:
            return AudienceStatus(AudienceState.MISSING, detail="TikTok no longer knows it")
        return audience.status(self._now())

    def send(self, handle: AudienceHandle, batch: Batch) -> Receipt:
        """The receipt: pending for files, accepted at once on the streaming path."""
        if batch.rows == 0 and batch.operation is not Operation.REPLACE:
            return Receipt(accepted=0, remote_id=handle.remote_id)
        if handle.path == "stream":
            return self._segments.send(handle, batch)
        return self._deliveries.send(handle, batch)

    def settle(self, handle: AudienceHandle, reference: str, rows: int) -> Receipt:
        """The outcome of a file operation."""
        audience = self._directory.details(handle.remote_id)
        if audience is None:
            return Receipt(accepted=0, rejected={"the audience is gone": rows}, detail="the audience is gone at TikTok")
        return self._deliveries.settle(audience, Operation(reference.partition("|")[0]), reference, rows)

    def find_or_create_lookalike(self, seed: AudienceHandle, spec: LookalikeSpec) -> AudienceHandle:
        """The lookalike of a ready seed."""
        found = self._lookalikes.find_or_create(seed, spec)
        made = AudienceSpec(key=spec.key, name=spec.name)
        return AudienceHandle("tiktok", self.account_id, made, remote_id=found, path="lookalike")

    def delete(self, handle: AudienceHandle) -> None:
        """Nothing: the audience is gone."""
        if handle.remote_id:
            self._directory.delete(handle.remote_id, handle.path)

    def campaign_days(self, since: date, until: date) -> Iterator[CampaignDay]:
        """Results of every ad, deleted ones too."""
        return self._results.days(since, until)

    def send_values(self, batch: ValueBatch) -> Receipt:
        """The receipt of predicted values, sent to the account's pixel as a custom event."""
        if self._account.predicted_value is None:
            raise ConfigurationError("no pixel for predicted values is set", remedy="set predicted_value", platform="tiktok")
        return self._values.send(self._account.predicted_value, batch)

    def settle_values(self, reference: str, rows: int) -> Receipt:
        """All events accepted: TikTok answers for a call as a whole and leaves nothing pending."""
        return Receipt(accepted=rows, reference=reference)

    def close(self) -> None:
        """Nothing: connections are closed."""
        self._client.close()
