"""Config in the engine's own terms: audiences, accounts, identity rules, labels."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from connectors import registry
from connectors.settings import reveal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import pyarrow as pa

    from clv_core.attribution import AttributionRules
    from clv_core.labels import Kind, LabelRules
    from connectors.config import Settings
    from connectors.config import labels as written
    from connectors.config.audiences import AudienceSettings, GuardrailSettings, LookalikeSettings
    from connectors.engine.audience import Account, AudienceRequest, Guardrails
    from connectors.engine.identity import IdentityRules
    from connectors.engine.leftover import Lifecycle
    from connectors.protocol import LookalikeSpec


def requests(settings: Settings, only: Sequence[str] = ()) -> list[AudienceRequest]:
    """The enabled audiences (those named in `only`, if any)."""
    return [request(one, settings) for one in settings.audiences.audiences if one.enabled and (not only or one.name in only)]


def lifecycle(settings: Settings) -> Lifecycle:
    """What config says of all audiences, also of those that it no longer asks for."""
    from connectors.engine.leftover import Lifecycle

    return Lifecycle(
        asked=requests(settings),
        paused=frozenset(one.name for one in settings.audiences.audiences if not one.enabled),
        retired=frozenset(settings.audiences.retired),
        accounts=settings.beyond
        | frozenset((name, one.account_id) for name, block in settings.platforms.items() for one in block.accounts),
    )


def request(audience: AudienceSettings, settings: Settings) -> AudienceRequest:
    """One audience of audiences.yaml as the engine takes it."""
    from connectors.engine.audience import AudienceRequest, ValueBand

    common, own = settings.audiences.guardrails, audience.guardrails
    limits = common.model_copy(update={name: getattr(own, name) for name in own.model_fields_set}) if own else common
    return AudienceRequest(
        key=audience.name,
        title=audience.title,
        description=audience.description,
        tiers=tuple(audience.who.tiers),
        stages=tuple(audience.who.stages),
        where=audience.who.where,
        value_weighted=audience.value_weighted,
        tier_lists=tuple(audience.split_tiers),
        platforms=tuple(audience.platforms),
        lookalikes=tuple(spec for one in audience.lookalikes for spec in lookalikes(audience, one)),
        holdout=audience.holdout,
        exclusion=audience.use == "exclusion",
        guardrails=guardrails(limits, settings.sources.max_age_days),
        value_band=ValueBand(share=audience.value_band),
        membership_days=audience.membership_days,
    )


def lookalikes(audience: AudienceSettings, wanted: LookalikeSettings) -> list[LookalikeSpec]:
    """One lookalike per ratio (a band begins where the one before ended), or one of the size in words."""
    from connectors.protocol import LookalikeSpec

    where, ratios = "+".join(wanted.countries), sorted(wanted.ratios)
    starts = [None, *ratios] if wanted.bands else [None] * len(ratios)
    sizes: list[tuple[str, float | None, float | None]] = [
        (f"{start:.0%}-{ratio:.0%}" if start else f"{ratio:.0%}", start, ratio)
        for start, ratio in zip(starts, ratios, strict=False)
    ] or [(wanted.size, None, None)]
    return [
        LookalikeSpec(
            key=f"{audience.name}:{where}:{label}",
            name=f"{audience.title} lookalike {where} {label}",
            countries=tuple(wanted.countries),
            size=wanted.size,
            ratio=ratio,
            starting_ratio=start,
            value_based=audience.value_weighted,
            platforms=tuple(wanted.platforms),
        )
        for label, start, ratio in sizes
    ]


def guardrails(limits: GuardrailSettings, stale_after_days: int) -> Guardrails:
    """Limits as the engine takes them."""
    from connectors.engine.audience import Guardrails

    return Guardrails(
        largest_share_removed=limits.max_removed_share,
        ignore_removed_below=limits.ignore_removed_below,
        largest_share_added=limits.max_added_share,
        minimum_size=limits.min_size,
        minimum_share_identified=limits.min_usable_share,
        maximum_value=Decimal(str(limits.max_value)),
        largest_share_gone=limits.max_gone_share,
        stale_after_days=stale_after_days,
    )


def identity_rules(settings: Settings, year: int) -> IdentityRules:
    """The switches of normalisation."""
    from connectors.engine.identity import IdentityRules

    chosen = settings.identity
    return IdentityRules(
        default_country=chosen.default_country,
        phones_without_country=chosen.phones.without_country,
        phones_foreign=chosen.phones.foreign,
        phone_check=chosen.phones.check,
        name_inner_space=chosen.name_inner_space,
        name_titles=chosen.name_titles,
        postal_hyphen=chosen.postal_hyphen,
        gmail_plus=chosen.gmail_plus,
        idn_domains=chosen.idn_domains,
        region_without_country=chosen.region_without_country,
        shared_limit=chosen.max_people_per_identifier,
        latest_year=year,
    )


def accounts(settings: Settings, now: Callable[[], datetime], only: Sequence[str] = ()) -> list[Account]:
    """Every account of every platform (of those named in `only`, if any), its connector made but not yet connected."""
    from connectors.engine.audience import Account

    rules = identity_rules(settings, now().year)
    found = []
    for name, block in settings.platforms.items():
        if only and name not in only:
            continue
        platform = registry.platform(name)
        for account in block.accounts:
            try:
                connector = registry.connect(name, block, account, now=now)
            except registry.PackageError as error:
                settings.broken[name] = error  # as those that could not even be loaded
                break
            fields = platform.capabilities.recipe.fields
            opt_in = frozenset(one.name for one in fields if one.opt_in and getattr(block, one.source, False))
            found.append(Account(connector, replace(rules, opt_in=opt_in), account.name or account.account_id))
    return found


def labels(settings: Settings) -> LabelRules:
    """The rules of labels.yaml."""
    from clv_core.labels import LabelRule, LabelRules

    kinds: dict[Kind, list[written.LabelRule]] = {"creative": settings.labels.creative, "objective": settings.labels.objective}
    return LabelRules(
        tuple(
            LabelRule(rule.label, kind, tuple(rule.names), tuple(rule.campaign_ids))
            for kind, rules in kinds.items()
            for rule in rules
        )
    )


def attribution(settings: Settings, clicks: pa.Table | None, claims: pa.Table | None) -> AttributionRules:
    """Which evidence of a customer's source is believed, and how sources are spelled; case never matters."""
    from clv_core.attribution import ALIASES, ORGANIC, AttributionRules

    chosen = settings.labels.attribution
    aliases = {word.strip().lower(): platform.strip().lower() for word, platform in chosen.aliases.items()}
    organic = ORGANIC | {word.strip().lower() for word in chosen.organic}
    return AttributionRules(tuple(chosen.precedence), {**ALIASES, **aliases}, organic, clicks, claims)


def encryption_key(settings: Settings, field: str = "encryption_key") -> bytes | None:
    """32 bytes made from the configured key (or the one of another field, such as `old_encryption_key`), or None."""
    import hashlib

    secret = getattr(settings.sources, field)
    return hashlib.sha256(reveal(secret, field=field).encode()).digest() if secret else None
