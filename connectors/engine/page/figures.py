"""Charts as plain Plotly documents. Colours are named (`$accent`), so that the page paints them for light, dark and print."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from connectors.engine.page.formats import count, money, number, share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart, what it says in words (`alt`), and the table behind it."""

    id: str
    title: str
    alt: str
    traces: Sequence[Mapping[str, Any]]
    layout: dict[str, Any]
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    height: int = 380
    note: str = ""
    document: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "document", {"data": list(self.traces), "layout": self.layout, "height": self.height})


def text(value: object) -> str:
    """Text for a chart: Plotly reads a few tags in it, so every `<` is escaped."""
    return escape(str(value), quote=False)


def lorenz(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """The share of value that the best customers hold."""
    x = [row["share_customers"] for row in rows]
    predicted, lifetime = ([row[name] for row in rows] for name in ("share_predicted", "share_lifetime"))
    top = max((i for i, v in enumerate(x) if v <= 0.2 + 1e-9), default=0)
    held = f"{share(predicted[top])} of predicted value and {share(lifetime[top])} of lifetime value"
    alt = f"The best 20% of customers hold {held}."
    hover = "best %{x:.0%} of customers: %{y:.0%}<extra>%{fullData.name}</extra>"
    traces = [
        {
            "x": [0, 1],
            "y": [0, 1],
            "mode": "lines",
            "line": {"color": "$faint", "dash": "dot", "width": 1.5},
            "name": "all equal",
            "hoverinfo": "skip",
        },
        {
            "x": x,
            "y": lifetime,
            "mode": "lines",
            "name": "lifetime value",
            "line": {"color": "$blue", "width": 2},
            "hovertemplate": hover,
        },
        {
            "x": x,
            "y": predicted,
            "mode": "lines",
            "name": "predicted value",
            "line": {"color": "$accent", "width": 3},
            "fill": "tozeroy",
            "fillcolor": "$wash",
            "hovertemplate": hover,
        },
    ]
    marks = [
        {
            "x": x[top],
            "y": predicted[top],
            "text": f"best 20%: {share(predicted[top])}",
            "showarrow": True,
            "arrowcolor": "$muted",
            "ax": 60,
            "ay": 34,
        }
    ]
    layout = {
        "xaxis": {"title": {"text": "share of customers, best first"}, "tickformat": ".0%", "range": [0, 1]},
        "yaxis": {"title": {"text": "share of value"}, "tickformat": ".0%", "range": [0, 1.02]},
        "annotations": marks,
    }
    table = [(share(x[i]), share(predicted[i]), share(lifetime[i])) for i in range(0, len(rows), max(len(rows) // 10, 1))]
    columns = ("Best customers", "Predicted value", "Lifetime value")
    return Figure("lorenz", "A few customers hold most of the value", alt, traces, layout, columns, table)


def calibration(rows: Sequence[Mapping[str, Any]], currency: str) -> Figure:
    """Predicted beside actual value per customer by decile of the backtest."""
    deciles = [str(row["decile"]) for row in rows]
    predicted, actual = ([number(row[name]) for row in rows] for name in ("predicted", "actual"))
    said, did = sum(v or 0 for v in predicted), sum(v or 0 for v in actual)
    alt = f"Over all deciles the model said {money(said, currency)} and customers spent {money(did, currency)}."
    hover = "decile %{x}: %{y:,.0f}<extra>%{fullData.name}</extra>"
    traces: list[dict[str, Any]] = [
        {
            "type": "bar",
            "x": deciles,
            "y": actual,
            "name": "what they did",
            "marker": {"color": "$soft"},
            "hovertemplate": hover,
        },
        {
            "x": deciles,
            "y": predicted,
            "mode": "markers+lines",
            "name": "what the model said",
            "hovertemplate": hover,
            "line": {"color": "$accent", "width": 2},
            "marker": {"size": 8, "color": "$accent"},
        },
    ]
    layout = {
        "xaxis": {"title": {"text": "decile by score (1 = best)"}, "type": "category"},
        "yaxis": {"title": {"text": f"value in the holdout, {currency}"}, "rangemode": "tozero"},
    }
    table = [(d, money(p, currency), money(a, currency)) for d, p, a in zip(deciles, predicted, actual, strict=True)]
    return Figure("calibration", "Did customers do what the model said?", alt, traces, layout, ("Decile", "Said", "Did"), table)


def cohort_curves(rows: Sequence[Mapping[str, Any]], currency: str, shown: int = 12) -> Figure:
    """Value per customer by month since they came, a line per cohort, over the line of everyone."""
    cohorts = sorted({row["key"] for row in rows if row["grouping"] == "cohort"})
    step = max(math.ceil(len(cohorts) / shown), 1)
    picked = cohorts[::-1][::step][::-1]
    traces = []
    for i, cohort in enumerate(picked):
        mine = [row for row in rows if row["grouping"] == "cohort" and row["key"] == cohort]
        traces.append(_curve(mine, cohort, f"$ramp{i / max(len(picked) - 1, 1):.2f}", 1.8, currency))
    everyone = [row for row in rows if row["grouping"] == "all"]
    traces.append(_curve(everyone, "everyone", "$ink", 3.2, currency))
    last = everyone[-1] if everyone else {"month": 0, "value_per_customer": 0.0}
    alt = (
        f"After {int(last['month']) + 1} months a customer has brought {money(last['value_per_customer'], currency)} "
        "on average. Later cohorts are drawn stronger."
    )
    layout = {
        "xaxis": {"title": {"text": "months since they came"}, "dtick": 3},
        "yaxis": {"title": {"text": f"value per customer so far, {currency}"}, "rangemode": "tozero"},
        "legend": {"title": {"text": "came in"}},
    }
    table = [
        (str(int(r["month"]) + 1), count(r["customers"]), share(r["share_active"]), money(r["value_per_customer"], currency))
        for r in everyone
    ]
    columns = ("Month", "Customers who lived it", "Bought in it", "Value so far, each")
    return Figure("cohorts", "How value builds up, cohort by cohort", alt, traces, layout, columns, table, height=420)


def _curve(rows: Sequence[Mapping[str, Any]], name: str, colour: str, width: float, currency: str) -> dict[str, Any]:
    return {
        "x": [int(r["month"]) + 1 for r in rows],
        "y": [round(r["value_per_customer"], 2) for r in rows],
        "mode": "lines",
        "name": name,
        "line": {"color": colour, "width": width},
        "hovertemplate": f"month %{{x}}: %{{y:,.2f}} {currency} each<extra>{text(name)}</extra>",
    }


def cohort_value(rows: Sequence[Mapping[str, Any]], currency: str) -> Figure:
    """Realised and predicted value per customer of each cohort, with the interval: does customer value grow?"""
    mine = [row for row in rows if row["cohort"] and (row["customers"] or 0) > 0]
    n = [float(row["customers"]) for row in mine]
    each = {
        name: [(number(r[name]) or 0.0) / k for r, k in zip(mine, n, strict=True)]
        for name in ("realised_value", "predicted_clv", "lifetime_value", "lifetime_low", "lifetime_high")
    }
    x = [_month(row["cohort"]) for row in mine]
    up = [h - v for h, v in zip(each["lifetime_high"], each["lifetime_value"], strict=True)]
    down = [v - low for v, low in zip(each["lifetime_value"], each["lifetime_low"], strict=True)]
    hover = "%{x}: %{y:,.2f}<extra>%{fullData.name}</extra>"
    traces = [
        {
            "type": "bar",
            "x": x,
            "y": each["realised_value"],
            "name": "so far",
            "marker": {"color": "$blue"},
            "hovertemplate": hover,
        },
        {
            "type": "bar",
            "x": x,
            "y": each["predicted_clv"],
            "name": "still predicted",
            "marker": {"color": "$accent"},
            "hovertemplate": hover,
            "error_y": {"array": up, "arrayminus": down, "color": "$ink", "thickness": 1, "width": 3},
        },
    ]
    layout = {
        "barmode": "stack",
        "xaxis": {"title": {"text": "came in"}, "type": "category", "tickvals": x[:: math.ceil(len(x) / 12) or 1]},
        "yaxis": {"title": {"text": f"per customer, {currency}"}},
    }
    table = [
        (
            r["cohort"],
            count(r["customers"]),
            money(each["realised_value"][i], currency),
            money(each["predicted_clv"][i], currency),
            f"{money(each['lifetime_low'][i], currency)} to {money(each['lifetime_high'][i], currency)}",
        )
        for i, r in enumerate(mine)
    ]
    grown = _growth(each["lifetime_value"], x, currency)
    alt = f"What a customer of each month has brought so far, and is still predicted to bring. {grown}"
    columns = ("Cohort", "Customers", "So far, each", "Predicted, each", "Lifetime, 90% range")
    return Figure("cohort_value", "Is customer value growing?", alt, traces, layout, columns, table)


def _month(cohort: str) -> str:
    """`2026-05` as `May 26`."""
    names = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{names[int(cohort[5:7]) - 1]} {cohort[2:4]}"


def _growth(values: Sequence[float], names: Sequence[str], currency: str) -> str:
    if len(values) < 2:
        return ""
    first, last = (money(values[i], currency) for i in (0, -1))
    return f"From {first} each ({names[0]}) to {last} each ({names[-1]}); older cohorts have had more time."
