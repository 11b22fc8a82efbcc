"""A folder with the demo's world: config, real orders shifted to the present, simulated contacts and campaigns.

CDNOW orders: Fader and Hardie, as redistributed with the lifetimes library (MIT). CDNOW is of 1997-98 and platforms refuse
reports older than 37 months, so all dates are shifted by whole weeks until the last order is recent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from connectors.demo import campaigns, people, starter

if TYPE_CHECKING:
    from collections.abc import Mapping

SEED = 1998
LAST_ORDER = date(1998, 6, 30)
NOTE = (
    "Orders are real: CDNOW, 23,570 customers, 1997-98 (Fader and Hardie), dates shifted by {weeks} whole weeks. "
    "Contacts, acquisition sources, campaigns and spend are simulated."
)


def shift(today: date) -> timedelta:
    """The whole weeks to add so that the last order is at most a week old, and not in the future."""
    return timedelta(weeks=(today - timedelta(days=1) - LAST_ORDER).days // 7)


@dataclass(frozen=True)
class World:
    """The demo's tables: real orders, simulated contacts, and campaign rows by platform."""

    orders: pd.DataFrame
    contacts: pd.DataFrame
    campaigns: dict[str, list[dict[str, Any]]]
    weeks: int


def build(today: date) -> World:
    """The world as of `today`: the same for the same day."""
    moved = shift(today)
    orders = pd.read_parquet(Path(str(files("connectors.demo") / "cdnow.parquet")))
    orders["date"] = (pd.to_datetime(orders["date"]) + moved).dt.date
    rng = np.random.default_rng(SEED)
    customers = _customers(orders, rng)
    contacts = pd.DataFrame(people.contacts(customers.index.to_numpy(), rng))
    rows = {platform: campaigns.days(customers, platform, rng) for platform in ("meta", "google", "tiktok")}
    return World(orders, pd.concat([contacts, _sources(customers)], axis=1), rows, moved.days // 7)


def write(folder: Path, world: World) -> None:
    """Nothing: orders and contacts are CSV files in `folder`/data."""
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    world.orders[["customer_id", "date", "quantity", "spend"]].to_csv(data / "orders.csv", index=False)
    world.contacts.to_csv(data / "contacts.csv", index=False)
    (data / "note.txt").write_text(NOTE.format(weeks=world.weeks))


def write_config(folder: Path, addresses: Mapping[str, str] | None = None) -> None:
    """Nothing: the demo's YAML is in `folder`, with the sandboxes' addresses (default: their default ports)."""
    folder.mkdir(parents=True, exist_ok=True)
    starter.write(folder, ("model", "audiences", "labels"))
    for name in ("sources", "platforms"):
        text = (files("connectors.demo") / f"{name}.yaml").read_text()
        for default, address in (addresses or {}).items():
            text = text.replace(default, address)
        (folder / f"{name}.yaml").write_text(text)


def replacements(addresses: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Default address in the demo's platforms.yaml -> the address of a sandbox that is running."""
    return {
        "http://127.0.0.1:8801": addresses["meta"]["address"],
        "http://127.0.0.1:8803": addresses["google"]["data_manager"],
        "insecure:127.0.0.1:8804": addresses["google"]["ads"],
        "http://127.0.0.1:8805": addresses["tiktok"]["address"],
    }


def _customers(orders: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    first_day = orders.groupby("customer_id")["date"].min()
    is_first = orders["date"] == orders["customer_id"].map(first_day)
    first = orders[is_first].groupby("customer_id")["spend"].sum()
    total = orders.groupby("customer_id")["spend"].sum()
    customers = pd.DataFrame({"first_day": pd.to_datetime(first_day), "first_value": first})
    customers["campaign"] = campaigns.assign(first.to_numpy(), (total - first).to_numpy().clip(0), rng)
    customers["ad"] = rng.integers(0, campaigns.ADS_PER_CAMPAIGN, len(customers))
    customers["trace"] = rng.random(len(customers))  # how a customer's source became known
    return customers


def _sources(customers: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for one in customers.to_dict("records"):
        paid = one["campaign"] >= 0
        campaign = campaigns.CAMPAIGNS[int(one["campaign"])]
        explicit, tagged = paid and one["trace"] < 0.75, paid and 0.75 <= one["trace"] < 0.93
        rows.append(
            {
                "acquired_at": one["first_day"].date().isoformat(),
                "source_platform": campaign.platform if explicit else "",
                "source_campaign_id": campaign.id if explicit else "",
                "source_ad_id": campaigns.ad_id(campaign, int(one["ad"])) if explicit else "",
                "utm_source": campaign.platform if tagged else "",
                "utm_campaign": campaign.name if tagged else "",
                "click_id": "",
            }
        )
    return pd.DataFrame(rows)
