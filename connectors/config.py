"""The config folder -> checked settings: what marketing ops edit, one class per file."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, model_validator

from connectors.document import Document
from connectors.errors import ConfigurationError, ConfigurationErrors
from connectors.settings import Model, PlatformSettings, Secret

if TYPE_CHECKING:
    from collections.abc import Callable

Share = Annotated[float, Field(ge=0, le=1)]
Tier = Literal["high", "middle", "low"]
Basis = Literal["ids", "click_id", "order_id", "utm"]
Stage = Literal["new", "active", "at_risk", "lapsed", "prospect"]


def _currency(text: str) -> str:
    if len(text) != 3 or not text.isascii() or not text.isalpha():
        raise ValueError("a currency is its three-letter code, such as USD or EUR")
    return text.upper()


def _timezone(text: str) -> str:
    if text not in available_timezones():
        raise ValueError(f"no such time zone: {text!r} (use a name such as Europe/Berlin or UTC)")
    return text


Currency = Annotated[str, AfterValidator(_currency)]
TimeZone = Annotated[str, AfterValidator(_timezone)]


class TableSource(Model):
    """Where a table comes from: a file (CSV, JSON lines, Parquet; globs allowed) or a query on a database."""

    path: str | None = None
    sql: str | None = None
    database: str | None = None
    columns: dict[str, str] = {}

    @model_validator(mode="after")
    def _one_place(self) -> TableSource:
        if (self.path is None) == (self.sql is None):
            raise ValueError("give either path (a file) or sql with database (a query)")
        if (self.sql is None) != (self.database is None):
            raise ValueError("sql needs database (a DuckDB or SQLite file, or a reference to a URL such as env:WAREHOUSE_URL)")
        return self


class Retention(Model):
    """For how many days the state folder keeps what has people in it; what was erased leaves a keyed tombstone for good.

    `runs_days`: scores, records and tables of past runs. `lost_accounts_days`: what was sent to accounts that platforms.yaml no
    longer has; an account that comes back later has its audiences deleted and made anew.
    """

    runs_days: Annotated[int, Field(ge=1)] = 400
    lost_accounts_days: Annotated[int, Field(ge=1)] = 90


class Sources(Model):
    """sources.yaml: the tables, the business's currency and time zone, and where state is kept."""

    orders: TableSource
    contacts: TableSource | None = None
    engagement: TableSource | None = None
    suppression: TableSource | None = None
    rates: TableSource | None = None
    platform_orders: PlatformOrders | None = None
    currency: Currency
    timezone: TimeZone = "UTC"
    as_of: Literal["last_order", "yesterday"] | date = "yesterday"
    max_age_days: Annotated[int, Field(ge=1)] = 7
    state: str = "state"
    encryption_key: Secret | None = None
    old_encryption_key: Secret | None = None
    retention: Retention = Retention()
    write_back: WriteBack | None = None
    notify: Notify | None = None


class PlatformOrders(TableSource):
    """Orders that the platforms report as theirs: order_id, platform and campaign_id (account_id, adset_id, ad_id).

    `order_column`: the column of the orders that holds that order id, when it isn't their own order_id.
    """

    order_column: str = ""


class WriteBack(Model):
    """Where scores, tiers and audience membership go for CRM and support tools: a file or a table of a database."""

    path: str | None = None
    database: str | None = None
    table: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)?$", max_length=120)] = "clv_scores"

    @model_validator(mode="after")
    def _one_place(self) -> WriteBack:
        if (self.path is None) == (self.database is None):
            raise ValueError("give either path (a .parquet or .csv file) or database with table")
        if self.path is not None and Path(self.path).suffix not in (".parquet", ".csv"):
            raise ValueError("end path with .parquet or .csv")
        return self


class Notify(Model):
    """Whom to tell when a run failed or was stopped: a webhook's address (a secret reference), Slack's format."""

    webhook: Secret | None = None
    always: bool = False


