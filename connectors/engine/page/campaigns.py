"""The campaign table and the group tables: which columns, in which order, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.engine.page.formats import number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `kind` is text, money, count, ratio, share or days (how it is written and sorted)."""

    key: str
    label: str
    kind: str
    hint: str = ""


COLUMNS = (
    Column("campaign_name", "Campaign", "text"),
    Column("platform", "Platform", "text"),
    Column("quadrant", "Verdict", "text", "ROAS and customer value against their benchmarks, only beyond noise"),
    Column("spend", "Spend", "money"),
    Column("roas", "ROAS", "ratio", "conversion value the platform claims, over spend"),
    Column("clv_roas", "CLV-ROAS", "ratio", "lifetime value of the customers it brought, over spend"),
    Column("clv_roas_low", "from", "ratio", "lower end of the 90% range"),
    Column("clv_roas_high", "to", "ratio", "upper end of the 90% range"),
    Column("equal_age_roas", "At equal age", "ratio", "value within one span after coming, over spend: no credit for age"),
    Column("customers", "Customers", "count", "customers whose source is this campaign"),
    Column("cac", "CAC", "money", "spend per customer"),
    Column("first_order_revenue", "First orders", "money"),
    Column("realised_value", "So far", "money", "all they have spent, refunds taken off"),
    Column("predicted_clv", "Predicted", "money", "what they are predicted to bring over the horizon"),
    Column("value_per_customer", "Value each", "money", "so far and predicted, per customer"),
    Column("track_factor", "Record", "ratio", "what its customers brought over what the model said of them, last window"),
    Column("high_tier_share", "High tier", "share"),
    Column("repeat_rate", "Came back", "share", "share with more than one order"),
    Column("payback_days", "Payback", "days", "age at which a customer has paid back its cost"),
    Column("payback_kind", "Payback is", "text"),
    Column("creative", "Creative", "text"),
    Column("objective", "Objective", "text"),
    Column("account_id", "Account", "text"),
    Column("campaign_id", "Campaign id", "text"),
)
_GROUP = (
    ("spend", "Spend", "money"), ("roas", "ROAS", "ratio"), ("clv_roas", "CLV-ROAS", "ratio"),
    ("equal_age_roas", "At equal age", "ratio"), ("customers", "Customers", "count"), ("cac", "CAC", "money"),
    ("realised_value", "So far", "money"), ("predicted_clv", "Predicted", "money"),
    ("value_per_customer", "Value each", "money"), ("equal_age_each", "Each at equal age", "money"),
    ("high_tier_share", "High tier", "share"), ("repeat_rate", "Came back", "share"),
)  # fmt: skip
GROUP_COLUMNS: dict[str, tuple[Column, ...]] = {
    name: (Column(key, label, "text"), *(Column(*column) for column in _GROUP))
    for name, key, label in (
        ("totals", "scope", "Customers from"),
        ("platforms", "platform", "Platform"),
        ("creative", "creative", "Creative style"),
        ("objectives", "objective", "Objective"),
        ("cohorts", "cohort", "Cohort"),
    )
}
_DIGITS = {"money": 2, "ratio": 4, "share": 4, "count": 0, "days": 0}


def cells(row: Mapping[str, Any]) -> list[Any]:
    """The row's values in the order of COLUMNS, rounded to what the page shows (keeps the page small)."""
    return [_value(row.get(column.key), column.kind) for column in COLUMNS]


def group_rows(rows: Sequence[Mapping[str, Any]], name: str) -> list[list[Any]]:
    """The rows of a group table in the order of its columns."""
    return [[_value(row.get(column.key), column.kind) for column in GROUP_COLUMNS[name]] for row in rows]


def _value(value: Any, kind: str) -> Any:
    if kind == "text":
        return "" if value is None else str(value)
    found = number(value)
    return None if found is None else round(found, _DIGITS[kind])
