"""The contract between the engine and a platform: all that a connector's author must read.

A platform is one folder and one entry-point line (group `clv_audience_sync.connectors`) naming a `Platform`. The engine asks
its `Capabilities` (limits as data), never its name. Rows travel as Arrow columns, never as objects per member. What a
connector may do besides (count, rename, share, refresh, foresee) is in `connectors.powers`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from decimal import Decimal

    import pyarrow as pa


PROTOCOL: Final = 1
"""Raised when a method changes or a new one is asked of every connector. A platform may say which it was written for."""


class Operation(StrEnum):
    """What a batch does to the audience's members."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class IdentifierField:
    """One identifier that a platform matches on: contact column `source`, normalised by `rule`, sent as `name`.

    `hashed` fields travel as SHA-256 digests (32 raw bytes in tables; the connector encodes them), others as text.
    `values` is how many a person may have.
    """

    name: str
    source: str
    rule: str
    hashed: bool = True
    values: int = 1
    requires: tuple[str, ...] = ()  # names of fields without which this one is dropped (Google's address needs all parts)
    opt_in: bool = False
    identifies: bool = True  # False: refines a match but finds nobody alone (gender, city, country ...)
    note: bool = False  # no contact data but a word on the person that travels with the row; not part of identity reports

    def columns(self) -> tuple[str, ...]:
        """The table columns of this field: `name`, then `name#2`, `name#3` ... up to `values`."""
        return (self.name, *(f"{self.name}#{n}" for n in range(2, self.values + 1)))


@dataclass(frozen=True, slots=True)
class Recipe:
    """Which identifiers a platform takes and how. `spill`: further values of a person become further rows."""

    version: str
    fields: tuple[IdentifierField, ...]
    spill: bool = False
    identifiers_per_member: int = 0  # 0: no limit

    def columns(self) -> tuple[str, ...]:
        """All identifier columns of a member table, in wire order."""
        return tuple(name for one in self.fields for name in ((one.name,) if self.spill else one.columns()))


@dataclass(frozen=True, slots=True)
class Capabilities:
    """A platform's limits and powers as data, each from its fact sheet."""

    platform: str
    recipe: Recipe
    value_weighted: bool  # a value per member can travel
    batch_rows: int  # rows in one batch handed to `send`
    operations: frozenset[Operation]
    minimum_size: int = 0  # matched members below which an audience is unusable
    removal_floor: int = 0  # removals that leave fewer than this are refused
    maximum_audiences: int = 0  # an account's most (0: no limit); then the connector is a `powers.CountingConnector`
    maximum_lookalikes: int = 0  # their own most (0: they count as audiences)
    membership_days: int | None = None  # members vanish unless sent again within this time
    longest_membership: int = 0  # the most days that an audience may ask for instead (0: none can be asked for)
    replace_interval_hours: float = 0  # at most one REPLACE in this time
    edit_interval_hours: float = 0  # at most one ADD or REMOVE in this time, and only while the audience is usable
    set_semantics: bool = True  # sending the same rows twice changes nothing
    settles: bool = False  # acceptance is reported later, through `settle`
    mixed_operations: bool = True  # ADD and REMOVE may be under way at once
    concurrent_batches: int = 1
    lookalikes: bool = True
    lookalike_minimum: int = 0
    lookalike_refresh_days: float = 0  # refreshed on request, at most so often (0: the platform does it itself)
    renames: bool = False  # the connector is a `RenamingConnector` too
    shares: bool = False  # the connector is a `SharingConnector` too
    foresees: bool = False  # the connector is a `ForeseeingConnector` too
    value_updates: str = "add"  # how a changed value travels: "add" (send again) or "replace"
    removes_everywhere: bool = False  # the connector is an `ErasingConnector` too
    after_removal: str = ""  # what the platform keeps of people who were removed, and for how long; `forget` says it
    exclusion_path: str = ""  # the path used for audiences that only exclude ("stream" on TikTok)
    results: bool = True
    report_history_days: int = 37 * 30
    report_restatement_days: int = 28  # conversions of past days keep changing this long
    click_parameters: tuple[str, ...] = ()  # of the platform's links, such as gclid; the usual one first
    predicted_values: bool = False  # the connector is an `EventConnector` too
    value_batch_rows: int = 1_000  # events in one batch handed to `send_values`
    value_age_days: float = 28  # older orders are refused