class Stages(Model):
    """When a customer counts as new, at risk or lapsed: days since the only order, p_alive below a bound, or silence of so many
    times the usual gap between orders (three in four gaps are shorter)."""

    new_days: Annotated[float, Field(ge=0)] = 30.0
    at_risk_alive: Annotated[float, Field(ge=0, le=1)] = 0.5
    lapsed_alive: Annotated[float, Field(ge=0, le=1)] = 0.2
    at_risk_gaps: Annotated[float, Field(gt=0)] = 2.0
    lapsed_gaps: Annotated[float, Field(gt=0)] = 4.0

    @model_validator(mode="after")
    def _order(self) -> Stages:
        if self.lapsed_alive > self.at_risk_alive or self.lapsed_gaps < self.at_risk_gaps:
            raise ValueError(
                "lapsed comes after at risk: lapsed_alive at most at_risk_alive, lapsed_gaps at least at_risk_gaps"
            )
        return self


class Tiers(Model):
    """How scores become tiers. `method`: quantile (shares of customers), value_share, or threshold (money)."""

    method: Literal["quantile", "value_share", "threshold"] = "quantile"
    high: Annotated[float, Field(ge=0)] = 0.2
    middle: Annotated[float, Field(ge=0)] = 0.5
    hysteresis: Annotated[float, Field(ge=0, lt=0.5)] = 0.02

    @model_validator(mode="after")
    def _shares(self) -> Tiers:
        if self.method == "quantile" and self.high + self.middle > 1:
            raise ValueError("high and middle are shares of all customers: together at most 1")
        if self.method == "threshold" and self.middle > self.high:
            raise ValueError("the middle tier's threshold must not lie above the high tier's")
        return self


class Gate(Model):
    """What the model must show in a backtest before anything is pushed."""

    enabled: bool = True
    lowest_ratio: Annotated[float, Field(gt=0)] = 0.7
    highest_ratio: Annotated[float, Field(gt=0)] = 1.4
    must_match_past_spend: bool = True


class ModelSettings(Model):
    """model.yaml: horizon, discount, what counts as value, candidates, tiers, stages, gate."""

    horizon_days: Annotated[int, Field(ge=7, le=3650)] = 365
    annual_discount: Annotated[float, Field(ge=0, le=1)] = 0.10
    value: Literal["revenue", "margin"] = "revenue"
    candidates: list[str] = []
    tiers: Tiers = Tiers()
    stages: Stages = Stages()
    gate: Gate = Gate()


class Who(Model):
    """Who belongs: tiers, lifecycle stages and an SQL condition over scores and contacts, all of them together."""

    tiers: list[Tier] = []
    stages: list[Stage] = []
    where: str = ""


class LookalikeSettings(Model):
    """A lookalike of the seed: countries, and a size in words (or Meta's ratios, each a lookalike of its own).

    `bands`: each ratio begins where the one before ended (1%, 1-3%, 3-5%) instead of holding it. `platforms`: only on these.
    """

    countries: Annotated[list[str], Field(min_length=1)]
    size: Literal["narrow", "balanced", "broad"] = "narrow"
    ratios: list[Annotated[float, Field(ge=0.01, le=0.2)]] = []
    bands: bool = False
    platforms: list[str] = []


class GuardrailSettings(Model):
    """What stops an audience before anything is sent."""

    max_removed_share: Share = 0.3
    max_added_share: Annotated[float, Field(gt=0)] = 3.0
    min_size: Annotated[int, Field(ge=0)] = 100
    min_usable_share: Share = 0.3
    max_value: Annotated[float, Field(gt=0)] = 1_000_000.0
    max_gone_share: Share = 0.5
    """Of the people who said no, and of an identifier's values: fewer than before by more than this looks like a column that is
    missing from the export."""


