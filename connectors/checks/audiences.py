"""Config's audiences: conditions that DuckDB takes, people they select, platforms that will take them, lookalike countries."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from connectors import translate
from connectors.columns import CONTACTS, SEVERAL
from connectors.engine.audience import specs
from connectors.engine.normalise.country import alpha2
from connectors.engine.selection import check_condition, count_selected
from connectors.errors import SyncError
from connectors.protocol import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from connectors.config import Settings
    from connectors.engine.audience import Account, AudienceRequest
    from connectors.powers import ForeseeingConnector


def look(settings: Settings, accounts: Sequence[Account], scores: pa.Table | None, contacts: pa.Table | None) -> list[Check]:
    """A finding per audience; with the scores of an earlier run also whether it selects anybody."""
    found = []
    for request in translate.requests(settings):
        try:
            faults, notes = _faults(request, settings, accounts), _selected(request, scores, contacts)
        except SyncError as error:
            found.append(Check(f"audience {request.key}", False, error.message, error.remedy))
            continue
        said = ", ".join(request.platforms)
        detail = "; ".join([*(fault for fault, _ in faults), *([notes[0]] if notes[0] else []), said])
        remedy = "; ".join([*dict.fromkeys(fix for _, fix in faults), *([notes[1]] if notes[1] else [])])
        found.append(Check(f"audience {request.key}", not faults, detail, remedy))
    return found


def columns() -> pa.Schema:
    """What a condition may use: the columns of scores, then those of contacts."""
    import pyarrow as pa

    from clv_core.scoring import SCHEMA

    kinds = {name: pa.list_(pa.string()) if name in SEVERAL else pa.string() for name in CONTACTS}
    return pa.schema([*SCHEMA, *((name, kind) for name, kind in kinds.items() if name not in SCHEMA.names)])


def _faults(request: AudienceRequest, settings: Settings, accounts: Sequence[Account]) -> list[tuple[str, str]]:
    """(what is wrong, what to do) of what only config tells; raises ConfigurationError for a condition that is none."""
    check_condition(request, columns())
    found = []
    for name in request.platforms:
        mine = [one for one in accounts if one.place[0] == name]
        if not mine and name in settings.platforms and not settings.platforms[name].accounts:
            found.append(
                (f"{name} has no account", f"add one under {name} in platforms.yaml, or take {name} out of the audience")
            )
        for account in mine:
            found += _objections(request, account, settings.sources.currency)
    for country in dict.fromkeys(country for one in request.lookalikes for country in one.countries):
        if country != alpha2(country):
            known = alpha2(country)
            fix = f"write {known}" if known else "use ISO codes of two letters, such as US or DE"
            found.append((f"lookalike country {country!r} is no ISO code", fix))
    return found


def _objections(request: AudienceRequest, account: Account, currency: str) -> list[tuple[str, str]]:
    limits, name = account.capabilities, account.place[0]
    looks = [one for one in request.lookalikes if not one.platforms or name in one.platforms]
    said = []
    if looks and any(one.platforms for one in looks) and not limits.lookalikes:
        said.append(f"{name} makes no lookalikes")
    if limits.foresees:
        judge = cast("ForeseeingConnector", account.connector)
        said += [judge.objection(one) for one in (*specs(request, limits, currency), *(looks if limits.lookalikes else ()))]
    return [(f"{name}: {one}", "change the audience in audiences.yaml") for one in dict.fromkeys(said) if one]


def _selected(request: AudienceRequest, scores: pa.Table | None, contacts: pa.Table | None) -> tuple[str, str]:
    """How many of the last run's customers it selects, before consent; and what to do when that is nobody."""
    if scores is None or contacts is None:
        return "", ""
    count = count_selected(request, scores, contacts)
    return f"selects {count:,} of {scores.num_rows:,} scored customers", (
        "" if count else "nobody is selected: loosen `who` in audiences.yaml"
    )
