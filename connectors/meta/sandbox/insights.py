"""Reports answered from `campaigns`: strings, paging, default windows, history limit, report runs (fact sheet 5)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from connectors.meta.sandbox.audiences import page
from connectors.meta.sandbox.world import Account, GraphError, parsed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connectors.meta.sandbox import MetaSandbox
    from connectors.meta.sandbox.calls import Call

HISTORY_DAYS: Final = 37 * 365 // 12 + 1
DEAD: Final = ("7d_view", "28d_view")
WINDOWS: Final = ("1d_click", "7d_click", "28d_click", "1d_view", "1d_ev", "dda", "default", *DEAD)
LEVELS: Final[dict[str, tuple[str, ...]]] = {
    "account": (),
    "campaign": ("campaign",),
    "adset": ("campaign", "adset"),
    "ad": ("campaign", "adset", "ad"),
}
_ANY: Final = frozenset("ACTIVE PAUSED DELETED ARCHIVED IN_PROCESS WITH_ISSUES".split())
STATUSES: Final = {
    "account": frozenset[str](),
    "campaign": _ANY,
    "adset": _ANY | {"CAMPAIGN_PAUSED"},
    "ad": _ANY | set("CAMPAIGN_PAUSED ADSET_PAUSED DISAPPROVED PENDING_BILLING_INFO PENDING_REVIEW PREAPPROVED".split()),
}
KEPT: Final = ("DELETED", "ARCHIVED")
FIELDS: Final = frozenset(
    "account_currency account_id campaign_id campaign_name adset_id adset_name ad_id ad_name spend impressions reach clicks "
    "inline_link_clicks actions action_values purchase_roas attribution_setting date_start date_stop".split()
)


@dataclass
class Run:
    """A report run: how often it was asked about, and how it will end."""

    id: str
    account: str
    params: dict[str, Any]
    outcome: str
    created: datetime
    polls: int = 0
    report: Report | None = None


@dataclass
class Report:
    """A checked report request and the campaign rows that go into each of its rows, in order."""

    account: Account
    params: dict[str, Any]
    fields: list[str]
    span: tuple[date, date]
    windows: list[str]
    groups: list[tuple[tuple[str, ...], list[dict[str, Any]]]]

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, part: slice) -> list[dict[str, Any]]:
        """These rows as Meta shows them."""
        made = [_row(self.account, key, group, self.params, self.span, self.windows) for key, group in self.groups[part]]
        return [{name: one[name] for name in (*self.fields, "date_start", "date_stop") if name in one} for one in made]


def rows(box: MetaSandbox, account: Account, params: dict[str, Any], call: Call) -> dict[str, Any]:
    """One page of a report."""
    return page(report(box, account, params), int(params.get("limit") or 25), call)


def report(box: MetaSandbox, account: Account, params: dict[str, Any]) -> Report:
    """The report that was asked for; raises GraphError for a request that Meta refuses."""
    level = str(params.get("level") or "account")
    if level not in LEVELS:
        raise GraphError(100, "Invalid parameter: level")
    fields = _fields(params)
    since, until = _range(box, params)
    windows = _windows(params)
    statuses = _statuses(params, level)
    chosen = [row for row in box.campaigns if since.isoformat() <= str(row["date"]) <= until.isoformat()]
    chosen = [row for row in chosen if statuses is None or str(row.get("effective_status", "ACTIVE")) in statuses]
    if statuses is None and level != "account":  # without a filter, deleted and archived ones are left out
        chosen = [row for row in chosen if row.get("effective_status", "ACTIVE") not in KEPT]
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in chosen:
        start = _start(date.fromisoformat(str(row["date"])), since, params.get("time_increment"))
        names = tuple(str(row[f"{part}_id"]) for part in LEVELS[level])
        groups.setdefault((start.isoformat(), *names), []).append(row)
    if len(groups) > box.report_limit:
        raise GraphError(100, "Please reduce the amount of data you're asking for", 1487534)
    return Report(account, params, fields, (since, until), windows, sorted(groups.items()))


def start_run(box: MetaSandbox, account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """The id of a new report run."""
    _range(box, params)
    number = str(6_023_920_149_050 + len(box.runs))
    outcome = box.run_outcomes.pop(0) if box.run_outcomes else "Job Completed"
    box.runs[number] = Run(number, account.id, dict(params), outcome, box.clock.now())
    return {"report_run_id": number}


def run_status(box: MetaSandbox, run: Run) -> dict[str, Any]:
    """The run's state; it moves on with every look at it."""
    run.polls += 1
    steps = [("Job Not Started", 0), ("Job Running", 60), ("Job Running", 100)]
    state, percent = steps[run.polls - 1] if run.polls <= min(box.run_polls, len(steps)) else (run.outcome, 100)
    answer: dict[str, Any] = {
        "id": run.id,
        "account_id": run.account,
        "time_ref": int(run.created.timestamp()),
        "async_status": state,
        "async_percent_completion": percent if state != "Job Failed" else 40,
    }
    if state == "Job Failed":
        answer.update(error_code=-2, error_subcode=2490547, error_message="Report failed", error_user_title="Report failed")
    return answer


