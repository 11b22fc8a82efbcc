"""No raw identifier leaves identity: not in a report, a log line, an exception, a file or a line that didn't ask for it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from connectors.engine.identity import IdentityRules, count_shared, hash_file, identify
from connectors.engine.resolution import resolve
from connectors.errors import ConfigurationError
from tests.connectors.engine.identity.recipes import PLATFORMS, contacts, recipe

SECRETS = {
    "email": ["quentin.secretson@hidden-mail.example", "quentin secretson@bad", "SECRETSON@"],
    "phone": ["+43 664 9876543", "6502539876", "98765x4321y"],
    "first_name": ["Quentinius", "Quentinius", "@@"],
    "last_name": ["Secretson, Jr.", "Secretson", "--"],
    "city": ["Hiddenburgh", "12345678", "Hiddenburgh"],
    "region": ["Secretshire", "99", "XX"],
    "postal_code": ["HX1 9ZZ", "!", "99999-1234"],
    "country": ["AT", "Secretland", "US"],
    "birth_year": ["1973", "73", "2999"],
    "mobile_ad_id": ["AECE52E7-03EE-455A-B3C4-E57283966239", "quentin@device", "0"],
    "external_id": ["secret-customer-9", "quentin@secret", "+436649876543"],
}
NEEDLES = (
    *("quentin", "secretson", "hidden-mail", "9876543", "6502539876", "98765x", "hiddenburgh", "secretshire", "hx1"),
    *("aece52e7", "secret-customer", "secretland"),
)


def free_of_secrets(text: str) -> bool:
    return not [needle for needle in NEEDLES if needle in text.lower()]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_report_logs_and_warnings(
    platform: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    caplog.set_level(logging.DEBUG)
    table = contacts(**SECRETS)
    rules = IdentityRules(shared_limit=1, latest_year=2026)
    found = identify(table, recipe(platform), rules)
    count_shared(table.to_batches(), recipe(platform), rules)
    resolve(table, rules, by_email=True, by_phone=True)
    out, err = capfd.readouterr()
    said = [found.report.summary(), json.dumps(found.report.to_dict()), repr(found.report), caplog.text, out, err]
    assert all(free_of_secrets(text) for text in said)
    assert not [warning for warning in recwarn if not free_of_secrets(str(warning.message))]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_lines_written_without_being_asked_for_what_was_hashed(platform: str, tmp_path: Path) -> None:
    path = tmp_path / "contacts.jsonl"
    hashed_only = {
        name: values for name, values in SECRETS.items() if name not in ("mobile_ad_id", "external_id", "postal_code")
    }
    path.write_text("".join(json.dumps({name: values[n] for name, values in hashed_only.items()}) + "\n" for n in range(3)))
    before = set(tmp_path.iterdir())
    lines: list[str] = []
    report = hash_file(path, recipe(platform), IdentityRules(), show_normalised=False, write=lines.append)
    assert "".join(lines).count("\n") == 3
    assert free_of_secrets("".join(lines) + report.summary())
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("switches", [{"default_country": "Secretland"}])
def test_exceptions(switches: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        identify(contacts(**SECRETS), recipe("meta"), IdentityRules(**switches))
    assert free_of_secrets(str(caught.value))
