"""What is wanted: audiences as marketing ops describe them, and the accounts that shall hold them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from connectors.protocol import AudienceSpec, Operation

if TYPE_CHECKING:
    from connectors.engine.identity import IdentityRules
    from connectors.protocol import Capabilities, Connector, LookalikeSpec

TIERS = ("high", "middle", "low")
_TIER_NUMBER = {tier: str(number) for number, tier in enumerate(TIERS, 1)}


@dataclass(frozen=True, slots=True)
class Guardrails:
    """Limits of one audience; None switches a limit off. Shares are of the members last accepted (0.25 = a quarter).

    `ignore_below`: fewer added rows than this never trip a share, so that small audiences can breathe. The same for removals is
    `ignore_removed_below`, as long as they are at most `ignored_share` of the members: half of a small audience is no trifle.
    `largest_share_gone`: of the people who said no, and of an identifier's values, at the last push (see `seen`).
    An audience that has members is never emptied unless forced, or where those who leave said so themselves (`may_empty`).
    """

    largest_share_removed: float | None = 0.25
    largest_share_added: float | None = 2.0
    minimum_size: int = 1
    minimum_share_identified: float | None = 0.1
    maximum_value: Decimal | None = None
    stale_after_days: int | None = None
    ignore_below: int = 100
    ignore_removed_below: int = 10
    ignored_share: float = 0.25
    largest_share_gone: float | None = 0.5
    may_empty: bool = False


@dataclass(frozen=True, slots=True)
class ValueBand:
    """How far a value may drift before it is sent again: by more than `share` of the value sent and more than `amount`."""

    share: float = 0.05
    amount: Decimal = Decimal("1.00")
    replace_every_days: float = 7.0  # where a changed value travels by REPLACE


@dataclass(frozen=True, slots=True)
class AudienceRequest:
    """One audience of audiences.yaml. Who: `tiers` and `stages` (empty: all) and `where`, SQL over scores and contacts.

    `tier_lists`: one audience per tier named here. A value-weighted request is split only where no value can travel (into
    these tiers, or all of them); any other request with tier lists is split everywhere.
    """

    key: str
    title: str
    description: str = ""
    tiers: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    where: str = ""
    value_weighted: bool = False
    tier_lists: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()  # empty: all
    lookalikes: tuple[LookalikeSpec, ...] = ()
    holdout: float = 0.0  # share of people kept out of uploads, 0 to 1
    exclusion: bool = False
    guardrails: Guardrails = field(default_factory=Guardrails)
    value_update: str = ""  # "add", "replace" or "" (as the platform's capabilities say)
    value_band: ValueBand = field(default_factory=ValueBand)
    membership_days: int | None = None

    def wants(self, platform: str) -> bool:
        """Whether the audience shall be on this platform."""
        return not self.platforms or platform in self.platforms


@dataclass(frozen=True, slots=True)
class Account:
    """One ad account to push to: its connector and its identity rules."""

    connector: Connector
    rules: IdentityRules
    name: str = ""

    @property
    def capabilities(self) -> Capabilities:
        """The platform's limits and powers."""
        return self.connector.capabilities

    @property
    def place(self) -> tuple[str, str]:
        """Platform and account id."""
        return self.capabilities.platform, self.connector.account_id

    @property
    def mark(self) -> str:
        """What the identifiers made for this account depend on: its recipe and rules."""
        return repr((self.capabilities.recipe, self.rules))


@dataclass(frozen=True, slots=True)
class Place:
    """Where one audience lives: platform, account and the ledger's key of the audience."""

    platform: str
    account: str
    audience: str

    def __str__(self) -> str:
        return f"{self.platform}/{self.account}/{self.audience}"


STREAM_ROWS = 50_000


def limits_for(spec: AudienceSpec, capabilities: Capabilities) -> Capabilities:
    """The platform's limits for this audience: a streamed exclusion is edited at any time, row by row, and never replaced."""
    if not (spec.exclusion and capabilities.exclusion_path):
        return capabilities
    return replace(
        capabilities,
        operations=capabilities.operations - {Operation.REPLACE},
        batch_rows=min(capabilities.batch_rows, STREAM_ROWS),
        edit_interval_hours=0,
        replace_interval_hours=0,
        removal_floor=0,
        settles=False,
        mixed_operations=True,
    )


def _membership(request: AudienceRequest, capabilities: Capabilities) -> int | None:
    if request.membership_days and capabilities.longest_membership:
        return min(request.membership_days, capabilities.longest_membership)
    return capabilities.membership_days


def splits(request: AudienceRequest, capabilities: Capabilities) -> bool:
    """Whether the request becomes one audience per tier: because no value can travel, or as asked."""
    return not capabilities.value_weighted if request.value_weighted else bool(request.tier_lists)


def specs(request: AudienceRequest, capabilities: Capabilities, currency: str) -> list[AudienceSpec]:
    """The audiences that a request becomes on a platform: one, or one per tier (numbered, so that names stay neutral)."""
    whole = AudienceSpec(
        key=request.key,
        name=request.title,
        description=request.description,
        value_weighted=request.value_weighted and capabilities.value_weighted,
        currency=currency if request.value_weighted else "",
        exclusion=request.exclusion,
        membership_days=_membership(request, capabilities),
    )
    if not splits(request, capabilities):
        return [whole]
    return [
        replace(whole, key=f"{request.key}:{tier}", name=f"{request.title} {_TIER_NUMBER.get(tier, tier)}", tier=tier)
        for tier in (request.tier_lists or request.tiers or TIERS)
    ]
