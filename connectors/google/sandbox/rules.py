"""Customer types and conversion value rules of the stand-in's accounts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from google.ads.googleads.v26.enums import types as enums
from google.ads.googleads.v26.services import types as services

from connectors.google.sandbox.refusals import AdsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.google.sandbox.store import Store, UserList

CATEGORIES = enums.UserListCustomerTypeCategoryEnum.UserListCustomerTypeCategory
CONFLICTS = {
    "PURCHASERS": {"CONVERTED_LEADS", "QUALIFIED_LEADS", "CART_ABANDONERS"},
    "QUALIFIED_LEADS": {"CONVERTED_LEADS", "DISENGAGED_CUSTOMERS"},
    "DISENGAGED_CUSTOMERS": {"CONVERTED_LEADS", "QUALIFIED_LEADS", "CART_ABANDONERS"},
}
OPERATION = {2: "ADD", 3: "MULTIPLY", 4: "SET"}
CUSTOMER, AUDIENCE = 2, 4
_LIST = re.compile(r"customers/([0-9]{10})/userLists/([0-9]+)")


def _message(name: str) -> Any:
    kind = getattr(services, name)
    return kind.pb(kind())


class Rules:
    """Mutates and rows of customer types, value rules and their sets."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def _list(self, account: str, name: str) -> UserList | None:
        found = _LIST.fullmatch(name)
        held = self._store.lists.get(int(found.group(2))) if found else None
        return held if held is not None and held.account == account else None

    def customer_types(self, account: str, request: Any) -> Any:
        """Lists marked with, or freed from, a customer type."""
        response = _message("MutateUserListCustomerTypesResponse")
        for index, operation in enumerate(request.operations):
            at = (("operations", index), (str(operation.WhichOneof("operation")), None))
            if operation.WhichOneof("operation") == "remove":
                list_id, _, category = operation.remove.rpartition("/")[2].partition("~")
                held = self._store.lists.get(int(list_id)) if list_id.isdigit() else None
                if held is None or category not in held.types:
                    raise AdsError("mutate_error", "RESOURCE_NOT_FOUND", status="NOT_FOUND", path=at)
                held.types.discard(category)
            else:
                held, category = self._typed(account, operation.create, at)
                held.types.add(category)
            response.results.add().resource_name = f"customers/{account}/userListCustomerTypes/{held.id}~{category}"
        return response

    def _typed(self, account: str, body: Any, at: Any) -> tuple[UserList, str]:
        held = self._list(account, body.user_list)
        if held is None:
            raise AdsError("user_list_customer_type_error", "NO_ACCESS_TO_USER_LIST", path=at)
        if held.kind != "ingested":
            raise AdsError("user_list_customer_type_error", "USERLIST_NOT_ELIGIBLE", path=at)
        if not self._store.account(account).get("conversion_tracking", True):
            code = "CONVERSION_TRACKING_NOT_ENABLED_OR_NOT_MCC_MANAGER_ACCOUNT"
            raise AdsError("user_list_customer_type_error", code, path=at)
        category = CATEGORIES(body.customer_type_category).name
        if category in held.types:
            raise AdsError("mutate_error", "RESOURCE_ALREADY_EXISTS", status="ALREADY_EXISTS", path=at)
        if any(category in CONFLICTS.get(one, ()) or one in CONFLICTS.get(category, ()) for one in held.types):
            raise AdsError("user_list_customer_type_error", "CONFLICTING_CUSTOMER_TYPES", path=at)
        return held, category

    def customer_type_rows(self, account: str) -> Iterator[dict[str, Any]]:
        """GAQL rows."""
        for held in self._store.lists_of(account):
            for category in sorted(held.types):
                name = f"customers/{account}/userListCustomerTypes/{held.id}~{category}"
                yield {
                    "user_list_customer_type.resource_name": name,
                    "user_list_customer_type.user_list": f"customers/{account}/userLists/{held.id}",
                    "user_list_customer_type.customer_type_category": category,
                }

    def value_rules(self, account: str, request: Any) -> Any:
        """Value rules made or changed."""
        response = _message("MutateConversionValueRulesResponse")
        for index, operation in enumerate(request.operations):
            at = (("operations", index), (str(operation.WhichOneof("operation")), None))
            creates = operation.WhichOneof("operation") == "create"
            body = operation.create if creates else operation.update
            held = {} if creates else self._store.rules.get(body.resource_name)
            if held is None:
                raise AdsError("mutate_error", "RESOURCE_NOT_FOUND", status="NOT_FOUND", path=at)
            if any(self._list(account, name) is None for name in body.audience_condition.user_lists):
                raise AdsError("conversion_value_rule_error", "INVALID_AUDIENCE_USER_LIST", path=at)
            if body.action.value <= 0 or body.action.operation not in OPERATION:
                raise AdsError("range_error", "TOO_LOW", path=at)
            name = f"customers/{account}/conversionValueRules/{self._store.new_id()}" if creates else body.resource_name
            lists = list(body.audience_condition.user_lists) or held.get("lists", [])
            self._store.rules[name] = {
                "account": account,
                "operation": OPERATION[body.action.operation],
                "value": body.action.value,
                "lists": lists,
            }
            response.results.add().resource_name = name
        return response

    def rule_rows(self, account: str) -> Iterator[dict[str, Any]]:
        """GAQL rows."""
        for name, rule in self._store.rules.items():
            if rule["account"] == account:
                yield {
                    "conversion_value_rule.resource_name": name,
                    "conversion_value_rule.action.operation": rule["operation"],
                    "conversion_value_rule.action.value": rule["value"],
                    "conversion_value_rule.audience_condition.user_lists": rule["lists"],
                    "conversion_value_rule.status": "ENABLED",
                }

    def value_rule_sets(self, account: str, request: Any) -> Any:
        """Sets of value rules made or extended."""
        response = _message("MutateConversionValueRuleSetsResponse")
        for index, operation in enumerate(request.operations):
            at = (("operations", index), (str(operation.WhichOneof("operation")), None))
            creates = operation.WhichOneof("operation") == "create"
            body = operation.create if creates else operation.update
            held = {} if creates else self._store.rule_sets.get(body.resource_name)
            if held is None:
                raise AdsError("mutate_error", "RESOURCE_NOT_FOUND", status="NOT_FOUND", path=at)
            if any(rule not in self._store.rules for rule in body.conversion_value_rules):
                raise AdsError("conversion_value_rule_set_error", "INVALID_VALUE_RULE", path=at)
            if creates and len(set(body.dimensions)) != len(body.dimensions):
                raise AdsError("conversion_value_rule_set_error", "DUPLICATE_DIMENSIONS", path=at)
            name = f"customers/{account}/conversionValueRuleSets/{self._store.new_id()}" if creates else body.resource_name
            dimensions = list(body.dimensions) or held.get("dimensions", [])
            self._store.rule_sets[name] = {
                "account": account,
                "rules": list(body.conversion_value_rules),
                "dimensions": dimensions,
            }
            response.results.add().resource_name = name
        return response

    def rule_set_rows(self, account: str) -> Iterator[dict[str, Any]]:
        """GAQL rows."""
        for name, held in self._store.rule_sets.items():
            if held["account"] == account:
                yield {
                    "conversion_value_rule_set.resource_name": name,
                    "conversion_value_rule_set.conversion_value_rules": held["rules"],
                    "conversion_value_rule_set.dimensions": held["dimensions"],
                    "conversion_value_rule_set.attachment_type": "CUSTOMER",
                    "conversion_value_rule_set.status": "ENABLED",
                }
