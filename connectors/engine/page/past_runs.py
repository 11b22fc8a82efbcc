"""Charts of earlier runs: whether they kept their word, and how the customer base grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.engine.page.figures import Figure
from connectors.engine.page.formats import DASH, change, count, money, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def accountability(rows: Sequence[Mapping[str, Any]], currency: str) -> Figure | None:
    """What earlier runs said the base would bring by now, with the range, beside what it brought; None while all is young."""
    mine = [row for row in rows if row["grouping"] == "totals" and row["judged"] != "too early"]
    if not mine:
        return None
    x, said, came = ([row[name] for row in mine] for name in ("run_as_of", "expected", "actual"))
    x = [str(day) for day in x]
    up = [row["expected_high"] - row["expected"] for row in mine]
    down = [row["expected"] - row["expected_low"] for row in mine]
    kept = sum(row["judged"] == "within" for row in mine)
    hover = "run of %{x}: %{y:,.0f}<extra>%{fullData.name}</extra>"
    traces: list[dict[str, Any]] = [
        {"x": x, "y": said, "mode": "markers", "name": "said to come by now", "hovertemplate": hover,
         "marker": {"size": 9, "color": "$accent"},
         "error_y": {"array": up, "arrayminus": down, "color": "$accent", "thickness": 1.4, "width": 4}},
        {"x": x, "y": came, "mode": "markers", "name": "came", "hovertemplate": hover,
         "marker": {"size": 10, "color": "$warm", "symbol": "x"}},
    ]  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": "run as of"}, "type": "category"},
        "yaxis": {"title": {"text": f"value since the run, {currency}"}, "rangemode": "tozero"},
    }
    table = [
        (
            str(r["run_as_of"]),
            count(r["elapsed_days"]),
            money(r["expected"], currency),
            money(r["actual"], currency),
            r["judged"],
        )
        for r in mine
    ]
    alt = f"{kept} of {len(mine)} earlier runs old enough to judge gave a range that holds what came since."
    columns = ("Run as of", "Days since", "Said", "Came", "Judged")
    return Figure("accountability", "Did earlier runs keep their word?", alt, traces, layout, columns, table, height=320)


def growth(rows: Sequence[Mapping[str, Any]], currency: str) -> Figure:
    """What the customer base was predicted to be worth at each run, with its range, and each customer: oldest run first."""
    x = [str(row["as_of"]) for row in rows]
    low, middle, high = ([number(row[f"predicted_{name}"]) for row in rows] for name in ("low", "clv", "high"))
    each = [number(row["predicted_each"]) for row in rows]
    hover = "%{x}: %{y:,.0f}<extra>%{fullData.name}</extra>"
    traces: list[dict[str, Any]] = [
        {"x": x, "y": low, "mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"},
        {"x": x, "y": high, "mode": "lines", "line": {"width": 0}, "fill": "tonexty", "fillcolor": "$wash", "name": "90% range",
         "hoverinfo": "skip"},
        {"x": x, "y": middle, "mode": "lines+markers", "name": "all customers", "hovertemplate": hover,
         "line": {"color": "$accent", "width": 3}, "marker": {"size": 7, "color": "$accent"}},
        {"x": x, "y": each, "mode": "lines+markers", "name": "per customer (right)", "yaxis": "y2",
         "hovertemplate": "%{x}: %{y:,.2f}<extra>per customer</extra>",
         "line": {"color": "$blue", "width": 2, "dash": "dot"}, "marker": {"size": 5, "color": "$blue"}},
    ]  # fmt: skip
    layout: dict[str, Any] = {
        "xaxis": {"title": {"text": "run as of"}, "type": "date"},
        "yaxis": {"title": {"text": f"predicted value, {currency}"}, "rangemode": "tozero"},
        "yaxis2": {
            "overlaying": "y",
            "side": "right",
            "showgrid": False,
            "rangemode": "tozero",
            "tickmode": "auto",
            "title": {"text": f"per customer, {currency}"},
        },
    }
    table = [
        (
            str(row["as_of"]),
            count(row["customers"]),
            money(row["predicted_clv"], currency),
            f"{money(row['predicted_low'], currency)} to {money(row['predicted_high'], currency)}",
            money(row["predicted_each"], currency),
            change(1 + (number(row["change"]) or 0.0), 1),
        )
        for row in rows
    ]
    columns = ("As of", "Customers", "Predicted value", "90% range", "Per customer", "Since the run before")
    return Figure("growth", "How the customer base grows", _grown(rows, currency), traces, layout, columns, table, height=380)


def _grown(rows: Sequence[Mapping[str, Any]], currency: str) -> str:
    """The growth of people and of what each is worth, told apart: either may hide the other."""
    first, last = rows[0], rows[-1]
    said = [
        f"{what} {moved if (moved := change(last[name], first[name])) != DASH else 'unchanged'}"
        for what, name in (("customers", "customers"), ("value per customer", "predicted_each"))
    ]
    return (
        f"Since {first['as_of']} the base went from {money(first['predicted_clv'], currency)} to "
        f"{money(last['predicted_clv'], currency)} of predicted value: {', '.join(said)}."
    )
