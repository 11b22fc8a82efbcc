"""Charts of verdicts: ROAS against CLV-ROAS per campaign, and CLV-ROAS per label, with their ranges."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from connectors.engine.page.figures import Figure, text
from connectors.engine.page.formats import count, money, number, ratio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

UNLABELLED = "unlabelled"
ERROR_BARS = 60  # more would be a thicket; the rest show their interval on hover
QUADRANTS = {
    "winner": ("$blue", "circle"),
    "hidden gem": ("$accent", "diamond"),
    "false friend": ("$warm", "square"),
    "poor by both": ("$muted", "x"),
    "unclear": ("$faint", "circle-open"),
}


def at_equal_age(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows with CLV-ROAS and its range as of what customers bring within one span after coming."""
    ends = ("", "_low", "_high")
    return [{**row, **{f"clv_roas{end}": row[f"equal_age_roas{end}"] for end in ends}} for row in rows]


def judged_at_equal_age(campaigns: Sequence[Mapping[str, Any]]) -> bool:
    """Whether verdicts compare what customers bring within one span after coming, because they came at different times."""
    return any(row.get("judged_by") == "equal age" for row in campaigns)


def scatter(rows: Sequence[Mapping[str, Any]], currency: str) -> Figure:
    """ROAS across, CLV-ROAS up, with intervals; the benchmarks cut the plane into four named quadrants."""
    equal = judged_at_equal_age(rows)
    rows = at_equal_age(rows) if equal else rows
    shown = [
        row for row in rows if number(row["roas"]) is not None and number(row["clv_roas"]) is not None and row["campaign_id"]
    ]
    strong = {id(row) for row in sorted(shown, key=lambda row: -float(row["spend"]))[:ERROR_BARS]}
    largest = max((float(row["spend"]) for row in shown), default=1.0) or 1.0
    traces = [
        _points([row for row in shown if _quadrant(row) == name], name, strong, largest, currency)
        for name in QUADRANTS
        if any(_quadrant(row) == name for row in shown)
    ]
    marks = next(((row["roas_benchmark"], row["clv_roas_benchmark"]) for row in shown), (None, None))
    gems, friends = (sum(row["quadrant"] == kind for row in shown) for kind in ("hidden gem", "false friend"))
    alt = (
        f"{len(shown)} campaigns: {gems} hidden gem{'s' * (gems != 1)} that ROAS would cut and customer value would scale, "
        f"{friends} false friend{'s' * (friends != 1)} the other way round."
    )
    if equal:
        alt += (
            " Their customers came at different times, so CLV-ROAS counts what each brings within the same time after coming."
        )
    table = [
        (
            str(r["campaign_name"]),
            str(r["platform"]),
            ratio(r["roas"]),
            ratio(r["clv_roas"]),
            f"{ratio(r['clv_roas_low'])} to {ratio(r['clv_roas_high'])}",
            str(r["quadrant"]),
        )
        for r in sorted(shown, key=lambda row: -float(row["spend"]))[:ERROR_BARS]
    ]
    columns = ("Campaign", "Platform", "ROAS claimed", "CLV-ROAS", "90% range", "Verdict")
    layout = _plane(shown, marks)
    return Figure("scatter", "Same spend, two verdicts", alt, traces, layout, columns, table, height=520)


def _quadrant(row: Mapping[str, Any]) -> str:
    return row["quadrant"] if row["quadrant"] in QUADRANTS else "unclear"


def _points(rows: Sequence[Mapping[str, Any]], name: str, strong: set[int], largest: float, currency: str) -> dict[str, Any]:
    colour, symbol = QUADRANTS[name]
    bars = {
        side: [
            round(abs(row[f"{what}_{end}"] - row[what]), 4)
            if id(row) in strong and math.isfinite(row[f"{what}_{end}"] or 0)
            else 0
            for row in rows
        ]
        for side, what, end in (
            ("up", "clv_roas", "high"),
            ("down", "clv_roas", "low"),
            ("right", "roas", "high"),
            ("left", "roas", "low"),
        )
    }
    line = {"color": colour, "thickness": 1.2, "width": 0}
    return {
        "x": [round(row["roas"], 4) for row in rows],
        "y": [round(row["clv_roas"], 4) for row in rows],
        "mode": "markers",
        "name": name,
        "text": [text(row["campaign_name"]) for row in rows],
        "customdata": [
            f"{ratio(r['clv_roas_low'])} to {ratio(r['clv_roas_high'])}, spend {money(r['spend'], currency)}" for r in rows
        ],
        "hovertemplate": "<b>%{text}</b><br>ROAS %{x:.2f}<br>CLV-ROAS %{y:.2f} (%{customdata})<extra>%{fullData.name}</extra>",
        "marker": {
            "color": colour,
            "symbol": symbol,
            "line": {"color": "$paper", "width": 1},
            "size": [round(8 + 16 * math.sqrt(float(row["spend"]) / largest), 1) for row in rows],
        },
        "error_y": {"array": bars["up"], "arrayminus": bars["down"], **line},
        "error_x": {"array": bars["right"], "arrayminus": bars["left"], **line},
    }


