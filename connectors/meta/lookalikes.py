"""Lookalikes of a seed: found instead of made twice, value-based through `custom_ratio` (fact sheet 3)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from connectors.errors import ConfigurationError, FatalError, NotReadyError
from connectors.meta.audiences import STATUS, read_status, refuse_flagged
from connectors.meta.refusals import PLATFORM
from connectors.protocol import AudienceHandle, AudienceSpec, AudienceState

if TYPE_CHECKING:
    from connectors.meta.audiences import Audiences
    from connectors.meta.client import GraphClient
    from connectors.meta.settings import MetaAccount
    from connectors.protocol import LookalikeSpec

RATIOS: Final = {"narrow": Decimal("0.01"), "balanced": Decimal("0.05"), "broad": Decimal("0.10")}
SEED_MINIMUM: Final = 100
STALE: Final = 415  # the last replace failed: the next one decides who the seed is
LISTED: Final = "id,name,subtype,lookalike_spec"


class Lookalikes:
    """The lookalikes of one ad account. Meta refreshes them with their seed every three days while they are in use."""

    def __init__(self, client: GraphClient, account: MetaAccount, audiences: Audiences) -> None:
        self._client, self._account, self._audiences = client, account, audiences

    def find_or_create(self, seed: AudienceHandle, spec: LookalikeSpec) -> AudienceHandle:
        """The lookalike; NotReadyError while the seed is small or busy, FatalError when the seed is blocked."""
        wanted = lookalike_spec(spec, allow_international_seeds=self._account.allow_international_seeds)
        found, named = self._find(seed, spec, wanted)
        if found is None:
            refuse_flagged(spec.name)
            self._seed_is_ready(seed)
            found = self._create(seed, replace(spec, name=f"{spec.name} ({seed.remote_id})") if named else spec, wanted)
        return AudienceHandle(PLATFORM, self._account.account_id, AudienceSpec(key=spec.key, name=spec.name), found)

    def _create(self, seed: AudienceHandle, spec: LookalikeSpec, wanted: dict[str, Any]) -> str:
        fields = {"name": spec.name, "subtype": "LOOKALIKE", "origin_audience_id": seed.remote_id, "lookalike_spec": wanted}
        edge = (f"act_{self._account.account_id}", "customaudiences")
        try:
            return self._client.make(*edge, find=lambda: self._find(seed, spec, wanted)[0], **fields)
        except FatalError as error:
            found = self._find(seed, spec, wanted)[0] if error.code.startswith("2654") else None
            if found is None:  # 2654 is "duplicate lookalike", among others
                raise
            return found

    def _find(self, seed: AudienceHandle, spec: LookalikeSpec, wanted: dict[str, Any]) -> tuple[str | None, bool]:
        """The id of the seed's lookalike with these countries and this band, whatever its name; and whether one of another
        seed (which may be gone) has the name already."""
        named = False
        for one in self._audiences.listed(LISTED):
            held = one.get("lookalike_spec")
            if not isinstance(held, dict) or one.get("subtype") != "LOOKALIKE":
                continue
            origins, same_name = {str(origin.get("id")) for origin in held.get("origin") or []}, one.get("name") == spec.name
            ours = seed.remote_id in origins or (not origins and same_name)
            if ours and _band(held) == _band(wanted) and _countries(held) == _countries(wanted):
                return str(one["id"]), False
            if same_name and ours:
                raise ConfigurationError(
                    f"a lookalike named {spec.name!r} exists with other countries or another ratio",
                    remedy="give this one another name, or delete the old one in Ads Manager",
                    platform=PLATFORM,
                )
            named = named or same_name
        return None, named

    def _seed_is_ready(self, seed: AudienceHandle) -> None:
        answer = self._client.get(seed.remote_id, fields=STATUS)
        status = read_status(answer)
        code = int((answer.get("operation_status") or {}).get("code") or 0)
        if status.state is AudienceState.BLOCKED:
            raise FatalError(
                f"the seed {seed.spec.name!r} is blocked: {status.detail}", remedy="see Ads Manager", platform=PLATFORM
            )
        # warnings such as a low match rate (411) last, and the seed delivers all the same: no lookalike waits for their end
        if status.state is not AudienceState.READY or code == STALE or (status.lower or 0) < SEED_MINIMUM:
            size = "unknown" if status.lower is None else f"at least {status.lower}"
            raise NotReadyError(
                f"the seed {seed.spec.name!r} is not ready: {status.detail}, size {size}, needed {SEED_MINIMUM}",
                platform=PLATFORM,
            )


def lookalike_spec(spec: LookalikeSpec, *, allow_international_seeds: bool = False) -> dict[str, Any]:
    """The request's `lookalike_spec`; raises ConfigurationError for a ratio off Meta's grid of 0.01 to 0.20."""
    ratio = Decimal(str(spec.ratio)) if spec.ratio is not None else RATIOS.get(spec.size, Decimal(0))
    start = Decimal(str(spec.starting_ratio)) if spec.starting_ratio is not None else None
    for one in (ratio, *([start] if start else [])):
        if not Decimal("0.01") <= one <= Decimal("0.20") or one % Decimal("0.01"):
            raise ConfigurationError(
                f"lookalike {spec.name!r}: ratio {one}", remedy="use 0.01 to 0.20 in steps of 0.01", platform=PLATFORM
            )
    if start and start >= ratio:
        raise ConfigurationError(f"lookalike {spec.name!r}: starting_ratio {start} is not below {ratio}", platform=PLATFORM)
    if not spec.countries:
        raise ConfigurationError(
            f"lookalike {spec.name!r} names no country", remedy="give ISO codes such as US", platform=PLATFORM
        )
    wanted: dict[str, Any] = {"type": "custom_ratio"} if spec.value_based else {}
    wanted["ratio"] = float(ratio)
    if start:
        wanted["starting_ratio"] = float(start)
    countries = sorted({country.upper() for country in spec.countries})
    if len(countries) == 1:
        wanted["country"] = countries[0]
    else:
        wanted["location_spec"] = {"geo_locations": {"countries": countries}}
    if allow_international_seeds:
        wanted["allow_international_seeds"] = True
    return wanted


def _band(spec: dict[str, Any]) -> tuple[Decimal, Decimal]:
    return _ratio(spec.get("starting_ratio")), _ratio(spec.get("ratio"))


def _ratio(value: Any) -> Decimal:
    return Decimal(str(value or 0)).quantize(Decimal("0.01"))


def _countries(spec: dict[str, Any]) -> set[str]:
    if spec.get("country"):
        return {str(spec["country"]).upper()}
    places = (spec.get("location_spec") or {}).get("geo_locations") or {}
    return {str(country).upper() for country in places.get("countries") or spec.get("target_countries") or []}