class AudienceSettings(Model):
    """One audience."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
    title: Annotated[str, Field(min_length=1, max_length=100)]
    description: str = ""
    who: Who = Who()
    use: Literal["seed", "exclusion"] = "seed"
    value_weighted: bool = False
    split_tiers: list[Tier] = []
    platforms: Annotated[list[str], Field(min_length=1)]
    lookalikes: list[LookalikeSettings] = []
    holdout: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    guardrails: GuardrailSettings | None = None
    value_band: Annotated[float, Field(ge=0, le=1)] = 0.1
    membership_days: Annotated[int, Field(ge=1, le=540)] | None = None
    """Days after which the platform forgets a member who is not sent again (Meta: at most 180; Google: 540)."""
    enabled: bool = True


class Audiences(Model):
    """audiences.yaml: defaults, the list of audiences, and the names (or `name:tier`) of earlier ones to be deleted.

    What leaves the list stays at the platform, with nobody added and those removed who may not be sent, until it is retired.
    """

    guardrails: GuardrailSettings = GuardrailSettings()
    audiences: Annotated[list[AudienceSettings], Field(min_length=1)]
    retired: list[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(:(high|middle|low))?$")]] = []


class Labels(Model):
    """labels.yaml: rules that give a campaign its creative style and objective, and the precedence of sources."""

    creative: list[LabelRule] = []
    objective: list[LabelRule] = []
    attribution: Attribution = Field(default_factory=lambda: Attribution())
    minimum_customers: Annotated[int, Field(ge=1)] = 30


class Attribution(Model):
    """Which evidence of a customer's source is believed first; what none of it tells stays "unknown", and is shown.

    What is left out of `precedence` is not believed at all. `aliases`: further words for a platform, as your links write
    them (`utm_source` or `source_platform`), such as `insta_paid: meta`; `organic`: further words for what no ad brought.
    """

    precedence: Annotated[list[Basis], Field(min_length=1)] = ["ids", "click_id", "order_id", "utm"]
    aliases: dict[str, str] = {}
    organic: list[str] = []

    @model_validator(mode="after")
    def _once(self) -> Attribution:
        if len(set(self.precedence)) < len(self.precedence):
            raise ValueError("precedence: name each basis once")
        return self


class LabelRule(Model):
    """A label for campaigns whose name contains one of `names` (case ignored) or whose id is one of `campaign_ids`."""

    label: str
    names: list[str] = []
    campaign_ids: list[str] = []


class Consent(Model):
    """Who may be sent. Regions beyond the built-in list may be added; the built-in ones can't be taken out."""

    also_needed_in: list[str] = []


class Phones(Model):
    """How phone numbers are judged."""

    without_country: Literal["international", "drop"] = "international"
    foreign: Literal["international", "drop"] = "drop"
    check: Literal["possible", "valid"] = "possible"


class Identity(Model):
    """Switches of normalisation; each default is the reading that loses least when it is wrong."""

    default_country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    phones: Phones = Phones()
    name_inner_space: Literal["remove", "keep"] = "remove"
    name_titles: Literal["drop", "keep"] = "drop"
    postal_hyphen: Literal["cut", "remove"] = "cut"
    gmail_plus: Literal["strip", "keep"] = "strip"
    idn_domains: Literal["as_given", "ascii", "unicode"] = "as_given"
    region_without_country: Literal["us", "as_given"] = "us"
    max_people_per_identifier: Annotated[int, Field(ge=0)] = 10
    same_person_by_email: bool = False
    same_person_by_phone: bool = False


class _Platforms(Model):
    consent: Consent = Consent()
    identity: Identity = Identity()


@dataclass(frozen=True)
class Settings:
    """Everything in a config folder, checked."""

    folder: Path
    sources: Sources
    model: ModelSettings
    audiences: Audiences
    labels: Labels
    consent: Consent
    identity: Identity
    platforms: dict[str, PlatformSettings] = field(default_factory=dict)

    def path(self, text: str) -> Path:
        """A path written in config: absolute, or relative to the config folder."""
        return (self.folder / Path(text).expanduser()).resolve()

    @property
    def notify(self) -> Notify:
        """Whom to tell; nobody unless configured."""
        return self.sources.notify or Notify()

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.path(self.sources.state)


