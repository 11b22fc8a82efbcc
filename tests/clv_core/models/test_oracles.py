"""Every figure of tests/data/clv_oracles.md for the four models, within the tolerance stated there."""

from __future__ import annotations

import csv
import json
from functools import cache

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import hyp2f1

from clv_core.models.bg_nbd import BgNbd
from clv_core.models.gamma_gamma import GammaGamma
from clv_core.models.geometric_orders import GeometricOrders
from clv_core.models.mbg_nbd import MbgNbd
from clv_core.models.pareto_nbd import ParetoNbd
from tests.clv_core.histories import DATA, cdnow

Kind = type[GeometricOrders] | type[ParetoNbd]
MODELS: dict[str, Kind] = {"bgnbd": BgNbd, "mbgnbd": MbgNbd, "pareto": ParetoNbd}
PREFIX = {"bgnbd": "bg", "mbgnbd": "mbg", "pareto": "pnbd"}
ORACLES = json.loads((DATA / "clv_oracle_params.json").read_text())
WEEKLY = np.log(1.15) / 52  # 15% a year, continuous


@cache
def fitted(name: str, data: str = "sample") -> GeometricOrders | ParetoNbd:
    return MODELS[name].fit(*cdnow(data).times)


@cache
def spend(data: str = "sample") -> GammaGamma:
    customers = cdnow(data)
    return GammaGamma.fit(customers.x, customers.m)


def conditional() -> dict[str, np.ndarray]:
    rows = list(csv.DictReader((DATA / "clv_oracle_conditional.csv").open()))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


@pytest.mark.parametrize("data", ["sample", "full"])
def test_the_data_are_those_of_the_papers(data: str) -> None:
    customers, known = cdnow(data), ORACLES[f"cdnow_{data}"]
    assert len(customers.x) == known["n"]
    assert customers.x.sum() == known["sum_x"]


@pytest.mark.parametrize("data", ["sample", "full"])
@pytest.mark.parametrize("name", MODELS)
def test_order_models_reach_the_known_optimum(name: str, data: str) -> None:
    known, model = ORACLES[f"cdnow_{data}"][name], fitted(name, data)
    for parameter, found in model.parameters.items():
        assert found.value == pytest.approx(known[parameter], rel=1e-3)
    assert model.log_likelihood == pytest.approx(known["ll"], abs=1e-4)
    assert model.warnings == ()


@pytest.mark.parametrize("data", ["sample", "full"])
def test_gamma_gamma_reaches_the_known_optimum(data: str) -> None:
    known, model = ORACLES[f"cdnow_{data}"]["gamma_gamma"], spend(data)
    for parameter, found in model.parameters.items():
        assert found.value == pytest.approx(known[parameter], rel=1e-3)
    assert model.log_likelihood == pytest.approx(known["ll"], abs=1e-4)


PUBLISHED: dict[Kind, tuple[str, tuple[float, ...], tuple[int, ...], float | None, int]] = {
    BgNbd: ("bgnbd", (0.243, 4.414, 0.793, 2.426), (3, 3, 3, 3), -9582.4, 1),
    MbgNbd: ("mbgnbd", (0.525, 6.183, 0.891, 1.614), (3, 3, 3, 3), None, 0),
    ParetoNbd: ("pareto", (0.553, 10.578, 0.606, 11.669), (3, 3, 3, 3), -9595.0, 1),
}


@pytest.mark.parametrize("model", PUBLISHED)
def test_published_digits(model: Kind) -> None:
    name, values, digits, likelihood, places = PUBLISHED[model]
    found = fitted(name)
    assert tuple(round(p.value, d) for p, d in zip(found.parameters.values(), digits, strict=True)) == values
    if likelihood is not None:
        assert round(found.log_likelihood, places) == likelihood


def test_published_digits_of_packages() -> None:
    assert round(fitted("bgnbd").log_likelihood, 3) == -9582.429
    assert round(fitted("pareto").log_likelihood, 3) == -9594.976
    assert round(spend().log_likelihood, 4) == -4055.9177
    assert [round(p.value, 2) for p in spend().parameters.values()] == [6.25, 3.74, 15.44]
    assert int((cdnow("sample").x > 0).sum()) == 946


def test_standard_errors_of_pareto() -> None:
    published = ORACLES["cdnow_sample"]["pareto"]["published"]["se"]
    for name, found in fitted("pareto").parameters.items():
        assert found.standard_error == pytest.approx(published[name], rel=1e-3)


