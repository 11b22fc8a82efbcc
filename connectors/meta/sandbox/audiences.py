"""Audiences as objects: create, list, read, update, delete (fact sheet 2.1, 2.8, 2.9, 4)."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from connectors.meta.sandbox.lookalikes import PEOPLE_PER_PERCENT, POPULATE, create_lookalike
from connectors.meta.sandbox.world import Account, Audience, GraphError, parsed
from connectors.neutral import flagged_words

if TYPE_CHECKING:
    from datetime import datetime

    from connectors.meta.sandbox import MetaSandbox
    from connectors.meta.sandbox.calls import Call
    from connectors.meta.sandbox.insights import Report

SOURCES: Final = ("USER_PROVIDED_ONLY", "PARTNER_PROVIDED_ONLY", "BOTH_USER_AND_PARTNER_PROVIDED")
MAXIMUM: Final = 500
EXPIRING: Final = 100
FIELDS: Final = (
    "id", "account_id", "name", "description", "subtype", "is_value_based", "customer_file_source", "data_source",
    "approximate_count_lower_bound", "approximate_count_upper_bound", "delivery_status", "operation_status", "time_created",
    "time_updated", "time_content_updated", "retention_days", "opt_out_link", "lookalike_audience_ids", "lookalike_spec",
    "fields_violating_integrity_policy", "delete_time", "sharing_status", "permission_for_actions", "owner_business",
    "is_eligible_for_sac_campaigns",
)  # fmt: skip
_KNOWN: Final = frozenset(
    "name subtype customer_file_source description is_value_based audience_labels retention_days opt_out_link allowed_domains "
    "enable_fetch_or_create use_in_campaigns use_for_products usage_restriction partner_reference_key dataset_id "
    "subscription_info origin_audience_id lookalike_spec".split()
)
LABELS: Final = frozenset(
    "APP_USERS AT_RISK CART_ABANDONERS CUSTOMERS DISENGAGED DISQUALIFIED_LEADS ENGAGED_USERS GENERAL_CUSTOMERS "
    "HIGH_VALUE_CUSTOMERS LOW_VALUE_CUSTOMERS OTHER_1 OTHER_2 OTHER_3 QUALIFIED_LEADS RECENT_PURCHASERS TRIAL_USERS".split()
)
_DESCRIPTIONS: Final = {
    200: "Normal", 410: "No users were uploaded", 414: "Replace in progress", 415: "Replace failed",
    441: "We're finding people", 471: "Blocked for integrity",
}  # fmt: skip


def create(box: MetaSandbox, account: Account, call: Call) -> Audience:
    """The new audience; raises GraphError where Meta refuses."""
    params = call.params
    if unknown := set(params) - _KNOWN:
        raise GraphError(100, f"Unexpected parameter(s): {', '.join(sorted(unknown))}")
    for name in ("name", "subtype"):
        if not params.get(name):
            raise GraphError(100, f"Missing parameter(s): {name}")
    if not account.may_write:
        raise GraphError(2654, "Failed to create custom audience: no permission", 1713092)
    if not account.business:
        raise GraphError(200, "The ad account is not linked to a business", 1870050, status=403)
    if not account.tos:
        raise GraphError(200, "To create or edit an audience, accept the customer-list terms", 1870034, status=403)
    if params["subtype"] == "LOOKALIKE":
        return create_lookalike(box, account, call)
    if params["subtype"] != "CUSTOM":
        raise GraphError(100, "Invalid parameter: subtype")
    if not params.get("customer_file_source"):
        raise GraphError(100, "Missing parameter(s): customer_file_source")
    if params["customer_file_source"] not in SOURCES:
        raise GraphError(100, "Invalid parameter: customer_file_source")
    value_based = _flag(params.get("is_value_based", False), "is_value_based")
    if value_based and not account.value_tos:
        raise GraphError(200, "Accept the terms for value-based audiences of this ad account", 1870090, status=403)
    if sum(one.account == account.id and one.subtype == "CUSTOM" for one in box.audiences.values()) >= MAXIMUM:
        raise GraphError(2654, f"Failed to create custom audience: {MAXIMUM} customer lists exist")
    extra = {"customer_file_source": params["customer_file_source"], **_limits(params)}
    audience = box.new_audience(account.id, str(params["name"]), "CUSTOM")
    audience.description, audience.value_based = str(params.get("description") or ""), value_based
    audience.extra = extra
    screen(audience)
    return audience


def _limits(params: dict[str, Any]) -> dict[str, Any]:
    labels = parsed(params.get("audience_labels", []), "audience_labels")
    if not isinstance(labels, list) or not set(map(str, labels)) <= LABELS:
        raise GraphError(100, "Invalid parameter: audience_labels")
    days = params.get("retention_days")
    if days is not None and not (str(days).isdigit() and 1 <= int(days) <= 180):
        raise GraphError(100, "Invalid parameter: retention_days is 1 to 180")
    link = params.get("opt_out_link")
    if link is not None and not str(link).startswith(("http://", "https://")):
        raise GraphError(100, "Invalid parameter: opt_out_link")
    return {name: value for name, value in (("retention_days", int(days) if days else None), ("opt_out_link", link)) if value}


def _flag(value: Any, name: str) -> bool:
    if value in (True, 1, "1", "true"):
        return True
    if value in (False, 0, "0", "false"):
        return False
    raise GraphError(100, f"Invalid parameter: {name}")


def screen(audience: Audience) -> None:
    """Nothing: words that hint at health or finance block the audience (471)."""
    texts = {"name": audience.name, "description": audience.description}
    audience.flagged = [field for field, text in texts.items() if flagged_words(text)]


def update(box: MetaSandbox, audience: Audience, call: Call) -> dict[str, Any]:
    """Success after a change of name or description; a lookalike and a seed of lookalikes can't be edited."""
    if audience.flagged:
        raise GraphError(100, "A flagged audience can't be edited", 1713231)
    if audience.subtype == "LOOKALIKE":
        raise GraphError(100, "A lookalike can't be edited", 1713228)
    if any(one.origin == audience.id for one in box.audiences.values()):
        raise GraphError(2656, "Failed to edit custom audience because associated lookalikes exist")
    if not box.account(audience.account).tos:
        raise GraphError(200, "To create or edit an audience, accept the customer-list terms", 1870034, status=403)
    if unknown := set(call.params) - {"name", "description", "opt_out_link", "customer_file_source"}:
        raise GraphError(100, f"Invalid parameter: {', '.join(sorted(unknown))} can't be changed")
    if call.params.get("name") == "":
        raise GraphError(100, "Invalid parameter: name")
    audience.name = str(call.params.get("name", audience.name))
    audience.description = str(call.params.get("description", audience.description))
    audience.extra |= _limits(call.params)
    screen(audience)
    return {"success": True}