FILES: dict[str, type[Model]] = {"sources": Sources, "model": ModelSettings, "audiences": Audiences, "labels": Labels}


def load(folder: Path) -> Settings:
    """The settings of a config folder; raises ConfigurationErrors with every mistake of every file."""
    if not folder.is_dir():
        raise ConfigurationError(f"there is no config folder {folder}", remedy="make one with: clvsync init DIR")
    mistakes: list[ConfigurationError] = []
    parts: dict[str, Any] = {}
    for name, model in FILES.items():
        optional = name in ("labels", "model") and not (folder / f"{name}.yaml").exists()
        read: Callable[[], Any] = (
            model if optional else (lambda name=name, model=model: Document(folder / f"{name}.yaml").check(model))  # type: ignore[misc]
        )
        parts[name] = _collect(read, mistakes)
    document = _collect(lambda: Document(folder / "platforms.yaml"), mistakes)
    shared, platforms = _platforms(document, mistakes) if document else (_Platforms(), {})
    if parts["audiences"] is not None and document:
        named = [key for key in document.data if key not in _Platforms.model_fields]
        mistakes += _wrong_platforms(Document(folder / "audiences.yaml"), parts["audiences"], named)
    if mistakes:
        raise mistakes[0] if len(mistakes) == 1 else ConfigurationErrors(mistakes)
    placed = {name: block.within(folder) for name, block in platforms.items()}
    return Settings(folder, **parts, consent=shared.consent, identity=shared.identity, platforms=placed)


def _collect(read: Callable[[], Any], mistakes: list[ConfigurationError]) -> Any:
    try:
        return read()
    except ConfigurationErrors as several:
        mistakes += several.errors
    except ConfigurationError as one:
        mistakes.append(one)
    return None


def _platforms(document: Document, mistakes: list[ConfigurationError]) -> tuple[_Platforms, dict[str, PlatformSettings]]:
    from connectors import registry

    shared = {key: value for key, value in document.data.items() if key in _Platforms.model_fields}
    blocks = {key: value for key, value in document.data.items() if key not in _Platforms.model_fields}
    found: dict[str, PlatformSettings] = {}
    for name, block in blocks.items():
        if name not in registry.names():
            mistakes.append(
                document.mistake((name,), f"unknown platform {name!r}", f"installed: {', '.join(registry.names())}")
            )
            continue
        model = registry.platform(name).settings
        checked = _collect(lambda model=model, name=name, block=block: document.check(model, block or {}, (name,)), mistakes)  # type: ignore[misc]
        if checked is not None:
            found[name] = checked
    return _collect(lambda: document.check(_Platforms, shared), mistakes) or _Platforms(), found


def _wrong_platforms(document: Document, audiences: Audiences, platforms: list[str]) -> list[ConfigurationError]:
    wrong = []
    for row, audience in enumerate(audiences.audiences):
        for column, name in enumerate(audience.platforms):
            if name not in platforms:
                remedy = f"platforms.yaml has: {', '.join(platforms)}"
                steps = ("audiences", row, "platforms", column)
                wrong.append(document.mistake(steps, f"platform {name!r} is not set up", remedy))
        twins = [other.name for other in audiences.audiences[:row] if other.name == audience.name]
        if twins:
            wrong.append(document.mistake(("audiences", row, "name"), f"the name {audience.name!r} is taken twice"))
        if any(other.title == audience.title and other.name != audience.name for other in audiences.audiences[:row]):
            remedy = "platforms find audiences by it: give each its own"
            wrong.append(document.mistake(("audiences", row, "title"), f"the title {audience.title!r} is taken twice", remedy))
    return wrong


def shared_platform_schema() -> dict[str, Any]:
    """The JSON schema of what platforms.yaml holds beside the platforms' own blocks."""
    return _Platforms.model_json_schema()


Sources.model_rebuild()
Labels.model_rebuild()
