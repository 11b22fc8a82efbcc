"""The Data Manager's rules, on raw protobuf messages: the same for REST and gRPC."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

from google.ads.datamanager_v1 import types as dm

from connectors.google.sandbox import events
from connectors.google.sandbox.filters import matches
from connectors.google.sandbox.identifiers import Checked, Reader
from connectors.google.sandbox.refusals import DataManagerError, Violation
from connectors.google.sandbox.store import DAY, Accepted, UserList

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors.google.sandbox.store import Store

GOOGLE_ADS, OPEN, CLOSED, CONTACT_ID, ACCEPTED = 1, 1, 2, 1, 1
SUCCESS, PROCESSING, FAILED, PARTIAL = 1, 2, 3, 4
KEPT_DAYS = 50
LONGEST = 540
_PARENT = re.compile(r"accountTypes/GOOGLE_ADS/accounts/([0-9]{10})")
_NAME = re.compile(r"accountTypes/GOOGLE_ADS/accounts/([0-9]{10})/userLists/([0-9]+)")
_ACCOUNT = re.compile(r"accountTypes/[A-Z_]+/accounts/([0-9]+)")
UPLOAD_MATCH = 8  # 71_TO_80, as the store's match rate


def _message(kind: Any) -> Any:
    return kind.pb(kind())


def refuse(reason: str, place: str = "", description: str = "") -> DataManagerError:
    """A refusal naming at most one field."""
    return DataManagerError(reason, violations=[Violation(place, reason, description)] if place else [])


class DataManager:
    """Answers by method name; `record` writes the request log."""

    def __init__(self, store: Store, record: Callable[..., None]) -> None:
        self.store, self._record = store, record
        self.methods: dict[str, Callable[[Any, Mapping[str, str]], Any]] = {
            "IngestAudienceMembers": self.ingest,
            "RemoveAudienceMembers": self.remove,
            "RemoveAllAudienceMembers": self.remove_all,
            "IngestEvents": self.ingest_events,
            "RetrieveRequestStatus": self.status,
            "CreateUserList": self.create,
            "GetUserList": self.get,
            "ListUserLists": self.list,
            "UpdateUserList": self.update,
            "DeleteUserList": self.delete,
        }

    def answer(self, method: str, request: Any, headers: Mapping[str, str]) -> Any:
        """The response message; raises DataManagerError. Every call is counted against its quota and logged."""
        entry: dict[str, Any] = {"method": method, "operation": _OPERATIONS[method], **_about(request)}
        try:
            reads = method.startswith(("Retrieve", "Get", "List"))
            service = "Management" if method.endswith(("UserList", "UserLists")) else "Ingestion"
            self.store.spend(f"{service}{'Read' if reads else 'Mutate'}")
            found = self.methods[method](request, headers)
        except DataManagerError as refused:
            self._record(**entry, status=refused.http, code=refused.reason)
            raise
        if method == "CreateUserList":
            entry["audience"] = str(found.id)
        self._record(**entry, status=200, code="")
        return found

    # members

    def ingest(self, request: Any, _: Mapping[str, str]) -> Any:
        """People join lists, unless processing will drop them for want of consent."""
        lists = self._destinations(request)
        if not request.encoding:
            raise refuse("REQUIRED_FIELD_MISSING", "encoding")
        if request.terms_of_service.customer_match_terms_of_service_status != ACCEPTED:
            raise refuse("TERMS_AND_CONDITIONS_NOT_SIGNED", "terms_of_service.customer_match_terms_of_service_status")
        checked = Reader(request.encoding, request.consent).read(request.audience_members)
        self._fits(lists, checked)
        now = self.store.now()
        for held in () if request.validate_only else lists:
            held.take((member for member, dropped in checked.members if not dropped), now, checked.flags)
        return self._accept(dm.IngestAudienceMembersResponse, "ingest", request, checked)

    def remove(self, request: Any, _: Mapping[str, str]) -> Any:
        """People leave lists."""
        lists = self._destinations(request)
        if not request.encoding:
            raise refuse("REQUIRED_FIELD_MISSING", "encoding")
        checked = Reader(request.encoding).read(request.audience_members)
        self._fits(lists, checked)
        for held in () if request.validate_only else lists:
            held.drop(member for member, _ in checked.members)
        return self._accept(dm.RemoveAudienceMembersResponse, "remove", request, checked)

    def remove_all(self, request: Any, _: Mapping[str, str]) -> Any:
        """All who were last added before a time leave."""
        lists = self._destinations(request)
        now = self.store.now()
        before = request.remove_as_of_time.ToMilliseconds() / 1000 if request.HasField("remove_as_of_time") else now
        if before > now:
            raise refuse("INVALID_REMOVE_AS_OF_TIME", "remove_as_of_time")
        for held in () if request.validate_only else lists:
            held.members = {member: at for member, at in held.members.items() if at >= before}
        return self._accept(dm.RemoveAllAudienceMembersResponse, "remove_all", request, None)

    def _fits(self, lists: list[UserList], checked: Checked) -> None:
        contact = checked.kind != "mobile_data"
        for index, held in enumerate(lists):
            if held.kind != "ingested" or (held.key_type == CONTACT_ID) is not contact:
                raise refuse("INVALID_USER_LIST_TYPE", f"destinations[{index}].product_destination_id")
            if not held.open:
                raise refuse("INVALID_USER_LIST_ID", f"destinations[{index}].product_destination_id", "The list is closed")

    def _destinations(self, request: Any) -> list[UserList]:
        self._limit(request)
        return [self._destination(index, one) for index, one in enumerate(request.destinations)]

    def _limit(self, request: Any) -> None:
        given = request.destinations
        if not given:
            raise refuse("REQUIRED_FIELD_MISSING", "destinations")
        if len(given) > 10:
            raise refuse("TOO_MANY_DESTINATIONS", "destinations")
        names = [one.reference for one in given if one.reference]
        if len(names) != len(set(names)):
            raise refuse("DUPLICATE_DESTINATION_REFERENCE", "destinations")

    def _destination(self, index: int, one: Any) -> UserList:
        place = f"destinations[{index}]"
        account = self._account(place, one)
        text = one.product_destination_id
        held = self.store.lists.get(int(text)) if re.fullmatch(r"[0-9]{1,18}", text) else None
        if held is None or held.account != account:
            raise refuse("INVALID_USER_LIST_ID", f"{place}.product_destination_id")
        return held

    def _account(self, place: str, one: Any) -> str:
        account = one.operating_account
        if not one.HasField("operating_account"):
            raise refuse("REQUIRED_FIELD_MISSING", f"{place}.operating_account")
        if account.account_type != GOOGLE_ADS or not re.fullmatch(r"[0-9]{10}", account.account_id):
            raise refuse("INVALID_DESTINATION", f"{place}.operating_account")
        self._access(account.account_id, one.login_account.account_id)
        return str(account.account_id)

    def _access(self, account: str, login: str) -> None:
        parent = self.store.account(account)["parent"]
        if parent and login != parent:
            raise DataManagerError("PERMISSION_DENIED", "The user does not have permission or the resource is not found.")

    def _accept(self, kind: Any, operation: str, request: Any, checked: Checked | None) -> Any:
        response = _message(kind)
        response.request_id = uuid.uuid4().hex
        if request.validate_only:
            return response
        held = Accepted(response.request_id, operation, [], self.store.now())
        given = [(one.operating_account.account_id, one.product_destination_id) for one in request.destinations]
        held.destinations = [{"account": account, "list": place} for account, place in given]
        if checked is not None:
            held.records, held.counts, held.kind = len(checked.members), checked.counts, checked.kind
            held.errors = dict(Counter(reason for _, reason in checked.members if reason))
        self.store.requests[held.id] = held
        return response

    def ingest_events(self, request: Any, _: Mapping[str, str]) -> Any:
        """Conversions join an action, unless processing drops them as duplicates or for want of consent."""
        self._limit(request)
        accounts = [self._action(index, one) for index, one in enumerate(request.destinations)]
        read = events.checked(self.store, request, accounts[0])
        if not request.validate_only:
            self.store.events += [event for event, dropped in read if not dropped]
        counted = Checked(members=[(b"", dropped) for _, dropped in read])
        return self._accept(dm.IngestEventsResponse, "events", request, counted)

    def _action(self, index: int, one: Any) -> str:
        place = f"destinations[{index}]"
        action = one.product_destination_id
        if not action.isdigit() or (self.store.actions and action not in self.store.actions):
            raise refuse("INVALID_CONVERSION_ACTION_ID", f"{place}.product_destination_id")
        return self._account(place, one)

    def status(self, request: Any, _: Mapping[str, str]) -> Any:
        """Per destination: processing, then what became of the request."""
        held = self.store.requests.get(request.request_id)
        if held is None:
            raise refuse("INVALID_REQUEST_ID", "request_id")
        if self.store.now() > held.at + KEPT_DAYS * DAY:
            raise refuse("REQUEST_TOO_OLD", "request_id")
        response = _message(dm.RetrieveRequestStatusResponse)
        for place in held.destinations:
            one = response.request_status_per_destination.add()
            one.destination.operating_account.account_type = GOOGLE_ADS
            one.destination.operating_account.account_id = place["account"]
            one.destination.product_destination_id = place["list"]
            self._fill(one, held)
        return response

    def _fill(self, one: Any, held: Accepted) -> None:
        done = self.store.processed(held)
        lost = sum(held.errors.values())
        one.request_status = (FAILED if lost == held.records else PARTIAL) if lost else SUCCESS
        if not done:
            one.request_status = PROCESSING
        for reason, count in held.errors.items() if done else ():
            one.error_info.error_counts.add(record_count=count, reason=reason)
        if held.operation == "remove_all":
            one.remove_all_audience_members_status.SetInParent()
            return
        if held.operation == "events":
            one.events_ingestion_status.record_count = held.records
            return
        adds = held.operation == "ingest"
        group = one.audience_members_ingestion_status if adds else one.audience_members_removal_status
        counts = getattr(group, f"{held.kind}_{'ingestion' if adds else 'removal'}_status")
        counts.record_count = held.records
        if held.kind == "composite_data":
            for name, count in sorted(held.counts.items()):
                kind = counts.data_type_counts.add(count=count)
                kind.type_ = {"EMAIL": 1, "PHONE_NUMBER": 2, "ADDRESS": 3}[name]
        elif held.kind == "user_data":
            counts.user_identifier_count = sum(held.counts.values())
        if adds and done and held.kind in ("composite_data", "user_data"):
            counts.upload_match_rate_range = UPLOAD_MATCH

    # lists

    def _parent(self, text: str, headers: Mapping[str, str]) -> str:
        found = _PARENT.fullmatch(text)
        if not found:
            raise refuse("INVALID_RESOURCE_NAME", "parent")
        return self._login(found.group(1), headers)

    def _login(self, account: str, headers: Mapping[str, str]) -> str:
        given = headers.get("login-account", "")
        login = _ACCOUNT.fullmatch(given)
        if given and not login:
            raise refuse("INVALID_ARGUMENT", "login-account", "The login-account header is malformed")
        self._access(account, login.group(1) if login else "")
        return account

    def _named(self, name: str, headers: Mapping[str, str]) -> UserList:
        found = _NAME.fullmatch(name)
        if not found:
            raise refuse("INVALID_RESOURCE_NAME", "name")
        self._login(found.group(1), headers)
        held = self.store.lists.get(int(found.group(2)))
        if held is None or held.account != found.group(1) or held.kind != "ingested":
            raise DataManagerError("NOT_FOUND", "Resource not found.")
        return held

    def _view(self, held: UserList) -> Any:
        found = _message(dm.UserList)
        found.name = f"accountTypes/GOOGLE_ADS/accounts/{held.account}/userLists/{held.id}"
        found.id, found.display_name, found.description = held.id, held.name, held.description
        found.membership_status = OPEN if held.open else CLOSED
        found.membership_duration.FromSeconds(held.days * DAY)
        found.access_reason = found.account_access_status = 1
        size = self.store.sizes(held)
        if size:
            found.size_info.display_network_members_count = found.size_info.youtube_members_count = size
            found.size_info.search_network_members_count = found.size_info.gmail_members_count = size
        info = found.ingested_user_list_info
        info.upload_key_types.append(held.key_type)
        if held.key_type == CONTACT_ID:
            info.contact_id_info.data_source_type = 1
            info.contact_id_info.match_rate_percentage = int(self.store.match_rate * 100) if size else 0
        return found

    def create(self, request: Any, headers: Mapping[str, str]) -> Any:
        """A new list; its name is the account's only one."""
        account = self._parent(request.parent, headers)
        body = request.user_list
        name = body.display_name.strip()
        info = body.ingested_user_list_info
        if not name:
            raise refuse("REQUIRED_FIELD_MISSING", "user_list.display_name")
        if len(name) > 255:
            raise refuse("INVALID_DISPLAY_NAME", "user_list.display_name")
        if not body.HasField("ingested_user_list_info") or len(info.upload_key_types) != 1:
            raise refuse("REQUIRED_FIELD_MISSING", "user_list.ingested_user_list_info.upload_key_types")
        if any(one.name == name for one in self.store.lists_of(account)):
            raise refuse("DISPLAY_NAME_ALREADY_USED", "user_list.display_name")
        made = UserList(self.store.new_id(), account, name, body.description, key_type=info.upload_key_types[0])
        made.days, made.open, made.created = self._days(body), body.membership_status != CLOSED, self.store.now()
        if request.validate_only:
            return self._view(made)
        return self._view(self.store.add_list(made))

    def _days(self, body: Any) -> int:
        duration = body.membership_duration
        if not body.HasField("membership_duration"):
            return LONGEST
        if duration.nanos or duration.seconds % DAY or duration.seconds < 0:
            raise refuse("INVALID_ARGUMENT", "user_list.membership_duration", "The duration must be whole days")
        if duration.seconds > LONGEST * DAY:
            raise refuse("MEMBERSHIP_DURATION_TOO_LONG", "user_list.membership_duration")
        return int(duration.seconds // DAY)

    def get(self, request: Any, headers: Mapping[str, str]) -> Any:
        """One list."""
        return self._view(self._named(request.name, headers))

    def list(self, request: Any, headers: Mapping[str, str]) -> Any:
        """A page of the account's lists."""
        account = self._parent(request.parent, headers)
        if request.page_token and not re.fullmatch(r"[0-9]+", request.page_token):
            raise refuse("INVALID_PAGE_TOKEN", "page_token")
        start, size = int(request.page_token or 0), min(request.page_size or 50, 1000)
        views = [self._view(one) for one in self.store.lists_of(account) if one.kind == "ingested"]
        found = [one for one in views if matches(request.filter, one)]
        response = _message(dm.ListUserListsResponse)
        response.user_lists.extend(found[start : start + size])
        if start + size < len(found):
            response.next_page_token = str(start + size)
        return response

    def update(self, request: Any, headers: Mapping[str, str]) -> Any:
        """A list with another name, description, duration or status; its kind of data never changes."""
        held = self._named(request.user_list.name, headers)
        body = request.user_list
        for path in request.update_mask.paths:
            if path == "display_name":
                if any(one.name == body.display_name and one is not held for one in self.store.lists_of(held.account)):
                    raise refuse("DISPLAY_NAME_ALREADY_USED", "user_list.display_name")
                held.name = body.display_name
            elif path == "description":
                held.description = body.description
            elif path == "membership_duration":
                held.days = self._days(body)
            elif path == "membership_status":
                held.open = body.membership_status == OPEN
            elif path.startswith("ingested_user_list_info"):
                raise refuse("IMMUTABLE_FIELD_FOR_UPDATE", f"user_list.{path}")
            else:
                raise refuse("INVALID_UPDATE_MASK", "update_mask")
        return self._view(held)

    def delete(self, request: Any, headers: Mapping[str, str]) -> Any:
        """Nothing: the list is gone."""
        from google.protobuf import empty_pb2

        held = self._named(request.name, headers)
        if not request.validate_only:
            del self.store.lists[held.id]
        return empty_pb2.Empty()


_OPERATIONS = {
    "IngestAudienceMembers": "add",
    "RemoveAudienceMembers": "remove",
    "RemoveAllAudienceMembers": "remove_all",
    "IngestEvents": "event",
    "RetrieveRequestStatus": "status",
    "CreateUserList": "create",
    "GetUserList": "read",
    "ListUserLists": "read",
    "UpdateUserList": "update",
    "DeleteUserList": "delete",
}


def _about(request: Any) -> dict[str, Any]:
    """The audience and rows that a request is about, for the log."""
    names = request.DESCRIPTOR.fields_by_name
    found: dict[str, Any] = {"audience": "", "rows": 0}
    for name in ("audience_members", "events"):
        if name in names:
            found["rows"] = len(getattr(request, name))
    if "destinations" in names:
        found["audience"] = ",".join(one.product_destination_id for one in request.destinations)
    elif "name" in names:
        found["audience"] = request.name.rpartition("/")[2]
    return found
