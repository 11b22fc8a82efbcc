"""Lists for uploaded customers: found by name or made, looked at, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.errors import FatalError
from connectors.google.client import answered, pages
from connectors.google.faults import ExistsError, GoneError
from connectors.protocol import AudienceHandle, AudienceState, AudienceStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.google.client import GoogleClient
    from connectors.protocol import AudienceSpec

DAY = 86_400
LONGEST = 540
OWNED, OPEN, CLOSED, CONTACT_ID, FIRST_PARTY = 1, 1, 2, 1, 1
SEED_MINIMUM = 100


class Audiences:
    """The account's lists, through the Data Manager's UserListService."""

    def __init__(self, client: GoogleClient) -> None:
        self._client = client
        self.parent = f"accountTypes/GOOGLE_ADS/accounts/{client.account.account_id}"

    def find_or_create(self, spec: AudienceSpec, remote_id: str = "") -> tuple[AudienceHandle, bool]:
        """The list, and whether it was made now."""
        found = self._by_id(remote_id) if remote_id else None
        found = found or self.by_name(spec.name)
        if found is None:
            try:
                return self._handle(spec, self._create(spec)), True
            except ExistsError:  # made by another run, or by a call whose answer was lost
                found = self.by_name(spec.name)
        if found is None:
            raise FatalError(
                f"the name {spec.name!r} is taken by a list that this account does not own or that takes no members",
                remedy="give the audience another name",
                platform="google",
                code="DISPLAY_NAME_ALREADY_USED",
            )
        self._keep(found, spec)
        return self._handle(spec, found), False

    def _keep(self, found: Any, spec: AudienceSpec) -> None:
        """Nothing: the list is open (Google closes unused ones) and as long as the spec, if it says so, wants."""
        body: dict[str, Any] = {"name": found.name}
        if found.membership_status == CLOSED:
            body["membership_status"] = OPEN
        days = min(spec.membership_days or 0, LONGEST)
        if days and found.membership_duration.seconds not in (0, days * DAY):
            body["membership_duration"] = {"seconds": days * DAY}
        if len(body) > 1:
            paths = [name for name in body if name != "name"]
            self._call("update_user_list", {"user_list": body, "update_mask": {"paths": paths}}, write=True)

    def _handle(self, spec: AudienceSpec, found: Any) -> AudienceHandle:
        number = str(found.id or found.name.rpartition("/")[2])
        return AudienceHandle("google", self._client.account.account_id, spec, number)

    def name_of(self, list_id: str) -> str:
        """The resource name of a list."""
        return f"{self.parent}/userLists/{list_id}"

    def _metadata(self) -> list[tuple[str, str]]:
        """The access path: management calls carry it as a header, ingestion in its destination."""
        login = self._client.login_account
        return [("login-account", f"accountTypes/GOOGLE_ADS/accounts/{login}")] if login else []

    def _call(self, method: str, request: dict[str, Any], *, write: bool = False) -> Any:
        """The list that a call answers with (raw protobuf), or None for a deletion."""
        client = self._client

        def invoke() -> Any:
            timeout = client.settings.timeout_seconds
            act = getattr(client.user_lists, method)
            answer = act(request=request, retry=None, timeout=timeout, metadata=self._metadata())
            if answer is not None:
                answered(answer.name, client.settings.data_manager_endpoint)
            return None if answer is None else type(answer).pb(answer)

        return client.call("management write" if write else "management read", invoke, write=write)

    def get(self, list_id: str) -> Any:
        """The list as Google has it; raises GoneError."""
        return self._call("get_user_list", {"name": self.name_of(list_id)})

    def _by_id(self, list_id: str) -> Any:
        try:
            return self.get(list_id)
        except GoneError:
            return None

    def by_name(self, name: str) -> Any:
        """The account's own list of exactly this name, or None; the platform's filter narrows, the comparison decides."""
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        for one in self._listed(f'display_name = "{quoted}"'):
            own = one.access_reason in (0, OWNED) and not one.read_only
            if one.display_name == name and own and one.name.startswith(f"{self.parent}/"):
                return one
        return None

    def _listed(self, condition: str) -> Iterator[Any]:
        client = self._client
        request = {"parent": self.parent, "page_size": 1000, "filter": condition}

        def invoke() -> list[Any]:
            timeout = client.settings.timeout_seconds
            return list(
                pages(
                    client.user_lists.list_user_lists(request=request, retry=None, timeout=timeout, metadata=self._metadata())
                )
            )

        yield from client.call("management read", invoke)

    def _create(self, spec: AudienceSpec) -> Any:
        days = min(spec.membership_days or self._client.settings.membership_days, LONGEST)
        body = {
            "display_name": spec.name,
            "description": spec.description or f"Kept in step by clv-audience-sync: {spec.name}",
            "membership_status": OPEN,
            "membership_duration": {"seconds": days * DAY},
            "ingested_user_list_info": {
                "upload_key_types": [CONTACT_ID],
                "contact_id_info": {"data_source_type": FIRST_PARTY},
            },
        }
        return self._call("create_user_list", {"parent": self.parent, "user_list": body}, write=True)

    def status(self, handle: AudienceHandle) -> AudienceStatus:
        """Sizes per network as bounds, and Google's match rate."""
        try:
            found = self.get(handle.remote_id)
        except GoneError:
            return AudienceStatus(AudienceState.MISSING, detail="the list is gone")
        size = found.size_info
        sizes = [
            int(count)
            for count in (
                size.display_network_members_count,
                size.search_network_members_count,
                size.youtube_members_count,
                size.gmail_members_count,
            )
            if count
        ]
        rate = found.ingested_user_list_info.contact_id_info.match_rate_percentage
        return describe(sizes, f"{rate}%" if rate else "")

    def delete(self, handle: AudienceHandle) -> None:
        """Nothing: the list is gone."""
        try:
            self._call("delete_user_list", {"name": self.name_of(handle.remote_id)}, write=True)
        except GoneError:
            return


def describe(sizes: list[int], rate: str = "") -> AudienceStatus:
    """The status that goes with these sizes: none yet, too few for a lookalike, or ready."""
    if not sizes:
        return AudienceStatus(AudienceState.PROCESSING, 0, 0, rate, "Google is still matching; this takes up to two days")
    if max(sizes) < SEED_MINIMUM:
        detail = f"fewer than {SEED_MINIMUM} people matched: too few for a lookalike"
        return AudienceStatus(AudienceState.TOO_SMALL, min(sizes), max(sizes), rate, detail)
    return AudienceStatus(AudienceState.READY, min(sizes), max(sizes), rate)
