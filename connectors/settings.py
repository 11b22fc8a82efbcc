"""What each platform's own settings build on, and how an address or a secret is judged."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from connectors.errors import ConfigurationError


class Model(BaseModel):
    """The base of all settings: unknown keys are mistakes, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _reference(text: str) -> str:
    if not text.startswith(("env:", "file:")) or not text.partition(":")[2]:
        raise ValueError("secrets are references: write env:NAME or file:path, never the secret itself")
    return text


Secret = Annotated[str, AfterValidator(_reference)]
"""A reference to a secret, `env:NAME` or `file:path`; `reveal` reads it."""


def reveal(secret: str, *, field: str = "") -> str:
    """The secret itself; raises ConfigurationError when the variable or file is missing or empty."""
    kind, _, place = secret.partition(":")
    if kind == "env":
        value = os.environ.get(place, "")
    else:
        path = Path(place).expanduser()
        value = path.read_text().strip() if path.is_file() else ""
    if not value:
        what = f"the environment variable {place}" if kind == "env" else f"the file {place}"
        raise ConfigurationError(f"{what} is missing or empty ({field or 'credentials'} names it)", remedy=f"set {what}")
    return value


LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")


def is_loopback(address: str) -> bool:
    """Whether an address (`http://host:port`, `insecure:host:port`, `host:port`) is on this machine."""
    host = address.removeprefix("insecure:").removeprefix("http://").removeprefix("https://").split("/")[0]
    host = host.rpartition("@")[2]
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    return name in LOOPBACK or re.fullmatch(r"127(\.[0-9]{1,3}){3}", name) is not None


class PredictedValue(Model):
    """Predicted values of new customers as events of their own: the base of each platform's own block `predicted_value`."""

    value: Literal["clv", "lifetime_value"] = "clv"
    days: Annotated[int, Field(ge=1, le=28)] = 7
    """For customers whose first order is at most so many days old."""


class AccountSettings(Model):
    """One ad account: the base of each platform's own."""

    account_id: str
    name: str = ""


class PlatformSettings(Model):
    """A platform's block in platforms.yaml: the base of each platform's own, which narrows `accounts`."""

    accounts: list[Any] = []

    def within(self, folder: Path) -> Self:
        """The same settings with paths resolved against the config folder (a platform that has paths overrides this)."""
        return self