def test_the_rounded_summary_file_gives_its_own_likelihood() -> None:
    rows = list(csv.DictReader((DATA / "cdnow_summary.csv").open()))
    times = [np.array([float(row[name]) for row in rows]) for name in ("frequency", "recency", "T")]
    assert BgNbd.fit(*times).log_likelihood == pytest.approx(-9582.4256, abs=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_conditional_expectations_and_p_alive(name: str) -> None:
    known, model = conditional(), fitted(name)
    history = (known["x"], known["tx"], known["T"])
    prefix = PREFIX[name]
    np.testing.assert_allclose(model.expected_orders(39.0, *history), known[f"{prefix}_cet39"], rtol=1e-4)
    np.testing.assert_allclose(model.p_alive(*history), known[f"{prefix}_alive"], rtol=1e-4)
    if f"{prefix}_cet52" in known:
        np.testing.assert_allclose(model.expected_orders(52.0, *history), known[f"{prefix}_cet52"], rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_expectation_of_a_new_customer(name: str) -> None:
    assert float(fitted(name).expected_orders_new(52.0)) == pytest.approx(ORACLES["cdnow_sample"][name]["E52"], rel=1e-4)


def test_published_conditional_values() -> None:
    def one(value: float) -> np.ndarray:
        return np.array([value])

    bg, pareto = fitted("bgnbd"), fitted("pareto")
    assert round(float(bg.expected_orders(39.0, one(2), one(30.43), one(38.86))[0]), 3) == 1.226
    assert float(bg.expected_orders(39.0, one(2), one(30.43), one(38.86))[0]) == pytest.approx(1.22592, rel=1e-4)
    heavy = (one(26.0), one(30.86), one(31.0))
    assert float(pareto.expected_orders(52.0, *heavy)[0]) == pytest.approx(25.4552, rel=1e-4)
    assert float(pareto.p_alive(*heavy)[0]) == pytest.approx(0.99787, rel=1e-4)
    assert round(float(pareto.expected_orders(52.0, *heavy)[0]), 2) == 25.46
    assert round(float(pareto.p_alive(*heavy)[0]), 4) == 0.9979
    exact = (one(26.0), one(216 / 7), one(31.0))
    assert round(float(bg.expected_orders(52.0, *exact)[0]), 3) == 25.757
    assert round(float(bg.p_alive(*exact)[0]), 5) == 0.96885


def test_the_sheet_of_expected_repeat_orders() -> None:
    """To the printed digits; the last one is the sheet's own short series: exact by its formula it is 1.8580."""
    weeks = np.array([0.1429, 1.0, 3.0, 31.8571, 32.0, 78.0])
    sheet = [0.0078, 0.0532, 0.1506, 1.0405, 1.0437]
    published = BgNbd.of({"r": 0.242594, "alpha": 4.413595, "a": 0.792919, "b": 2.425897})  # the sheet's own estimates
    for model in (published, fitted("bgnbd")):
        found = model.expected_orders_new(weeks)
        assert np.round(found[:5], 4).tolist() == sheet
        assert found[5] == pytest.approx(1.8576, abs=4e-4)
    r, alpha, a, b = published.values
    exact = (a + b - 1) / (a - 1) * (1 - (alpha / (alpha + 78)) ** r * hyp2f1(r, b, a + b - 1, 78 / (alpha + 78)))
    assert published.expected_orders_new(weeks)[5] == pytest.approx(exact, rel=1e-9)


def test_conditional_spend_of_the_first_ten_customers() -> None:
    customers = cdnow("sample")
    found = spend().expected_spend(customers.x[:10], customers.m[:10])
    assert np.round(found, 2).tolist() == [24.65, 18.91, 35.17, 35.17, 35.17, 71.46, 18.91, 35.17, 27.28, 35.17]


def test_dert_of_pareto() -> None:
    known = conditional()
    found = fitted("pareto").discounted_expected_orders(np.inf, WEEKLY, known["x"], known["tx"], known["T"])
    np.testing.assert_allclose(found, known["pnbd_dert_15pct"], rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_dect_is_the_integral_of_discounted_expectations(name: str) -> None:
    known, model = conditional(), fitted(name)
    for history in zip(known["x"], known["tx"], known["T"], strict=True):
        one = tuple(np.array([value]) for value in history)

        def slope(u: float, one: tuple[np.ndarray, ...] = one) -> float:
            step = 1e-3
            return float((model.expected_orders(u + step, *one) - model.expected_orders(u - step, *one))[0]) / (2 * step)

        whole = quad(lambda u, slope=slope: np.exp(-WEEKLY * u) * slope(u), 2e-3, 52.0, epsrel=1e-9)[0]
        whole += float(model.expected_orders(2e-3, *one)[0])
        assert float(model.discounted_expected_orders(52.0, WEEKLY, *one)[0]) == pytest.approx(whole, rel=1e-5)
