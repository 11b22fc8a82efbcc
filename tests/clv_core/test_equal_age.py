"""Value within one span after coming: by hand on three customers, and by the order model against its own expectations."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from clv_core.attribution import SCHEMA as ACQUISITION
from clv_core.equal_age import shares
from clv_core.returns import ReturnSettings, returns
from clv_core.spend import empty_days
from tests.clv_core.test_returns_golden import AS_OF, LABELS, RATES, row, tables
from tests.clv_core.test_totals import base, fitted, scores


def test_value_of_the_first_hundred_days_by_hand() -> None:
    """As of 31 March, spans of 60 days: anna (86 days) and bert (71) have lived them, cleo (59) has 0 days of the 60 left.

    anna bought 100 on day 0, 50 on day 36 and returned 20 on day 46; bert 40.10; cleo 10 and, on day 28, 200.05. dora (44) has
    15 of 60 days left and emil (21) 38; without models in the scores a prediction of 60 days is spread evenly over them.
    """
    found = returns(**tables(), currency="USD", as_of=AS_OF, rates=RATES, labels=LABELS,
                    settings=ReturnSettings(minimum_customers=1, horizon_days=60))  # fmt: skip
    c1, g1 = row(found.campaigns, campaign_id="c1"), row(found.campaigns, campaign_id="g1")
    assert (c1["equal_age_value"], c1["mean_age_days"]) == (pytest.approx(170.10), pytest.approx((85 + 70) / 2))
    assert c1["equal_age_roas"] == pytest.approx(170.10 / 151.50)
    assert c1["equal_age_roas_low"] == pytest.approx(c1["equal_age_roas"])  # nothing of it is a prediction
    assert (g1["equal_age_value"], g1["mean_age_days"]) == (pytest.approx(210.05 + 50 * 1 / 60), 58)
    [rest] = [one for one in found.campaigns.to_pylist() if not one["platform"]]
    assert rest["equal_age_value"] == pytest.approx(60 + 10 * 15 / 60 + 5.55 + 0 * 38 / 60)
    short = returns(**tables(), currency="USD", as_of=AS_OF, rates=RATES,
                    settings=ReturnSettings(minimum_customers=1, horizon_days=40))  # fmt: skip
    assert row(short.campaigns, campaign_id="c1")["equal_age_value"] == pytest.approx(100 + 50 + 40.10)  # day 46 is beyond


def test_the_rest_of_the_span_follows_the_order_model() -> None:
    """Halfway through the prediction's weeks more than half of its orders are expected: customers leave."""
    table, s, model = scores(fitted("pareto_nbd")), base(), fitted("pareto_nbd").model
    found = shares(table, np.full(len(s), 39 * 7 / 2), 273)
    known = model.expected_orders(19.5, s.x, s.t_x, s.T) / model.expected_orders(39.0, s.x, s.t_x, s.T)
    np.testing.assert_allclose(found, known)
    assert (found > 0.5).all()
    assert shares(table, np.full(len(s), 900.0), 273).max() == 1.0
    assert shares(table.slice(0, 0), np.zeros(0), 273).shape == (0,)


def world(old_age: int, new_age: int, days: int) -> dict[str, Any]:
    """Two campaigns alike but for the day on which their customers came; orders on days 0, 100 and 500 of each life."""
    as_of = date(2026, 6, 30)
    people = [
        (f"{name}{n}", name, as_of - timedelta(days=age))
        for name, age in (("old", old_age), ("new", new_age))
        for n in range(50)
    ]
    lines = [(who, came + timedelta(days=day), 50.0) for who, _, came in people for day in (0, 100, 500)]
    orders = {"customer_id": [w for w, _, _ in lines], "day": [d for _, d, _ in lines], "amount": [a for _, _, a in lines]}
    places = [("meta", name, "", "", "paid", "ids") for _, name, _ in people]
    acquired = [
        dict(zip(ACQUISITION.names, (who, None, *place), strict=True))
        for (who, _, _), place in zip(people, places, strict=True)
    ]
    future = [10.0 * days / 365 if name == "old" else 60.0 * days / 365 for _, name, _ in people]
    table = {"customer_id": [who for who, _, _ in people], "clv": future, "clv_high": future, "tier": ["high"] * len(people)}
    spent = [
        {**dict.fromkeys(empty_days().schema.names), "platform": "meta", "account_id": "m", "date": as_of - timedelta(days=age),
         "campaign_id": name, "campaign_name": name, "adset_id": "", "ad_id": "", "spend": 2000, "conversions": 50,
         "conversion_value": 2500, "currency": "USD", "impressions": 1, "clicks": 1}
        for name, age in (("old", old_age), ("new", new_age))
    ]  # fmt: skip
    return {
        "scores": pa.table(table), "days": pa.table(orders), "acquisition": pa.Table.from_pylist(acquired, schema=ACQUISITION),
        "campaign_days": pa.Table.from_pylist(spent, schema=empty_days().schema), "currency": "USD", "as_of": as_of,
        "settings": ReturnSettings(horizon_days=days),
    }  # fmt: skip


def test_verdicts_do_not_favour_the_older_campaign() -> None:
    """The first year brings 100 each to both: 50 + 50, the second half of it predicted for the younger one (40 of 365 days)."""
    found = returns(**world(700, 324, 365))
    old, new = row(found.campaigns, campaign_id="old"), row(found.campaigns, campaign_id="new")
    assert old["clv_roas"] == pytest.approx(50 * 160 / 2000)
    assert new["clv_roas"] == pytest.approx(50 * 160 / 2000)
    assert old["equal_age_roas"] == pytest.approx(50 * 100 / 2000)
    assert new["equal_age_roas"] == pytest.approx(50 * (100 + 60 * 40 / 365) / 2000)
    assert (old["judged_by"], new["judged_by"]) == ("equal age", "equal age")
    assert old["clv_roas_benchmark"] == pytest.approx((old["equal_age_value"] + new["equal_age_value"]) / 4000)
