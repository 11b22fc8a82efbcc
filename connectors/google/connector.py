"""One Google Ads account, as the engine sees it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from connectors.errors import ConfigurationError, NotReadyError, RetriableError, SyncError
from connectors.google import lookalikes
from connectors.google.audiences import Audiences
from connectors.google.client import GoogleClient
from connectors.google.jobs import Jobs
from connectors.google.lookalikes import Lookalikes
from connectors.google.members import Members
from connectors.google.results import Results
from connectors.google.value_events import ValueEvents, action_of, of_batch
from connectors.google.values import Values
from connectors.protocol import AudienceState, Check, Operation, ValueSignal, utc_now
from connectors.settings import PredictedValue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date, datetime

    import pyarrow as pa

    from connectors.google.results import Click
    from connectors.google.settings import GoogleAccount, GoogleSettings
    from connectors.protocol import (
        AudienceHandle,
        AudienceSpec,
        AudienceStatus,
        Batch,
        CampaignDay,
        Capabilities,
        LookalikeSpec,
        Receipt,
        ValueBatch,
    )

ENABLED, PURCHASE = 2, 4  # of Google Ads' conversion actions
UNREACHED = "check data_manager_endpoint and ads_endpoint, and the way there; run again when they answer"


class GoogleConnector:
    """Lists through the Data Manager API, all else through Google Ads; errors are ours, retries happen in the client."""

    def __init__(
        self,
        settings: GoogleSettings,
        account: GoogleAccount,
        capabilities: Capabilities,
        *,
        now: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        # the engine sends everyone again before a list forgets them, so it must know for how long lists keep people here
        self.capabilities = replace(capabilities, membership_days=settings.membership_days)
        self.account_id = account.account_id
        self.client = GoogleClient(settings, account, sleep=sleep)
        self._audiences = Audiences(self.client)
        self._lookalikes = Lookalikes(self.client)
        self._members_api = Members(self.client, now)
        self._members: Members | Jobs = self._members_api
        self._value_events = ValueEvents(self.client)
        self.signal = _signal(settings, account)
        if settings.members_api == "ads_jobs":
            self._members = Jobs(self.client)
            operations = capabilities.operations - {Operation.REPLACE}
            self.capabilities = replace(self.capabilities, operations=operations, concurrent_batches=1)  # one call per job
        self._values = Values(self.client)
        self._results = Results(self.client, now)

    def check(self) -> list[Check]:
        """Terms, credentials, access to the account in both APIs; changes nothing."""
        subject = f"google {self.account_id}"
        terms = self.client.settings.terms_accepted
        found = [
            Check(
                f"{subject} Customer Match terms",
                terms,
                "accepted" if terms else "not accepted",
                "" if terms else "accept them in Google Ads, then set google.terms_accepted: true",
            )
        ]
        looks: dict[str, Callable[[], str]] = {"Data Manager API": self._look_at_lists, "Google Ads API": self._look_at_account}
        if self.signal:
            looks["predicted_value"] = self._look_at_action
        for name, look in looks.items():
            try:
                seen = look()
            except RetriableError as error:
                found.append(Check(f"{subject} {name}", False, error.message, UNREACHED))
            except SyncError as error:
                found.append(Check(f"{subject} {name}", False, error.message, error.remedy))
            else:
                found.append(Check(f"{subject} {name}", True, seen))
        return found

    def _look_at_lists(self) -> str:
        self._audiences.by_name("clv-audience-sync check")
        return "reachable, access granted"

    def _look_at_account(self) -> str:
        """The account's currency and time zone; raises ConfigurationError where config says otherwise."""
        rows = self.client.query("SELECT customer.id, customer.currency_code, customer.time_zone FROM customer LIMIT 1")
        if not rows:
            return "reachable, access granted"
        held, account = rows[0].customer, self.client.account
        for field, said, real in (
            ("currency", account.currency, held.currency_code),
            ("timezone", account.timezone, held.time_zone),
        ):
            if said and real and said != real:
                raise ConfigurationError(
                    f"config says {field} {said}, Google says {real}", remedy=f"set the account's {field} to {real}"
                )
        return f"reachable, access granted; {held.currency_code}, {held.time_zone}"

    def _look_at_action(self) -> str:
        """The conversion action of predicted values; raises ConfigurationError where it can't take any."""
        assert self.signal is not None, "only looked at where predicted values are wanted"
        fields = ("id", "name", "status", "category", "primary_for_goal")
        found = self.client.query(
            f"SELECT {', '.join(f'conversion_action.{one}' for one in fields)} FROM conversion_action "
            f"WHERE conversion_action.id = {self.signal.target}"
        )
        if not found:
            raise ConfigurationError(
                f"the account has no conversion action {self.signal.target}",
                remedy="make one in Google Ads for predictions alone, then set predicted_value.action to its id",
            )
        action = found[0].conversion_action
        if action.status != ENABLED:
            raise ConfigurationError(f"the conversion action {action.name!r} is not enabled", remedy="enable it in Google Ads")
        if action.category == PURCHASE and action.primary_for_goal:
            raise ConfigurationError(
                f"the conversion action {action.name!r} is a primary action of the goal Purchase: predictions would be added "
                "to what purchases really brought",
                remedy="use an action of another category, or make it a secondary one",
            )
        return f"{action.name}, enabled"

    def find_or_create(self, spec: AudienceSpec, remote_id: str = "") -> AudienceHandle:
        """The list: by id, else by exact name, else made; the top tier's is marked as high-value customers."""
        handle, _ = self._audiences.find_or_create(spec, remote_id)
        self._values.apply(handle)
        return handle

    def status(self, handle: AudienceHandle) -> AudienceStatus:
        """What Google says of the list or lookalike now."""
        if handle.path == lookalikes.PATH:
            return self._lookalikes.status(handle)
        return self._audiences.status(handle)

    def send(self, handle: AudienceHandle, batch: Batch) -> Receipt:
        """The receipt: what Google took is pending until `settle`, what it refused is named row by row."""
        return self._members.send(handle, batch)

    def settle(self, handle: AudienceHandle, reference: str, rows: int) -> Receipt:
        """What became of pending rows."""
        return self._members.settle(handle, reference, rows)

    def find_or_create_lookalike(self, seed: AudienceHandle, spec: LookalikeSpec) -> AudienceHandle:
        """The lookalike of a seed with at least 100 matched people; NotReadyError before that."""
        status = self._audiences.status(seed)
        if status.state is AudienceState.MISSING:
            raise NotReadyError(f"the seed {seed.spec.name!r} is gone; it is made again first", platform="google")
        return self._lookalikes.find_or_create(seed, status.upper or 0, spec)

    def delete(self, handle: AudienceHandle) -> None:
        """Nothing: the list or lookalike is gone."""
        if handle.path == lookalikes.PATH:
            self._lookalikes.delete(handle)
        else:
            self._audiences.delete(handle)

    def campaign_days(self, since: date, until: date) -> Iterator[CampaignDay]:
        """Results of every campaign with activity, removed campaigns too."""
        return self._results.campaign_days(since, until)

    def send_predicted_values(self, chunks: Iterable[pa.RecordBatch]) -> Receipt:
        """The receipt of predicted values sent as events of `predicted_value_action` (columns: `value_events`)."""
        return self._value_events.send(chunks)

    def settle_predicted_values(self, reference: str, rows: int) -> Receipt:
        """What became of pending events; those with an event id that Google has already are rejected as duplicates."""
        return self._members_api.settle_requests(reference, rows)

    def send_values(self, batch: ValueBatch) -> Receipt:
        """The receipt of one batch of the engine's predicted values: what Google took is pending."""
        return self.send_predicted_values(of_batch(chunk) for chunk in batch.chunks())

    def settle_values(self, reference: str, rows: int) -> Receipt:
        """What became of pending events."""
        return self.settle_predicted_values(reference, rows)

    def clicks(self, since: date, until: date) -> Iterator[Click]:
        """Clicks by gclid with their campaign, 90 days back."""
        return self._results.clicks(since, until)

    def close(self) -> None:
        """Nothing: connections are closed."""
        self.client.close()


def _signal(settings: GoogleSettings, account: GoogleAccount) -> ValueSignal | None:
    action, wanted = action_of(settings, account), account.predicted_value or PredictedValue()
    return ValueSignal(action, "conversion", wanted.value, wanted.days, account.currency) if action else None