@dataclass(frozen=True, slots=True)
class AudienceSpec:
    """An audience that the engine wants to exist. `key` is the ledger's name for it, `name` what people see."""

    key: str
    name: str
    description: str = ""
    value_weighted: bool = False
    currency: str = ""
    tier: str = ""  # "high", "middle", "low" or "" (not of one tier)
    exclusion: bool = False  # used to leave people out, never as a seed
    membership_days: int | None = None


@dataclass(frozen=True, slots=True)
class AudienceHandle:
    """An audience as the platform knows it. `remote_id` is "" until a first ADD has made it (TikTok)."""

    platform: str
    account_id: str
    spec: AudienceSpec
    remote_id: str = ""
    path: str = ""


class AudienceState(StrEnum):
    """What the platform says of an audience."""

    READY = "ready"
    PROCESSING = "processing"
    TOO_SMALL = "too_small"
    BLOCKED = "blocked"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class AudienceStatus:
    """State and size bounds (None: the platform doesn't say); `detail` is the platform's text, free of identifiers.

    `updated`: when the platform last changed it, where it says so.
    """

    state: AudienceState
    lower: int | None = None
    upper: int | None = None
    match_rate: str = ""
    detail: str = ""
    updated: datetime | None = None


@dataclass(frozen=True, slots=True)
class AudienceCount:
    """How many audiences an account holds; `lookalikes` apart where they have a limit of their own."""

    audiences: int
    lookalikes: int = 0


