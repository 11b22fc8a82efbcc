"""What the page says in sentences: what changed, the headline, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.engine.page.formats import DASH, change, count, money, number, ratio, share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
STAGES = {"prospect": "Aware, never bought", "new": "New", "active": "Active", "at_risk": "At risk", "lapsed": "Lapsed"}


_EVIDENCE = {
    "ids": "campaign ids of contacts",
    "click_id": "click ids",
    "order_id": "the platforms' own orders",
    "utm": "UTM parameters",
    "none": "nothing",
}


def known_by(basis: str) -> str:
    """The evidence of a customer's source: `click ids`, or `click ids, campaign by UTM parameters`."""
    return ", campaign by ".join(_EVIDENCE.get(part, part.replace("_", " ")) for part in str(basis).split("+"))


def changes(now: Mapping[str, Any], before: Mapping[str, Any] | None, audiences: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is different since the previous run, most important first; the first run says so."""
    if before is None:
        return [*_stopped(audiences), "This is the first run: from the next one on, this place says what changed."]
    said = [*_stopped(audiences), *_verdicts(now, before), *_figures(now, before), *_members(audiences)]
    return said or [f"Nothing changed since the run of {before.get('as_of', 'before')}."]


def _figures(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    currency, said = str(now["currency"]), []
    since = f"since {before.get('as_of')}"
    if before.get("currency") not in (None, currency):
        return [f"Money is now shown in {currency}, before in {before['currency']}: amounts are not compared."]
    born = (number(now.get("customers")) or 0) - (number(before.get("customers")) or 0)
    if born:
        said.append(f"{count(abs(born))} {'new' if born > 0 else 'fewer'} customers {since}: {count(now['customers'])} in all.")
    for name, what in (("predicted_clv", "Predicted value"), ("spend", "Spend")):
        moved = change(now.get(name), before.get(name))
        if moved != DASH:
            then, here = money(before.get(name), currency), money(now.get(name), currency)
            said.append(f"{what} went from {then} to {here} ({moved}).")
    old, new = number(before.get("clv_roas")), number(now.get("clv_roas"))
    if old is not None and new is not None and abs(new - old) >= 0.005:
        said.append(f"Customer value per unit of spend went from {ratio(old)} to {ratio(new)}.")
    return said


def _verdicts(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    old, new = before.get("verdicts") or {}, now.get("verdicts") or {}
    names = now.get("names") or {}
    said = [
        f"“{names.get(key, key)}” moved from {old[key]} to {verdict}."
        for key, verdict in new.items()
        if key in old and old[key] != verdict and "few" not in f"{old[key]} {verdict}"
    ]
    fresh = [key for key in new if key not in old]
    if old and fresh:
        said.append(
            f"{len(fresh)} new campaign{'s' * (len(fresh) > 1)}: {', '.join(names.get(key, key) for key in fresh[:5])}."
        )
    return said[:8]


def _stopped(audiences: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was not sent, and why: it comes before all that did change."""
    found: dict[str, list[str]] = {}
    for row in audiences:
        if _held_back(row):
            found.setdefault(str(row["guardrail"]), []).append(
                f"{row.get('name') or row.get('audience')} ({row.get('platform')})"
            )
    said = [f"A guardrail stopped {_listed(names)}: {why}." for why, names in found.items()]
    failed = [f"{row.get('name') or row.get('audience')} ({row.get('platform')})" for row in audiences if _undone(row)]
    return said + ([f"Not finished: {_listed(failed)}; the reasons are under Audiences."] if failed else [])


def _held_back(row: Mapping[str, Any]) -> bool:
    return bool(row.get("guardrail")) and not row.get("forced")


def _undone(row: Mapping[str, Any]) -> bool:
    return row.get("state") in ("failed", "incomplete") and not _held_back(row)


def _listed(names: Sequence[str]) -> str:
    """The first four names, and how many more there are."""
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _members(audiences: Sequence[Mapping[str, Any]]) -> list[str]:
    went = [row for row in audiences if not _held_back(row) and not _undone(row)]
    moved = {kind: sum(int(row.get(kind) or 0) for row in went) for kind in ("add", "remove", "change")}
    if not any(moved.values()):
        if len(went) < len(audiences):
            return [f"Audiences that needed no change: {len(went)}."] if went else []
        return ["No audience needed a change: every platform already holds the wanted members."] if audiences else []
    parts = [f"{count(n)} {word}" for n, word in zip(moved.values(), ("added", "removed", "changed"), strict=True) if n]
    return [f"Audience members: {', '.join(parts)}."]


def cards(now: Mapping[str, Any], previous: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """The headline numbers, each with what it means."""
    currency = str(now["currency"])
    low, high = money(now.get("predicted_low"), currency), money(now.get("predicted_high"), currency)
    rng = f"90% sure: {low} to {high}" if low != DASH else f"over the next {now['horizon_days']} days"
    found = [
        ("Customers", count(now.get("customers")), f"{count(now.get('high_tier'))} in the high tier"),
        (f"Predicted value, next {now['horizon_days']} days", money(now.get("predicted_clv"), currency), rng),
    ]
    if number(now.get("spend")):
        spread = f"90% sure: {ratio(now.get('clv_roas_low'))} to {ratio(now.get('clv_roas_high'))}"
        found += [
            ("CLV-ROAS of paid customers", ratio(now.get("clv_roas")), spread),
            ("ROAS the platforms claim", ratio(now.get("roas")), f"on {money(now.get('spend'), currency)} of spend"),
            ("Cost per paid customer", money(now.get("cac"), currency), f"each worth {money(now.get('paid_value'), currency)}"),
            ("Source known", share(now.get("source_known")), "of customers; the rest is credited to no campaign"),
        ]
    return [
        {"label": label, "value": value, "note": note, "change": _moved(label, now, previous)} for label, value, note in found
    ]


def _moved(label: str, now: Mapping[str, Any], previous: Mapping[str, Any] | None) -> str:
    names = {"Customers": "customers", "CLV-ROAS of paid customers": "clv_roas", "ROAS the platforms claim": "roas"}
    name = names.get(label) or ("predicted_clv" if label.startswith("Predicted") else "cac" if label.startswith("Cost") else "")
    if not previous or not name or previous.get("currency") != now.get("currency"):
        return ""
    said = change(now.get(name), previous.get(name))
    return "" if said == DASH else said


def reasons(counts: Mapping[str, Any] | None) -> str:
    """`412 (no consent 400, no identifier 12)`, most first; `0` for none."""
    counts = {reason: int(n) for reason, n in (counts or {}).items() if n}
    if not counts:
        return "0"
    parts = ", ".join(f"{reason.replace('_', ' ')} {count(n)}" for reason, n in sorted(counts.items(), key=lambda kv: -kv[1]))
    return f"{count(sum(counts.values()))} ({parts})"


def size(row: Mapping[str, Any]) -> str:
    """The size the platform reports: a number, a range, or that it doesn't say."""
    low, high = number(row.get("size_lower")), number(row.get("size_upper"))
    if low is None and high is None:
        return "not said"
    return count(low if low is not None else high) if low == high or None in (low, high) else f"{count(low)} to {count(high)}"


def lookalike(row: Mapping[str, Any]) -> str:
    """`Name (US, CA; narrow): made, ready there, 2,000,000 to 2,200,000 people, refreshed 2026-11-20; detail`."""
    where = ", ".join(row.get("countries") or ())
    inside = "; ".join(part for part in (where, str(row.get("size") or "")) if part)
    told = [str(row.get("state", "unknown"))]
    if row.get("platform_state"):
        told.append(f"{str(row['platform_state']).replace('_', ' ')} there")
    if number(row.get("size_lower")) is not None:
        told.append(f"{size(row)} people")
    if row.get("refreshed_at"):
        told.append(f"refreshed {str(row['refreshed_at'])[:10]}")
    name = f"{row.get('name', 'lookalike')}{f' ({inside})' if inside else ''}"
    return f"{name}: {', '.join(told)}" + (f"; {row['detail']}" if row.get("detail") else "")
