"""What tells Google that a list's people are worth more: the customer type of the top tier, and value rules per tier.

No value per member can travel to Google, so the tier's list carries it. Both are conveniences on top of the list: where the
account doesn't allow them, the list still works, and a warning says what to do.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from connectors.errors import OutcomeUnknownError, RetriableError, SyncError
from connectors.google.faults import ExistsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from connectors.google.client import GoogleClient
    from connectors.protocol import AudienceHandle

HIGH_VALUE_CUSTOMERS = 4
MULTIPLY, ENABLED, CUSTOMER, AUDIENCE = 3, 2, 2, 4
_log = logging.getLogger(__name__)


class Values:
    """Customer types and conversion value rules of one account."""

    def __init__(self, client: GoogleClient) -> None:
        self._client = client

    def apply(self, handle: AudienceHandle) -> list[str]:
        """What could not be set, as one line each; nothing for lists of no tier and for exclusions."""
        spec, settings = handle.spec, self._client.settings
        if spec.exclusion or not spec.tier:
            return []
        failed = []
        if spec.tier == "high" and settings.mark_high_value:
            failed += self._attempt("the high-value customer type", lambda: self.mark_high_value(handle))
        multiplier = {str(tier): value for tier, value in settings.value_multipliers.items()}.get(spec.tier)
        if multiplier is not None:
            failed += self._attempt("the conversion value rule", lambda: self.set_multiplier(handle, multiplier))
        return failed

    def _attempt(self, what: str, act: Callable[[], None]) -> list[str]:
        try:
            act()
        except ExistsError:
            return []
        except (RetriableError, OutcomeUnknownError) as later:
            said = f"{what} could not be set now: {later.message}; the next run tries again"
        except SyncError as error:
            said = f"{what} could not be set: {error}"
        else:
            return []
        _log.warning("google: %s", said)
        return [said]

    def _list(self, handle: AudienceHandle) -> str:
        return f"customers/{self._client.account.account_id}/userLists/{handle.remote_id}"

    def mark_high_value(self, handle: AudienceHandle) -> None:
        """Nothing: the list counts as HIGH_VALUE_CUSTOMERS."""
        name = f"customers/{self._client.account.account_id}/userListCustomerTypes/{handle.remote_id}~HIGH_VALUE_CUSTOMERS"
        known = self._client.query(
            "SELECT user_list_customer_type.resource_name FROM user_list_customer_type "
            f"WHERE user_list_customer_type.resource_name = '{name}'"
        )
        if not known:
            body = {"user_list": self._list(handle), "customer_type_category": HIGH_VALUE_CUSTOMERS}
            self._client.mutate("UserListCustomerTypeService", "mutate_user_list_customer_types", [{"create": body}])

    def set_multiplier(self, handle: AudienceHandle, multiplier: Decimal) -> None:
        """Nothing: conversions of the list's people count this many times their value when Google bids."""
        rules = self._client.query(
            "SELECT conversion_value_rule.resource_name, conversion_value_rule.action.value, "
            "conversion_value_rule.audience_condition.user_lists, conversion_value_rule.status FROM conversion_value_rule "
            "WHERE conversion_value_rule.status = 'ENABLED'"
        )
        mine = [row.conversion_value_rule for row in rows_for(rules, self._list(handle))]
        if any(abs(rule.action.value - float(multiplier)) < 1e-9 for rule in mine):
            return
        action = {"operation": MULTIPLY, "value": float(multiplier)}
        if mine:
            change = {
                "update": {"resource_name": mine[0].resource_name, "action": action},
                "update_mask": {"paths": ["action.operation", "action.value"]},
            }
            self._client.mutate("ConversionValueRuleService", "mutate_conversion_value_rules", [change])
            return
        body = {"action": action, "audience_condition": {"user_lists": [self._list(handle)]}, "status": ENABLED}
        made = self._client.mutate("ConversionValueRuleService", "mutate_conversion_value_rules", [{"create": body}])
        self._attach(made[0])

    def _attach(self, rule: str) -> None:
        """Nothing: the rule is in the account's rule set (an account has one for audiences)."""
        held = self._client.query(
            "SELECT conversion_value_rule_set.resource_name, conversion_value_rule_set.conversion_value_rules, "
            "conversion_value_rule_set.dimensions, conversion_value_rule_set.attachment_type FROM conversion_value_rule_set "
            "WHERE conversion_value_rule_set.status = 'ENABLED'"
        )
        sets = [row.conversion_value_rule_set for row in held]
        mine = [one for one in sets if one.attachment_type == CUSTOMER and AUDIENCE in one.dimensions]
        if mine:
            rules = [*mine[0].conversion_value_rules, rule]
            changed = {"resource_name": mine[0].resource_name, "conversion_value_rules": rules}
            change = {"update": changed, "update_mask": {"paths": ["conversion_value_rules"]}}
        else:
            body = {"conversion_value_rules": [rule], "dimensions": [AUDIENCE], "attachment_type": CUSTOMER}
            change = {"create": body}
        self._client.mutate("ConversionValueRuleSetService", "mutate_conversion_value_rule_sets", [change])


def rows_for(rows: list[Any], user_list: str) -> list[Any]:
    """The value rules whose audience is exactly this list."""
    return [row for row in rows if list(row.conversion_value_rule.audience_condition.user_lists) == [user_list]]