@dataclass(frozen=True, slots=True)
class LookalikeSpec:
    """A lookalike wanted of a seed. `size` is narrow, balanced or broad; `ratio` (Meta) overrides it."""

    key: str
    name: str
    countries: tuple[str, ...]
    size: str = "narrow"
    ratio: float | None = None
    starting_ratio: float | None = None
    value_based: bool = False
    platforms: tuple[str, ...] = ()  # only on these (empty: on all)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows for one call. `id` is the digest of content and place, so a resumed run sends the same batch.

    `chunks()` yields Arrow record batches: the recipe's columns (hashed: binary of 32 bytes, or null) and, when the audience
    is value-weighted and the operation adds, `value` (decimal128(18, 2), the audience's currency).
    """

    id: str
    operation: Operation
    rows: int
    chunks: Callable[[], Iterator[pa.RecordBatch]]
    delivery: int = 0  # positive 63-bit number shared by the batches of one delivery (Meta's session_id)
    sequence: int = 1  # from 1
    last: bool = True
    total_rows: int = 0  # of the whole delivery
    replace_before: datetime | None = None  # REPLACE on platforms that remove by time


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a platform said of a batch: four different numbers, which add up to the rows sent.

    `rejected` maps a reason to a count; `rejected_rows` maps row numbers in the batch to reasons where the platform names
    them. `reference` is what `settle` needs to learn the outcome of `pending` rows later.
    """

    accepted: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    rejected_rows: Mapping[int, str] = field(default_factory=dict)
    pending: int = 0
    unknown: int = 0
    reference: str = ""
    remote_id: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CampaignDay:
    """One row of campaign results: a day of an ad (or ad set, or campaign) in the account's currency and time zone."""

    platform: str
    account_id: str
    date: date
    campaign_id: str
    campaign_name: str
    adset_id: str
    ad_id: str
    spend: Decimal
    impressions: int
    clicks: int
    conversions: Decimal
    conversion_value: Decimal
    currency: str
    pulled_at: datetime


@dataclass(frozen=True, slots=True)
class Check:
    """One finding of `clvsync check`: what was looked at, whether it is in order, and the remedy if not."""

    subject: str
    ok: bool
    detail: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class ValueSignal:
    """Where an account wants predicted values, as its settings say: never where real purchases are counted.

    `target`: dataset, pixel or conversion action; `event`: the event's name there; `column`: of scores; `days`: for customers
    whose first order is at most so old; `currency`: the account's ("": the business's).
    """

    target: str
    event: str
    column: str = "clv"
    days: int = 7
    currency: str = ""


@dataclass(frozen=True, slots=True)
class ValueBatch:
    """Predicted values for one call. `chunks()` yields the recipe's columns (a person's first row) and, never null:

    `event_id` (text, always the same for a customer's first order), `at` (timestamp of that order, UTC), `value`
    (decimal128(18, 2), positive), `currency`, `external_id` (SHA-256 of the customer's id, binary(32)), `limited` (limited data
    use); and where known `order_id`, `bucket` (high, middle, low), `click_id` (of a click on this platform;
    with its parameter's name in front unless that is the first of `click_parameters`).
    """

    id: str
    rows: int
    chunks: Callable[[], Iterator[pa.RecordBatch]]


class Connector(Protocol):
    """An account on a platform. Errors are those of `connectors.errors`; retries happen inside, in `client.py`."""

    @property
    def capabilities(self) -> Capabilities:
        """The platform's limits and powers, as they hold for this account."""
        ...

    @property
    def account_id(self) -> str:
        """The account's id, as the platform writes it."""
        ...

    def check(self) -> Sequence[Check]:
        """Credentials, permissions, terms; changes nothing."""
        ...

    def find_or_create(self, spec: AudienceSpec, remote_id: str = "") -> AudienceHandle:
        """The audience: by `remote_id` when given, else by exact name, else made. Never makes it twice."""
        ...

    def status(self, handle: AudienceHandle) -> AudienceStatus:
        """What the platform says of the audience now."""
        ...

    def send(self, handle: AudienceHandle, batch: Batch) -> Receipt:
        """The receipt of one batch. Raises NotReadyError, RemovalRefusedError, OutcomeUnknownError and the rest."""
        ...

    def settle(self, handle: AudienceHandle, reference: str, rows: int) -> Receipt:
        """The outcome of rows that were pending: again pending, or accepted and rejected."""
        ...

    def find_or_create_lookalike(self, seed: AudienceHandle, spec: LookalikeSpec) -> AudienceHandle:
        """The lookalike of a ready seed; NotReadyError while the seed is too small or being built."""
        ...

    def delete(self, handle: AudienceHandle) -> None:
        """Nothing: the audience is gone (also when it was before). SeedInUseError: lookalikes built on it must go first."""
        ...

    def campaign_days(self, since: date, until: date) -> Iterator[CampaignDay]:
        """Results of every campaign with spend or conversions, both days included, deleted campaigns too."""
        ...

    def close(self) -> None:
        """Nothing: connections are closed."""
        ...


class EventConnector(Protocol):
    """What a connector has besides where `Capabilities.predicted_values` says so: predicted values as events of their own."""

    signal: ValueSignal | None  # None: the account wants none

    def send_values(self, batch: ValueBatch) -> Receipt:
        """The receipt of one batch. Events known by their id are not counted twice by the platform."""
        ...

    def settle_values(self, reference: str, rows: int) -> Receipt:
        """The outcome of events that were pending."""
        ...


class ErasingConnector(Protocol):
    """What a connector has besides where `Capabilities.removes_everywhere` says so."""

    def remove_everywhere(self, batch: Batch) -> Receipt:
        """The receipt for people taken out of every list of the account, whoever made it. Raises what `send` raises."""
        ...


def utc_now() -> datetime:
    """The time, with its zone; the one default for every `now` argument."""
    return datetime.now(UTC)


class Platform(Protocol):
    """What an entry point names. `settings` is the pydantic model of the platform's block in platforms.yaml.

    `protocol`, where it is there, is the PROTOCOL that it was written for: another one is refused with a word on what to do.
    """

    name: str
    capabilities: Capabilities
    settings: type[Any]

    def connect(self, settings: Any, account: Any, *, now: Callable[[], datetime] = utc_now) -> Connector:
        """A connector for one account; opens no connection yet."""
        ...

    def sandbox(self) -> Any:
        """A strict local stand-in (`connectors.sandbox.Sandbox`), imported on call."""
        ...
