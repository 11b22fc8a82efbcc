"""Where Google's credentials come from, as plain data: `client.py` turns it into the SDK's objects."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.errors import ConfigurationError
from connectors.settings import reveal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors.google.settings import GoogleSettings

SHARED = ("login_customer_id", "linked_customer_id", "developer_token", "endpoint", "http_proxy")
INSTALLED_APP = ("client_id", "client_secret", "refresh_token")


@dataclass(frozen=True)
class Source:
    """kind: anonymous, service_account, installed_app or default; `keys` never reach a log (no repr)."""

    kind: str
    keys: Mapping[str, Any] = field(default_factory=dict, repr=False)
    subject: str | None = None
    login_customer_id: str | None = None
    linked_customer_id: str | None = None
    http_proxy: str | None = field(default=None, repr=False)
    developer_token: str | None = field(default=None, repr=False)
    endpoint: str | None = None


def find(settings: GoogleSettings, load_yaml: Callable[[str | None], Any], load_env: Callable[[], Any]) -> Source:
    """The source that settings name; the loaders are the SDK's own, so files and variables mean what they mean there."""
    given = settings.credentials
    if given == "anonymous":
        return Source("anonymous")
    if given == "environment":
        return _environment(load_yaml, load_env)
    if given.json_key_file:
        text = reveal(given.json_key_file, field="google.credentials.json_key_file")
        named = Path(text).expanduser() if not text.startswith("{") and len(text) < 4096 else None  # env: a path will do
        return Source("service_account", _key(named.read_text() if named and named.is_file() else text))
    if given.google_ads_yaml:
        path = str(Path(given.google_ads_yaml).expanduser())
        return _of_config(_load(lambda: load_yaml(path), f"google.credentials.google_ads_yaml: {given.google_ads_yaml}"))
    return Source("default")


def _environment(load_yaml: Callable[[str | None], Any], load_env: Callable[[], Any]) -> Source:
    if any(name.startswith("GOOGLE_ADS_") for name in os.environ):
        return _of_config(_load(load_env, "the GOOGLE_ADS_* environment variables"))
    if (Path.home() / "google-ads.yaml").is_file():
        return _of_config(_load(lambda: load_yaml(None), "google-ads.yaml in the home directory"))
    if os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        return Source("default")
    raise ConfigurationError(
        "no Google credentials were found",
        remedy="set google.credentials (json_key_file or google_ads_yaml), or the GOOGLE_ADS_* environment variables",
        platform="google",
    )


def _load(load: Callable[[], Any], what: str) -> dict[str, Any]:
    try:
        return dict(load())
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"{what}: {error}", remedy="see Google's description of the google-ads client's configuration", platform="google"
        ) from None


def _of_config(config: Mapping[str, Any]) -> Source:
    shared: dict[str, Any] = {name: config.get(name) or None for name in SHARED}
    if config.get("use_application_default_credentials"):
        return Source("default", **shared)
    if all(config.get(key) for key in INSTALLED_APP):
        return Source("installed_app", {key: config[key] for key in INSTALLED_APP}, **shared)
    if path := config.get("json_key_file_path"):
        text = Path(path).expanduser()
        if not text.is_file():
            raise ConfigurationError(f"the service account key {path} is missing", remedy="set json_key_file_path")
        return Source("service_account", _key(text.read_text()), subject=config.get("impersonated_email"), **shared)
    raise ConfigurationError(
        "the google-ads configuration holds no complete set of credentials",
        remedy="set client_id, client_secret and refresh_token, or json_key_file_path",
        platform="google",
    )


def _key(text: str) -> dict[str, Any]:
    try:
        key = json.loads(text)
    except ValueError:
        key = None
    if not isinstance(key, dict) or not {"client_email", "private_key", "token_uri"} <= set(key):
        raise ConfigurationError(
            "the service account key is not one: it has no client_email, private_key and token_uri",
            remedy="download the key again (JSON) from the Cloud console",
            platform="google",
        )
    return key