def delete(box: MetaSandbox, audience: Audience) -> dict[str, Any]:
    """Success after a deletion; lookalikes built on the audience forbid it."""
    if any(one.origin == audience.id for one in box.audiences.values()):
        raise GraphError(2656, "Failed to delete custom audience because associated lookalikes exist")
    del box.audiences[audience.id]
    return {"success": True}


def listing(box: MetaSandbox, account: Account, call: Call) -> dict[str, Any]:
    """One page of an account's audiences."""
    limit = int(call.params.get("limit") or 25)
    if limit > box.heavy_limit or "rule" in call.fields():
        raise GraphError(1, "Please reduce the amount of data you're asking for, then retry your request", 99, status=500)
    held = [one for one in box.audiences.values() if one.account == account.id]
    return page([read(box, one, call.fields()) for one in held], limit, call)


def page(rows: list[dict[str, Any]] | Report, limit: int, call: Call) -> dict[str, Any]:
    """A page of rows with cursors; `next` only where more follows."""
    after = call.params.get("after")
    try:
        start = int(base64.b64decode(str(after)).decode()) if after else 0
    except ValueError:
        raise GraphError(100, "Invalid parameter: after") from None
    chosen, end = rows[start : start + limit], start + limit
    if not chosen:
        return {"data": []}
    cursors = {"before": base64.b64encode(str(start).encode()).decode(), "after": base64.b64encode(str(end).encode()).decode()}
    paging: dict[str, Any] = {"cursors": cursors}
    if end < len(rows):
        paging["next"] = f"https://graph.facebook.com/{call.version}/{'/'.join(call.path)}?after={cursors['after']}"
    return {"data": chosen, "paging": paging}


