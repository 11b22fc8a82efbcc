"""Demand Gen lookalikes: made through Google Ads, immutable, one per seed, size and set of countries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.errors import ConfigurationError, FatalError, NotReadyError
from connectors.google.audiences import SEED_MINIMUM, describe
from connectors.google.faults import ExistsError, GoneError
from connectors.protocol import AudienceHandle, AudienceSpec, AudienceState, AudienceStatus

if TYPE_CHECKING:
    from connectors.google.client import GoogleClient
    from connectors.protocol import LookalikeSpec

PATH = "lookalike"  # how a handle of a lookalike is told from one of an uploaded list
LEVELS = {"narrow": 2, "balanced": 3, "broad": 4}
FIELDS = (
    "user_list.id, user_list.name, user_list.membership_status, user_list.size_for_display, user_list.size_for_search, "
    "user_list.lookalike_user_list.seed_user_list_ids, user_list.lookalike_user_list.expansion_level, "
    "user_list.lookalike_user_list.country_codes"
)


class Lookalikes:
    """The account's lookalikes."""

    def __init__(self, client: GoogleClient) -> None:
        self._client = client

    def find_or_create(self, seed: AudienceHandle, matched: int, spec: LookalikeSpec) -> AudienceHandle:
        """The lookalike with this very seed, size and countries: found, else made. `matched` is the seed's size."""
        if spec.size not in LEVELS or not spec.countries:
            raise ConfigurationError(
                f"lookalike {spec.name!r}: Google takes the sizes {', '.join(LEVELS)} and at least one country",
                platform="google",
            )
        if found := self._same(seed.remote_id, spec):
            return self._handle(spec, found)
        if matched < SEED_MINIMUM and self._size(seed.remote_id) < SEED_MINIMUM:
            raise NotReadyError(
                f"the seed {seed.spec.name!r} has fewer than {SEED_MINIMUM} matched people so far", platform="google"
            )
        try:
            return self._create(seed.remote_id, spec, spec.name)
        except ExistsError as exists:
            if exists.code == "DUPLICATE_LOOKALIKE":
                return self._duplicate(seed.remote_id, spec)
        # The name belongs to a lookalike with another seed, size or countries; that one can't be changed.
        countries = "+".join(sorted(spec.countries))
        return self._create(seed.remote_id, spec, f"{spec.name} ({spec.size} {countries} of {seed.remote_id})")

    def _duplicate(self, seed_id: str, spec: LookalikeSpec) -> AudienceHandle:
        if found := self._same(seed_id, spec):
            return self._handle(spec, found)
        raise FatalError(
            f"Google has the lookalike {spec.name!r} already but does not show it to this account",
            remedy="look for it in the manager account",
            platform="google",
            code="DUPLICATE_LOOKALIKE",
        )

    def _handle(self, spec: LookalikeSpec, list_id: str) -> AudienceHandle:
        audience = AudienceSpec(spec.key, spec.name)
        return AudienceHandle("google", self._client.account.account_id, audience, list_id, PATH)

    def _same(self, seed_id: str, spec: LookalikeSpec) -> str:
        """The id of the lookalike of the same configuration, or ""."""
        wanted = ([int(seed_id)], LEVELS[spec.size], {code.upper() for code in spec.countries})
        for row in self._client.query(f"SELECT {FIELDS} FROM user_list WHERE user_list.type = 'LOOKALIKE'"):
            info = row.user_list.lookalike_user_list
            held = (list(info.seed_user_list_ids), info.expansion_level, set(info.country_codes))
            if held == wanted:
                return str(row.user_list.id)
        return ""

    def _create(self, seed_id: str, spec: LookalikeSpec, name: str) -> AudienceHandle:
        body = {
            "name": name,
            "description": f"Lookalike ({spec.size}) of list {seed_id}, kept by clv-audience-sync",
            "lookalike_user_list": {
                "seed_user_list_ids": [int(seed_id)],
                "expansion_level": LEVELS[spec.size],
                "country_codes": [code.upper() for code in spec.countries],
            },
        }
        made = self._client.mutate("UserListService", "mutate_user_lists", [{"create": body}])
        return self._handle(spec, made[0].rpartition("/")[2])

    def _row(self, list_id: str) -> Any:
        rows = self._client.query(f"SELECT {FIELDS} FROM user_list WHERE user_list.id = {int(list_id)}")
        return rows[0].user_list if rows else None

    def _size(self, list_id: str) -> int:
        found = self._row(list_id)
        return max(int(found.size_for_display), int(found.size_for_search)) if found is not None else 0

    def status(self, handle: AudienceHandle) -> AudienceStatus:
        """The lookalike's estimated sizes; Google refreshes it every one or two days."""
        found = self._row(handle.remote_id)
        if found is None:
            return AudienceStatus(AudienceState.MISSING, detail="the lookalike is gone")
        return describe([int(size) for size in (found.size_for_display, found.size_for_search) if size])

    def delete(self, handle: AudienceHandle) -> None:
        """Nothing: the lookalike is gone."""
        name = f"customers/{self._client.account.account_id}/userLists/{handle.remote_id}"
        try:
            self._client.mutate("UserListService", "mutate_user_lists", [{"remove": name}])
        except GoneError:
            return