def run_rows(box: MetaSandbox, run: Run, call: Call) -> dict[str, Any]:
    """One page of a finished run."""
    if run.outcome != "Job Completed" or run.polls <= min(box.run_polls, 3):
        raise GraphError(2601, "Loading Async Report Run data failed", 1815107, is_transient=True)
    if run.report is None:
        run.report = report(box, box.account(run.account), run.params)
    return page(run.report, int(call.params.get("limit") or run.params.get("limit") or 25), call)


def _fields(params: dict[str, Any]) -> list[str]:
    wanted = parsed(params["fields"], "fields") if str(params.get("fields", "")).startswith("[") else params.get("fields")
    names = wanted if isinstance(wanted, list) else str(wanted or "impressions,spend").split(",")
    if unknown := [name for name in names if name not in FIELDS]:
        raise GraphError(100, f"{unknown[0]} is not valid for fields param")
    return [str(name) for name in names]


def _range(box: MetaSandbox, params: dict[str, Any]) -> tuple[date, date]:
    today = box.clock.now().date()
    if "time_range" not in params:
        days = {"yesterday": 1, "last_7d": 7, "last_30d": 30}.get(str(params.get("date_preset") or "last_30d"))
        if days is None:
            raise GraphError(100, "Invalid parameter: date_preset")
        return today - timedelta(days=days), today - timedelta(days=1)
    span = parsed(params["time_range"], "time_range")
    try:
        since, until = date.fromisoformat(span["since"]), date.fromisoformat(span["until"])
    except (KeyError, TypeError, ValueError):
        raise GraphError(100, "Invalid parameter: time_range") from None
    if since > until:
        raise GraphError(100, "Invalid parameter: time_range starts after its end")
    if since < today - timedelta(days=HISTORY_DAYS):
        raise GraphError(3018, "The start date of the time range cannot be beyond 37 months from the current date")
    return since, until


def _windows(params: dict[str, Any]) -> list[str]:
    wanted = parsed(params.get("action_attribution_windows", ["default"]), "action_attribution_windows")
    if not isinstance(wanted, list) or not set(wanted) <= set(WINDOWS):
        raise GraphError(100, "Invalid parameter: action_attribution_windows")
    return [str(one) for one in wanted]


def _statuses(params: dict[str, Any], level: str) -> set[str] | None:
    filters = parsed(params.get("filtering", []), "filtering")
    found = None
    for one in filters if isinstance(filters, list) else []:
        if one.get("field") not in (
            "campaign.effective_status",
            "adset.effective_status",
            "ad.effective_status",
            "campaign.id",
        ):
            raise GraphError(100, "Invalid parameter: filtering")
        part, _, what = str(one["field"]).partition(".")
        if what == "effective_status":
            found = set(one["value"])
            if part != level or not found <= STATUSES[level]:
                raise GraphError(100, f"Invalid parameter: filtering by {part}.effective_status at level {level}")
    return found


