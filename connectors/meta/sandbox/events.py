"""Conversions API: `/events`, whole-batch checks (fact sheet 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connectors.meta.sandbox.world import GraphError, parsed

if TYPE_CHECKING:
    from connectors.meta.sandbox import MetaSandbox
    from connectors.meta.sandbox.calls import Call

MAXIMUM: Final = 1_000
OLDEST_SECONDS: Final = 7 * 86_400
OLDEST_IN_STORE: Final = 62 * 86_400


def receive(box: MetaSandbox, dataset: str, call: Call) -> dict[str, Any]:
    """The count of events taken; one bad event refuses the whole batch."""
    data = parsed(call.params.get("data"), "data")
    if call.method != "POST" or not isinstance(data, list) or not 1 <= len(data) <= MAXIMUM:
        raise GraphError(100, f"Invalid parameter: data holds 1 to {MAXIMUM} events")
    now = box.clock.now().timestamp()
    for event in data:
        _check(event, now)
    known = {_mark(event) for event in box.events}
    for event in ({"dataset": dataset, **one} for one in data):
        mark = _mark(event)
        if mark is None or mark not in known:  # an event whose name and id the dataset has had is counted once
            box.events.append(event)
            known.add(mark)
    return {"events_received": len(data), "messages": [], "fbtrace_id": "Asandbox0trace"}


def _check(event: Any, now: float) -> None:
    if not isinstance(event, dict) or any(
        name not in event for name in ("event_name", "event_time", "user_data", "action_source")
    ):
        raise GraphError(100, "Invalid parameter: an event lacks event_name, event_time, user_data or action_source", 2804050)
    at, oldest = event["event_time"], OLDEST_IN_STORE if event["action_source"] == "physical_store" else OLDEST_SECONDS
    if isinstance(at, bool) or not isinstance(at, int) or not now - oldest <= at <= now + 60:
        raise GraphError(100, "Invalid parameter: event_time is too old or in the future", 2804003)
    custom = event.get("custom_data") or {}
    predicted = custom.get("predicted_ltv")
    if predicted is not None:
        if (
            isinstance(predicted, bool)
            or not isinstance(predicted, int | float)
            or predicted <= 0
            or not custom.get("currency")
        ):
            raise GraphError(100, "Invalid parameter: predicted_ltv is a positive number with a currency")
    elif event["event_name"] == "AppendValue":
        raise GraphError(100, "Invalid parameter: AppendValue needs predicted_ltv")
    if event["event_name"] == "AppendValue":
        original = event.get("original_event_data") or {}
        if not original.get("event_name") or not (original.get("event_id") or original.get("order_id")):
            raise GraphError(100, "Invalid parameter: original_event_data")


def _mark(event: dict[str, Any]) -> tuple[str, str, str] | None:
    return (event["dataset"], event["event_name"], str(event["event_id"])) if event.get("event_id") else None
