"""A Meta ad account as the engine sees it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from connectors.errors import ConfigurationError
from connectors.meta import CAPABILITIES
from connectors.meta.audiences import Audiences, refuse_flagged
from connectors.meta.checks import Checks
from connectors.meta.client import GraphClient
from connectors.meta.lookalikes import Lookalikes, lookalike_spec
from connectors.meta.results import Insights
from connectors.meta.uploads import Uploads
from connectors.meta.values import APPEND_VALUE, Values
from connectors.protocol import AudienceSpec, LookalikeSpec, Receipt, ValueSignal
from connectors.settings import reveal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date, datetime

    from connectors.meta.settings import MetaAccount, MetaSettings
    from connectors.protocol import (
        AudienceCount,
        AudienceHandle,
        AudienceStatus,
        Batch,
        CampaignDay,
        Capabilities,
        Check,
        ValueBatch,
    )


class MetaConnector:
    """`connectors.protocol.Connector` for one ad account; its recipe holds EXTERN_ID only where the settings opt in."""

    def __init__(
        self, settings: MetaSettings, account: MetaAccount, *, now: Callable[[], datetime], sleep: Callable[[float], None]
    ) -> None:
        self.account_id, self._account = account.account_id, account
        self.capabilities = _capabilities(settings)
        token, secret = _secrets(settings, account)
        self._client = GraphClient(
            api_base=settings.api_base,
            api_version=settings.api_version,
            access_token=token,
            app_secret=secret,
            account_id=account.account_id,
            timeout=settings.timeout_seconds,
            ca_bundle=settings.ca_bundle,
            sleep=sleep,
        )
        fields = self.capabilities.recipe.fields
        self._audiences = Audiences(self._client, account)
        self._uploads = Uploads(self._client, account, fields, settings.limited_data_use, settings.received_count)
        self._checks = Checks(self._client, account, self._audiences, self.capabilities)
        self._lookalikes = Lookalikes(self._client, account, self._audiences)
        self._insights = Insights(self._client, settings, account, now=now, sleep=sleep)
        wanted = account.predicted_value
        self.signal = (
            ValueSignal(wanted.dataset_id, APPEND_VALUE, wanted.value, wanted.days, account.currency) if wanted else None
        )
        self._values = Values(self._client, self.capabilities.recipe.fields, settings.limited_data_use, now)

    def check(self) -> Sequence[Check]:
        """Token, account, terms, permissions, audiences, reports, the dataset for predicted values; changes nothing."""
        return self._checks.all()

    def objection(self, spec: AudienceSpec | LookalikeSpec) -> str:
        """Why Meta would block or refuse this: its name or description, a ratio, a country missing."""
        texts = (spec.name, spec.description) if isinstance(spec, AudienceSpec) else (spec.name,)
        try:
            refuse_flagged(*texts)
            if isinstance(spec, LookalikeSpec):
                lookalike_spec(spec)
        except ConfigurationError as error:
            return str(error)
        return ""

    def count_audiences(self) -> AudienceCount:
        """Customer lists, and lookalikes apart."""
        return self._audiences.count()

    def rename(self, handle: AudienceHandle) -> None:
        """Nothing: Meta shows the spec's name and description."""
        self._audiences.rename(handle.spec, handle.remote_id)

    def find_or_create(self, spec: AudienceSpec, remote_id: str = "") -> AudienceHandle:
        """The audience: by id, else by exact name, else made; value-based ones only where the account's terms allow."""
        return self._audiences.find_or_create(spec, remote_id)

    def status(self, handle: AudienceHandle) -> AudienceStatus:
        """Operation and delivery status, and size bounds."""
        return self._audiences.status(handle.remote_id)

    def send(self, handle: AudienceHandle, batch: Batch) -> Receipt:
        """The receipt: Meta's invalid entries are rejected, the rest accepted (matched or not, Meta never says)."""
        return self._uploads.send(handle.remote_id, batch)

    def settle(self, handle: AudienceHandle, reference: str, rows: int) -> Receipt:
        """All rows accepted: Meta answers in the receipt and leaves nothing pending."""
        return Receipt(accepted=rows, remote_id=handle.remote_id, reference=reference)

    def find_or_create_lookalike(self, seed: AudienceHandle, spec: LookalikeSpec) -> AudienceHandle:
        """The lookalike of a ready seed."""
        return self._lookalikes.find_or_create(seed, spec)

    def send_values(self, batch: ValueBatch) -> Receipt:
        """The receipt of predicted values, sent to the account's dataset as AppendValue events."""
        if self._account.predicted_value is None:
            raise ConfigurationError("no dataset for predicted values is set", remedy="set predicted_value", platform="meta")
        return self._values.send(self._account.predicted_value, batch)

    def settle_values(self, reference: str, rows: int) -> Receipt:
        """All events accepted: Meta answers in the receipt and leaves nothing pending."""
        return Receipt(accepted=rows, reference=reference)

    def remove_everywhere(self, batch: Batch) -> Receipt:
        """The receipt for people removed from every customer list of the account, also lists that others made."""
        return self._uploads.remove_everywhere(batch)

    def delete(self, handle: AudienceHandle) -> None:
        """Nothing: the audience is gone."""
        self._audiences.delete(handle.remote_id)

    def campaign_days(self, since: date, until: date) -> Iterator[CampaignDay]:
        """Results by day; deleted and archived ads too."""
        return self._insights.campaign_days(since, until)

    def close(self) -> None:
        """Nothing: connections are closed."""
        self._client.close()


def _capabilities(settings: MetaSettings) -> Capabilities:
    fields = tuple(field for field in CAPABILITIES.recipe.fields if settings.external_id or not field.opt_in)
    recipe = replace(CAPABILITIES.recipe, fields=fields)
    return replace(CAPABILITIES, recipe=recipe, value_updates=settings.value_update)


def _secrets(settings: MetaSettings, account: MetaAccount) -> tuple[str, str]:
    held = account.credentials or settings.credentials
    if held is None or held == "anonymous":
        return "", ""
    secret = reveal(held.app_secret, field="meta.credentials.app_secret") if held.app_secret else ""
    return reveal(held.access_token, field="meta.credentials.access_token"), secret