def _start(day: date, since: date, increment: Any) -> date:
    if increment in (None, "all_days"):
        return since
    if increment == "monthly":
        return max(since, day.replace(day=1))
    if not str(increment).isdigit() or not 1 <= int(increment) <= 90:
        raise GraphError(100, "Invalid parameter: time_increment")
    return since + timedelta(days=(day - since).days // int(increment) * int(increment))


def _stop(start: date, until: date, increment: Any) -> date:
    if increment in (None, "all_days"):
        return until
    if increment == "monthly":
        return min(until, (start.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1))
    return min(until, start + timedelta(days=int(increment) - 1))


def _row(
    account: Account,
    key: tuple[str, ...],
    group: list[dict[str, Any]],
    params: dict[str, Any],
    span: tuple[date, date],
    windows: list[str],
) -> dict[str, Any]:
    first, start = group[0], date.fromisoformat(key[0])
    clicks, purchases = _total(group, "clicks"), _total(group, "conversions")
    value, spend = _total(group, "conversion_value"), _total(group, "spend")
    row: dict[str, Any] = {
        "account_currency": account.currency,
        "account_id": account.id,
        **{name: str(first[name]) for name in ("campaign_id", "campaign_name", "adset_id", "ad_id") if name in first},
        "spend": f"{spend:.2f}",
        "impressions": str(int(_total(group, "impressions"))),
        "clicks": str(int(clicks)),
        "date_start": key[0],
        "date_stop": _stop(start, span[1], params.get("time_increment")).isoformat(),
    }
    actions = [{"action_type": "link_click", "value": str(int(clicks * Decimal("0.8")))}] if clicks else []
    if purchases:
        actions += _purchases(purchases, windows, Decimal(1))
    if actions:
        row["actions"] = actions
    if value:
        row["action_values"] = _purchases(value, windows, Decimal("0.01"))
        if spend:
            row["purchase_roas"] = [{"action_type": "omni_purchase", "value": f"{value / spend:.6f}"}]
    return row


def _purchases(amount: Decimal, windows: list[str], unit: Decimal) -> list[dict[str, str]]:
    """The same purchases under overlapping types, split over windows; dead windows come without a word."""
    viewed = (amount / 5 // unit) * unit
    parts = {"1d_view": viewed, "7d_click": amount - viewed, "28d_click": amount - viewed, "dda": amount}
    parts["1d_click"] = ((amount - viewed) / 2 // unit) * unit
    named = {name: str(parts[name]) for name in windows if parts.get(name)}
    kinds = ("omni_purchase", "purchase", "offsite_conversion.fb_pixel_purchase")
    return [{"action_type": kind, "value": str(amount), **named} for kind in kinds]


def _total(group: Iterable[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(str(row.get(name) or 0)) for row in group), Decimal(0))


def default_campaigns(today: date, days: int = 60) -> list[dict[str, Any]]:
    """Three made-up campaigns of two ads each, the same for the same day."""
    dice = random.Random(7)
    made: list[dict[str, Any]] = []
    for campaign, (name, cost) in enumerate((("Prospecting", 40), ("Lookalike", 25), ("Retargeting", 12)), 1):
        for ad in (1, 2):
            for back in range(days, 0, -1):
                impressions, conversions = dice.randint(800, 5000), dice.randint(0, 6)
                made.append({
                    "campaign_id": f"1200000000{campaign}",
                    "campaign_name": name,
                    "adset_id": f"1210000000{campaign}",
                    "ad_id": f"1220000000{campaign}{ad}",
                    "date": (today - timedelta(days=back)).isoformat(),
                    "spend": f"{cost * dice.uniform(0.7, 1.3):.2f}",
                    "impressions": str(impressions),
                    "clicks": str(impressions // 60),
                    "conversions": str(conversions),
                    "conversion_value": f"{conversions * dice.uniform(20, 60):.2f}",
                })  # fmt: skip
    return made
