"""Which path does what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

from connectors.meta.sandbox import audiences, events, insights, limits, uploads
from connectors.meta.sandbox.calls import Call, read_body
from connectors.meta.sandbox.world import Account, Audience, GraphError, parsed

if TYPE_CHECKING:
    from connectors.meta.sandbox import MetaSandbox
    from connectors.meta.sandbox.rows import Rows

BATCH_LIMIT: Final = 50


def route(box: MetaSandbox, call: Call, log: dict[str, Any]) -> Any:
    """The document that answers a call; fills `log` for the request log."""
    if not call.path:
        return _batch(box, call, log)
    node, edge = call.path[0], call.path[1] if len(call.path) > 1 else ""
    if node.startswith("act_"):
        return _account(box, box.account(node.removeprefix("act_")), edge, call, log)
    if node in box.runs:
        return _run(box, box.runs[node], edge, log, call)
    if (node, edge, call.method) == ("me", "permissions", "GET"):
        log["operation"] = "user"
        return {"data": [{"permission": name, "status": "granted"} for name in box.permissions]}
    known = node in box.datasets or (not box.datasets and "last_fired_time" in call.fields())
    if edge == "events" or (not edge and known):
        return _dataset(box, node, edge, log, call)
    audience = box.audiences.get(node)
    if audience is None:
        log["operation"] = "missing"
        raise GraphError(100, f"Unsupported request. Object with ID '{node}' does not exist or is not visible", 33)
    return _audience(box, audience, edge, call, log)


def _dataset(box: MetaSandbox, node: str, edge: str, log: dict[str, Any], call: Call) -> dict[str, Any]:
    if box.datasets and node not in box.datasets:
        log["operation"] = "missing"
        raise GraphError(100, f"Unsupported request. Object with ID '{node}' does not exist or is not visible", 33)
    if edge:
        log["operation"] = "events"
        return events.receive(box, node, call)
    log["operation"] = "read"
    times = [int(one["event_time"]) for one in box.events if one["dataset"] == node]
    whole = {
        "name": box.datasets.get(node, "Dataset"),
        "last_fired_time": datetime.fromtimestamp(max(times), UTC).isoformat() if times else None,
    }
    if unknown := [name for name in call.fields() if name not in (*whole, "id")]:
        raise GraphError(100, f"Tried accessing nonexisting field ({unknown[0]}) on node type (AdsPixel)")
    return {**{name: whole[name] for name in call.fields() if whole.get(name)}, "id": node}


def _account(box: MetaSandbox, account: Account, edge: str, call: Call, log: dict[str, Any]) -> Any:
    log["account"], writing = account.id, call.method != "GET"
    limits.count(account, box.tier, box.clock.now(), write=writing, audience=edge != "insights")
    if not edge and not writing:
        log["operation"] = "account"
        return _account_fields(account, call)
    if edge == "customaudiences" and not writing:
        log["operation"] = "list"
        return audiences.listing(box, account, call)
    if edge == "customaudiences" and call.method == "POST":
        log["operation"] = "lookalike" if call.params.get("subtype") == "LOOKALIKE" else "create"
        made = audiences.create(box, account, call)
        log["audience"] = made.id
        return {"id": made.id}
    if edge == "usersofanyaudience" and call.method == "DELETE":
        log["operation"] = "remove_everywhere"
        return _counted(uploads.users_of_any_audience(box, account, call), log)
    if edge == "insights":
        log["operation"] = "report"
        made_run = writing and call.method == "POST"
        return insights.start_run(box, account, call.params) if made_run else insights.rows(box, account, call.params, call)
    raise GraphError(2500, f"Unknown path components: /{edge}")


def _account_fields(account: Account, call: Call) -> dict[str, Any]:
    signed = {"custom_audience_tos": int(account.tos), "value_based_custom_audience_tos": int(account.value_tos)}
    whole = {
        "account_id": account.id,
        "name": f"Account {account.id}",
        "account_status": account.status,
        "currency": account.currency,
        "timezone_name": account.timezone,
        "tos_accepted": {name: value for name, value in signed.items() if value},
        "user_tos_accepted": {name: value for name, value in signed.items() if value},
    }
    if unknown := [name for name in call.fields() if name not in (*whole, "id")]:
        raise GraphError(100, f"Tried accessing nonexisting field ({unknown[0]}) on node type (AdAccount)")
    return {**{name: whole[name] for name in call.fields() if name in whole}, "id": f"act_{account.id}"}


def _run(box: MetaSandbox, run: insights.Run, edge: str, log: dict[str, Any], call: Call) -> dict[str, Any]:
    log["operation"], log["account"] = "report", run.account
    limits.count(box.account(run.account), box.tier, box.clock.now(), write=False, audience=False)
    return insights.run_rows(box, run, call) if edge == "insights" else insights.run_status(box, run)


def _audience(box: MetaSandbox, audience: Audience, edge: str, call: Call, log: dict[str, Any]) -> Any:
    account, writing = box.account(audience.account), call.method != "GET"
    log.update(account=account.id, audience=audience.id)
    limits.count(account, box.tier, box.clock.now(), write=writing, audience=True)
    uploads.tick(audience, box.clock.now(), box.replace_minutes)
    if edge == "users" and writing:
        log["operation"] = "remove" if call.method == "DELETE" else "add"
        return _counted(uploads.users(box, audience, call), log)
    if edge == "usersreplace" and call.method == "POST":
        log["operation"] = "replace"
        return _counted(uploads.users_replace(box, audience, call), log)
    if edge == "sessions" and not writing:
        log["operation"] = "sessions"
        return uploads.sessions(box, audience, call)
    if edge:
        raise GraphError(2500, f"Unknown path components: /{edge}")
    if not writing:
        log["operation"] = "read"
        return audiences.read(box, audience, call.fields())
    log["operation"] = "delete" if call.method == "DELETE" else "update"
    if call.method == "DELETE":
        return audiences.delete(box, audience)
    return audiences.update(box, audience, call)


def _counted(answer: tuple[dict[str, Any], Rows], log: dict[str, Any]) -> dict[str, Any]:
    document, rows = answer
    log.update(rows=rows.received, invalid=sum(rows.invalid.values()))
    return document


def _batch(box: MetaSandbox, call: Call, log: dict[str, Any]) -> list[dict[str, Any]]:
    log["operation"] = "batch"
    parts = parsed(call.params.get("batch"), "batch")
    if call.method != "POST" or not isinstance(parts, list):
        raise GraphError(2500, "Unknown path components")
    if len(parts) > BATCH_LIMIT:
        raise GraphError(100, f"Too many requests in batch message. Maximum batch size is {BATCH_LIMIT}")
    return [_part(box, part, call) for part in parts]


def _part(box: MetaSandbox, part: dict[str, Any], call: Call) -> dict[str, Any]:
    place = urlsplit(str(part.get("relative_url") or ""))
    path = tuple(piece for piece in place.path.split("/") if piece and piece != call.version)
    method = str(part.get("method", "GET")).upper()
    params: dict[str, Any] = dict(parse_qsl(place.query))
    if method != "DELETE":  # a DELETE inside a batch loses its body
        params.update(read_body(str(part.get("body") or "").encode(), ""))
    answer = box.answer(Call(method, call.version, path, params, call.token))
    headers = [{"name": name, "value": value} for name, value in answer.headers.items()]
    return {"code": answer.status, "headers": headers, "body": answer.body.decode()}
