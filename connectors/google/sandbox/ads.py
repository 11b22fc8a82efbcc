"""Google Ads' rules for lists, customer types, value rules and queries, on raw protobuf messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from google.ads.googleads.v26.services import types as services

from connectors.google.sandbox import gaql
from connectors.google.sandbox.jobs import Jobs, account_of
from connectors.google.sandbox.refusals import AdsError
from connectors.google.sandbox.rules import Rules
from connectors.google.sandbox.store import UserList

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from connectors.google.sandbox.reports import Reports
    from connectors.google.sandbox.store import Store

PAGE = 10_000
MOST_OPERATIONS = 10_000
SEED_MINIMUM = 100
UPLOADS = ("CreateOfflineUserDataJob", "AddOfflineUserDataJobOperations", "RunOfflineUserDataJob", "UploadUserData")
LEVELS = {2: "NARROW", 3: "BALANCED", 4: "BROAD"}
_LIST = re.compile(r"customers/([0-9]{10})/userLists/([0-9]+)")
_COUNTRY = re.compile(r"[A-Z]{2}")


def _message(name: str) -> Any:
    kind = getattr(services, name)
    return kind.pb(kind())


class Ads:
    """Answers by method name; `record` writes the request log."""

    def __init__(self, store: Store, reports: Reports, record: Callable[..., None]) -> None:
        self.store, self.reports, self._record = store, reports, record
        self._rules, self._jobs = Rules(store), Jobs(store)
        self.allowlisted = False  # whether upload jobs are open, as for callers from before 2026-04-01
        self.methods: dict[str, Callable[[str, Any], Any]] = {
            "MutateUserLists": self.mutate_lists,
            "MutateUserListCustomerTypes": self._rules.customer_types,
            "MutateConversionValueRules": self._rules.value_rules,
            "MutateConversionValueRuleSets": self._rules.value_rule_sets,
            "CreateOfflineUserDataJob": self._jobs.create,
            "AddOfflineUserDataJobOperations": self._jobs.add,
            "RunOfflineUserDataJob": self._jobs.run,
            "UploadUserData": self._jobs.upload,
            "Search": self.search,
            "SearchStream": self.search_stream,
        }

    def answer(self, method: str, request: Any, headers: Mapping[str, str]) -> Any:
        """The response message (SearchStream: a list of them); raises AdsError. Every call is logged."""
        entry: dict[str, Any] = {"method": method, "operation": "read" if method.startswith("Search") else "mutate"}
        entry |= {"audience": "", "rows": 0}
        try:
            found = self._answer(method, request, headers, entry)
        except AdsError as refused:
            self._record(**entry, status=refused.status, code=refused.code)
            raise
        self._record(**entry, status="OK", code="")
        return found

    def _answer(self, method: str, request: Any, headers: Mapping[str, str], entry: dict[str, Any]) -> Any:
        if method in UPLOADS and not self.allowlisted:  # closed to newcomers since 2026-04-01
            raise AdsError(
                "not_allowlisted_error",
                "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE",
                "Customer is not allowlisted for accessing this feature.",
                "PERMISSION_DENIED",
            )
        account = account_of(request)
        if not re.fullmatch(r"[0-9]{10}", account):
            raise AdsError("request_error", "INVALID_CUSTOMER_ID", f"Invalid customer ID '{account}'.")
        login = headers.get("login-customer-id", "")
        if login and not re.fullmatch(r"[0-9]{10}", login):
            raise AdsError("header_error", "INVALID_LOGIN_CUSTOMER_ID")
        parent = self.store.account(account)["parent"]
        if parent and login != parent:
            text = "User doesn't have permission to access customer."
            raise AdsError("authorization_error", "USER_PERMISSION_DENIED", text, "PERMISSION_DENIED")
        operations = getattr(request, "operations", ())
        if method.startswith("Mutate") and len(operations) > MOST_OPERATIONS:
            raise AdsError("request_error", "TOO_MANY_MUTATE_OPERATIONS")
        if operations and method.startswith("Mutate"):
            kind = operations[0].WhichOneof("operation") or ""
            entry["operation"] = "create" if kind == "create" else kind or "mutate"
        if method in UPLOADS:
            entry["operation"], entry["rows"] = _upload_kind(method, operations), len(operations)
        found = self.methods[method](account, request)
        if operations and method == "MutateUserLists":
            entry["audience"] = found.results[0].resource_name.rpartition("/")[2]
        return found

    # lists

    def mutate_lists(self, account: str, request: Any) -> Any:
        """Lists made, changed, removed."""
        response = _message("MutateUserListsResponse")
        for index, operation in enumerate(request.operations):
            kind = operation.WhichOneof("operation")
            at = (("operations", index), (str(kind), None))
            if kind == "create":
                held = self._create(account, operation.create, at, validate_only=request.validate_only)
            elif kind == "update":
                held = self._update(account, operation, at)
            elif kind == "remove":
                held = self._held(account, operation.remove, at)
                self.store.lists.pop(held.id)
            else:
                raise AdsError("request_error", "OPERATION_REQUIRED", path=at[:1])
            response.results.add().resource_name = f"customers/{account}/userLists/{held.id}"
        return response

    def _held(self, account: str, name: str, at: Any) -> UserList:
        found = _LIST.fullmatch(name)
        if not found:
            raise AdsError("request_error", "RESOURCE_NAME_MALFORMED", path=at)
        held = self.store.lists.get(int(found.group(2)))
        if held is None or held.account != account or found.group(1) != account:
            raise AdsError("mutate_error", "RESOURCE_NOT_FOUND", "Resource was not found.", "NOT_FOUND", at)
        return held

    def _create(self, account: str, body: Any, at: Any, *, validate_only: bool) -> UserList:
        name = body.name.strip()
        if not name or len(name) > 255:
            raise AdsError("user_list_error", "INVALID_NAME", path=at)
        if body.membership_life_span > 540:
            raise AdsError("range_error", "TOO_HIGH", "Too high.", path=at)
        kind = body.WhichOneof("user_list")
        if kind not in ("lookalike_user_list", "crm_based_user_list"):
            raise AdsError("user_list_error", "USER_LIST_MUTATE_NOT_SUPPORTED", path=at)
        made = UserList(self.store.new_id(), account, name, body.description, created=self.store.now())
        if kind == "lookalike_user_list":
            self._lookalike(made, body.lookalike_user_list, at)
        elif body.membership_life_span:
            made.days = int(body.membership_life_span)
        if any(one.name == name for one in self.store.lists_of(account)):
            raise AdsError("user_list_error", "NAME_ALREADY_USED", path=at)
        return made if validate_only else self.store.add_list(made)

    def _lookalike(self, made: UserList, info: Any, at: Any) -> None:
        made.kind, made.level = "lookalike", info.expansion_level
        made.seeds, made.countries = tuple(info.seed_user_list_ids), tuple(sorted(info.country_codes))
        if info.expansion_level not in LEVELS:
            raise AdsError("request_error", "REQUIRED_FIELD_MISSING", "expansion_level", path=at)
        if not made.countries or not all(_COUNTRY.fullmatch(code) for code in made.countries):
            raise AdsError("user_list_error", "INVALID_COUNTRY_CODES", path=at)
        seeds = [self.store.lists.get(seed) for seed in made.seeds]
        if not seeds or None in seeds:
            raise AdsError("user_list_error", "SEED_LIST_DOES_NOT_EXIST", path=at)
        known = [seed for seed in seeds if seed is not None]
        if any(seed.account != made.account for seed in known):
            raise AdsError("user_list_error", "INVALID_SEED_LIST_ACCESS_REASON", path=at)
        if any(seed.kind != "ingested" for seed in known):
            raise AdsError("user_list_error", "INVALID_SEED_LIST_TYPE", path=at)
        if sum(self.store.sizes(seed) for seed in known) < SEED_MINIMUM:
            # Google's own code for this is not known; that it needs 100 matched people is.
            raise AdsError("user_list_error", "INVALID_SEED_LIST_TYPE", "Seed lists need 100 active members.", path=at)
        wanted = (made.seeds, made.level, made.countries)
        if any((one.seeds, one.level, one.countries) == wanted for one in self.store.lists_of(made.account)):
            raise AdsError("user_list_error", "DUPLICATE_LOOKALIKE", path=at)

    def _update(self, account: str, operation: Any, at: Any) -> UserList:
        body = operation.update
        held = self._held(account, body.resource_name, at)
        for field in operation.update_mask.paths:
            if field.startswith(("lookalike_user_list", "crm_based_user_list.upload_key_type")):
                raise AdsError("request_error", "IMMUTABLE_FIELD", f"{field} is immutable.", path=at)
            if field == "name":
                if any(one.name == body.name and one is not held for one in self.store.lists_of(account)):
                    raise AdsError("user_list_error", "NAME_ALREADY_USED", path=at)
                held.name = body.name
            elif field == "description":
                held.description = body.description
            elif field == "membership_status":
                held.open = body.membership_status == 2
            elif field == "membership_life_span":
                if body.membership_life_span > 540:
                    raise AdsError("range_error", "TOO_HIGH", path=at)
                held.days = int(body.membership_life_span)
        return held

    # queries

    def search(self, account: str, request: Any) -> Any:
        """A page of at most 10,000 rows; the caller can't choose its size."""
        if request.page_size:
            raise AdsError("request_error", "PAGE_SIZE_NOT_SUPPORTED", "Setting the page size is not supported.")
        if request.page_token and not request.page_token.isdigit():
            raise AdsError("request_error", "INVALID_PAGE_TOKEN")
        rows, start = self._rows(account, request.query), int(request.page_token or 0)
        response = _message("SearchGoogleAdsResponse")
        response.results.extend(rows[start : start + PAGE])
        response.total_results_count = len(rows)
        if start + PAGE < len(rows):
            response.next_page_token = str(start + PAGE)
        return response

    def search_stream(self, account: str, request: Any) -> list[Any]:
        """All rows in parts of at most 10,000 (at least one part)."""
        rows = self._rows(account, request.query)
        parts = []
        for start in range(0, max(1, len(rows)), PAGE):
            part = _message("SearchGoogleAdsStreamResponse")
            part.results.extend(rows[start : start + PAGE])
            part.request_id = "sandbox"
            parts.append(part)
        return parts

    def _rows(self, account: str, text: str) -> list[Any]:
        query = gaql.parse(text)
        resources: dict[str, Callable[[], Any]] = {
            "customer": lambda: [self._customer(account)],
            "customer_client": lambda: self._clients(account),
            "user_list": lambda: self._lists(account),
            "user_list_customer_type": lambda: self._rules.customer_type_rows(account),
            "offline_user_data_job": lambda: self._jobs.rows(account),
            "conversion_action": lambda: self._actions(query),
            "conversion_value_rule": lambda: self._rules.rule_rows(account),
            "conversion_value_rule_set": lambda: self._rules.rule_set_rows(account),
            **{
                name: lambda: self.reports.rows(account, query)
                for name in ("campaign", "ad_group", "ad_group_ad", "asset_group", "click_view")
            },
        }
        if query.resource not in resources:
            raise AdsError("query_error", "PROHIBITED_RESOURCE_TYPE_IN_FROM_CLAUSE", f"{query.resource} is not served here")
        return gaql.select(query, resources[query.resource]())

    def _customer(self, account: str) -> dict[str, Any]:
        held = self.store.account(account)
        return {
            "customer.id": int(account),
            "customer.resource_name": f"customers/{account}",
            "customer.descriptive_name": held["name"],
            "customer.currency_code": held["currency"],
            "customer.time_zone": held["time_zone"],
            "customer.manager": bool(held["manager"]),
        }

    def _actions(self, query: gaql.Query) -> Iterator[dict[str, Any]]:
        """The account's conversion actions; as long as none is named, any id is one."""
        asked = {value for one in query.conditions if one.field == "conversion_action.id" for value in one.values}
        for number in sorted(self.store.actions or asked):
            plain = {"name": f"Action {number}", "status": "ENABLED", "category": "DEFAULT", "primary_for_goal": False}
            facts = {**plain, **self.store.action_facts.get(number, {}), "id": int(number)}
            yield {f"conversion_action.{name}": value for name, value in facts.items()}

    def _clients(self, account: str) -> Iterator[dict[str, Any]]:
        below = [one for one in self.store.accounts if self.store.account(one)["parent"] == account]
        for one in [account, *below]:
            yield {
                "customer_client.id": int(one),
                "customer_client.manager": bool(self.store.account(one)["manager"]),
                "customer_client.status": "ENABLED",
                "customer_client.currency_code": self.store.account(one)["currency"],
                "customer_client.time_zone": self.store.account(one)["time_zone"],
            }

    def _lists(self, account: str) -> Iterator[dict[str, Any]]:
        for held in self.store.lists_of(account):
            size = self.store.sizes(held)
            row: dict[str, Any] = {
                "user_list.id": held.id,
                "user_list.resource_name": f"customers/{account}/userLists/{held.id}",
                "user_list.name": held.name,
                "user_list.description": held.description,
                "user_list.type": "LOOKALIKE" if held.kind == "lookalike" else "CRM_BASED",
                "user_list.membership_status": "OPEN" if held.open else "CLOSED",
                "user_list.membership_life_span": held.days,
                "user_list.size_for_display": size,
                "user_list.size_for_search": size if held.kind == "ingested" else 0,
            }
            if held.kind == "lookalike":
                row["user_list.lookalike_user_list.seed_user_list_ids"] = list(held.seeds)
                row["user_list.lookalike_user_list.expansion_level"] = LEVELS[held.level]
                row["user_list.lookalike_user_list.country_codes"] = list(held.countries)
            elif size:
                row["user_list.match_rate_percentage"] = int(self.store.match_rate * 100)
            yield row


def _upload_kind(method: str, operations: Any) -> str:
    """How the log names an upload call."""
    if not len(operations):
        return {"CreateOfflineUserDataJob": "job_create", "RunOfflineUserDataJob": "job_run"}.get(method, "job_add")
    return {"create": "add", "remove": "remove"}.get(str(operations[0].WhichOneof("operation")), "remove_all")