def _plane(rows: Sequence[Mapping[str, Any]], marks: tuple[Any, Any]) -> dict[str, Any]:
    """Axes, the two benchmark lines and the quadrants' names in the corners."""
    lines: list[dict[str, Any]] = []
    for axis, mark in zip("xy", marks, strict=True):
        if number(mark) is not None:
            other = "y" if axis == "x" else "x"
            lines.append(
                {
                    "type": "line",
                    f"{axis}0": mark,
                    f"{axis}1": mark,
                    f"{other}ref": "paper",
                    f"{other}0": 0,
                    f"{other}1": 1,
                    "line": {"color": "$muted", "width": 1, "dash": "dash"},
                    "layer": "below",
                }
            )
    corners = [
        ("hidden gem", 0.01, 0.99, "left"),
        ("winner", 0.99, 0.99, "right"),
        ("poor by both", 0.01, 0.01, "left"),
        ("false friend", 0.99, 0.01, "right"),
    ]
    hints = {
        "hidden gem": "ROAS cuts, value scales",
        "winner": "good by both",
        "poor by both": "weak by both",
        "false friend": "ROAS scales, value cuts",
    }
    names = [
        {
            "xref": "paper",
            "yref": "paper",
            "x": x,
            "y": y,
            "xanchor": side,
            "yanchor": "top" if y > 0.5 else "bottom",
            "text": f"<b>{name}</b><br>{hints[name]}",
            "showarrow": False,
            "align": side,
            "font": {"color": QUADRANTS[name][0], "size": 12},
        }
        for name, x, y, side in corners
    ]
    wide = {axis: _log(rows, column) for axis, column in (("xaxis", "roas"), ("yaxis", "clv_roas"))}
    titles = {"xaxis": "ROAS the platform claims", "yaxis": "CLV-ROAS: lifetime value over spend"}
    axes = {
        axis: {"title": {"text": titles[axis]}, "type": "log" if wide[axis] else "linear", "rangemode": "tozero"}
        for axis in titles
    }
    return {**axes, "shapes": lines, "annotations": names}


def _log(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    values = [row[column] for row in rows if (number(row[column]) or 0) > 0]
    return len(values) == len(rows) > 0 and max(values) / min(values) > 25


def dots(id: str, title: str, key: str, rows: Sequence[Mapping[str, Any]], mark: Any, minimum: int) -> Figure:
    """CLV-ROAS with its interval per label; below the minimum sample, or unlabelled, it is hollow and not compared."""
    shown = sorted((r for r in rows if number(r["clv_roas"]) is not None), key=lambda row: row["clv_roas"])
    enough = [(row["customers"] or 0) >= minimum and row[key] != UNLABELLED for row in shown]
    trace = {
        "x": [row["clv_roas"] for row in shown],
        "y": [text(row[key] or "unknown") for row in shown],
        "mode": "markers",
        "marker": {
            "size": 11,
            "color": ["$accent" if ok else "$faint" for ok in enough],
            "symbol": ["circle" if ok else "circle-open" for ok in enough],
        },
        "error_x": {
            "array": [r["clv_roas_high"] - r["clv_roas"] for r in shown],
            "thickness": 1.6,
            "width": 4,
            "color": "$muted",
            "arrayminus": [r["clv_roas"] - r["clv_roas_low"] for r in shown],
        },
        "hovertemplate": "%{y}: %{x:.2f}<extra></extra>",
        "showlegend": False,
    }
    line = {
        "type": "line",
        "x0": mark,
        "x1": mark,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "layer": "below",
        "line": {"color": "$muted", "width": 1, "dash": "dash"},
    }
    layout = {
        "xaxis": {"title": {"text": "CLV-ROAS, with the 90% range"}, "rangemode": "tozero"},
        "yaxis": {"type": "category", "automargin": True},
        "shapes": [line] if number(mark) is not None else [],
    }
    table = [
        (
            str(r[key] or "unknown"),
            count(r["customers"]),
            ratio(r["clv_roas"]),
            f"{ratio(r['clv_roas_low'])} to {ratio(r['clv_roas_high'])}",
        )
        for r in reversed(shown)
    ]
    columns = (title.partition(":")[0], "Customers", "CLV-ROAS", "90% range")
    return Figure(
        id, title, _compare(shown, key, enough), [trace], layout, columns, table, height=120 + 44 * max(len(shown), 1)
    )


def _compare(rows: Sequence[Mapping[str, Any]], key: str, enough: Sequence[bool]) -> str:
    judged = [row for row, ok in zip(rows, enough, strict=True) if ok]
    left = " Campaigns without a label are shown, not ranked: name them in labels.yaml." if _unlabelled(rows, key) else ""
    return _ranking(judged, rows, key) + left


def _unlabelled(rows: Sequence[Mapping[str, Any]], key: str) -> bool:
    return any(row[key] == UNLABELLED for row in rows)


def _ranking(judged: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]], key: str) -> str:
    if len(judged) < 2:
        named = sum(row[key] != UNLABELLED for row in rows)
        return "Too few customers to compare." if named > len(judged) else "Only one label has campaigns: nothing to compare."
    best, worst = judged[-1], judged[0]
    if best["clv_roas_low"] > max(row["clv_roas_high"] for row in judged[:-1]):
        return f"Of all labels, {best[key]} brings the most customer value per unit of spend, beyond noise."
    if best["clv_roas_low"] > worst["clv_roas_high"]:
        return f"{best[key]} is ahead of {worst[key]} beyond noise; the order of those between is not sure."
    return "The differences are within noise: no ranking."
