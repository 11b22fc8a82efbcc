"""Lookalikes: found instead of made twice, immutable, refreshed on request, made only of a seed that TikTok calls usable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.errors import NotReadyError
from connectors.protocol import AudienceState
from connectors.tiktok.locations import location_ids

if TYPE_CHECKING:
    from connectors.protocol import AudienceHandle, LookalikeSpec
    from connectors.tiktok.audiences import Audience, Directory
    from connectors.tiktok.settings import LookalikeOptions

SMALLEST_SEED = 1000  # the specification says 100, but an audience under 1,000 is never usable
SIZES = {"narrow": "NARROW", "balanced": "BALANCED", "broad": "BROAD"}


class Lookalikes:
    """The lookalikes of one advertiser's seeds."""

    def __init__(self, directory: Directory, options: LookalikeOptions) -> None:
        self.directory, self.options = directory, options

    def find_or_create(self, seed: AudienceHandle, spec: LookalikeSpec) -> str:
        """The id of the lookalike; NotReadyError while its seed is being built or too small."""
        wanted = self._spec(seed.remote_id, spec)
        found = self._find(spec.name, wanted)
        if found:
            return found
        self._require_ready(seed)
        body = {
            "advertiser_id": self.directory.advertiser_id,
            "custom_audience_name": spec.name,
            "lookalike_spec": wanted,
        }
        path = "/dmp/custom_audience/lookalike/create/"
        return self.directory.make(
            lambda: str(self.directory.client.post_once(path, body).data["custom_audience_id"]),
            lambda: self._find(spec.name, wanted),
        )

    def _spec(self, seed_id: str, spec: LookalikeSpec) -> dict[str, Any]:
        return {
            "source_audience_id": seed_id,
            "include_source": self.options.include_source,
            "mobile_os": self.options.mobile_os,
            "placements": list(self.options.placements),
            "location_ids": location_ids(spec.countries, self.options.location_ids),
            "audience_size": SIZES.get(spec.size.lower(), "NARROW"),
        }

    def refresh(self, lookalike_id: str) -> None:
        """Nothing: TikTok builds the lookalike anew; it does so by itself only while an active ad group uses it."""
        body = {"advertiser_id": self.directory.advertiser_id, "custom_audience_ids": [lookalike_id]}
        self.directory.client.post("/dmp/custom_audience/lookalike/update/", body)

    def _find(self, name: str, wanted: dict[str, Any]) -> str:
        """The id of one of exactly this specification, whatever its name; by its name where TikTok tells no specification."""
        for one in self.directory.live("lookalike"):
            if (one.lookalike.get("source_audience_id") or one.name == name) and _same(one, wanted):
                return one.id
        return ""

    def _require_ready(self, seed: AudienceHandle) -> None:
        audience = self.directory.details(seed.remote_id) if seed.remote_id else None
        status = audience.status(self.directory.now()) if audience else None
        if status is None or status.state is not AudienceState.READY or (status.lower or 0) < SMALLEST_SEED:
            state = status.state.value if status else "not made yet"
            raise NotReadyError(f"the seed {seed.spec.name!r} is {state.replace('_', ' ')}", platform="tiktok")


def _same(found: Audience, wanted: dict[str, Any]) -> bool:
    """Whether what TikTok tells of a lookalike's specification agrees: it is immutable, so another one is another one."""
    told = found.lookalike
    return all(_plain(told[key]) == _plain(wanted[key]) for key in wanted if key in told)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return sorted(str(one).lower() for one in value)
    return {"0": "false", "1": "true"}.get(str(value), str(value).lower())