def read(box: MetaSandbox, audience: Audience, fields: list[str]) -> dict[str, Any]:
    """The fields asked for, and always the id."""
    if unknown := [name for name in fields if name not in FIELDS]:
        raise GraphError(100, f"Tried accessing nonexisting field ({unknown[0]}) on node type (CustomAudience)")
    whole = _whole(box, audience)
    return {**{name: whole[name] for name in fields if whole.get(name) is not None}, "id": audience.id}


def _whole(box: MetaSandbox, audience: Audience) -> dict[str, Any]:
    now = box.clock.now()
    operation, usable, lower, upper = standing(box, audience, now)
    return {
        "account_id": audience.account,
        "name": audience.name,
        "description": audience.description,
        "subtype": audience.subtype,
        "is_value_based": audience.value_based,
        **audience.extra,
        "data_source": {"type": "FILE_IMPORTED", "sub_type": "MULTI_HASHES"} if audience.members else None,
        "approximate_count_lower_bound": lower,
        "approximate_count_upper_bound": upper,
        "operation_status": {"code": operation, "description": _DESCRIPTIONS.get(operation, "Status")},
        "delivery_status": {
            "code": usable,
            "description": "This audience is ready for use." if usable == 200 else "Not usable.",
        },
        "time_created": int(audience.created.timestamp()),
        "time_updated": int((audience.updated or audience.created).timestamp()),
        "time_content_updated": int(audience.updated.timestamp()) if audience.updated else None,
        "lookalike_audience_ids": [one.id for one in box.audiences.values() if one.origin == audience.id] or None,
        "lookalike_spec": audience.spec or None,
        "fields_violating_integrity_policy": audience.flagged or None,
        "delete_time": int((now + timedelta(days=90)).timestamp()) if operation == EXPIRING else None,
        "sharing_status": {"sharing_relationship_id": "0", "status": 100},
        "permission_for_actions": {"can_edit": True, "can_see_insight": "True", "can_share": "True"},
        "is_eligible_for_sac_campaigns": False,
        "owner_business": {"id": "900", "name": "Business"},
    }


def standing(box: MetaSandbox, audience: Audience, now: datetime) -> tuple[int, int, int, int]:
    """Operation status, delivery status and size bounds (-1: too small, or nothing is counted yet)."""
    if audience.flagged:
        return 471, 400, -1, -1
    if audience.subtype == "LOOKALIKE":
        done = now >= audience.created + POPULATE
        size = round(float(audience.spec["ratio"]) * 100 * len(audience.spec["target_countries"]) * PEOPLE_PER_PERCENT)
        return (audience.forced_status or (200 if done else 441), 200, size, round(size * 1.1)) if done else (441, 200, -1, -1)
    matched = box.matched(audience.visible(now, timedelta(hours=box.settle_hours)))
    lower, upper = bounds(matched) if matched is not None else (-1, -1)
    usable = 200 if matched is None or matched >= box.minimum_matched else 300
    if audience.replace is not None or (audience.busy_until is not None and now < audience.busy_until):
        return 414, 200, lower, upper
    if audience.updated is None:
        return audience.forced_status or 410, 300, -1, -1
    return audience.forced_status or (441 if matched is None else 200), usable, lower, upper


def bounds(matched: int) -> tuple[int, int]:
    """Size as Meta shows it: two figures, a band of some 18%; -1 for fewer than 100."""
    if matched < 100:
        return -1, -1
    step = 10 ** (len(str(matched)) - 2)
    lower = matched // step * step
    return lower, int(lower * 1.18) // step * step + step
