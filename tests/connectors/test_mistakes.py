"""Mistakes that people make in YAML: each is told with its place, the value as written and what to write instead."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from clv_core.score_settings import CANDIDATES
from connectors import config, mistakes
from connectors.config.model import Candidate
from connectors.demo import starter
from connectors.document import Document
from connectors.errors import ConfigurationError, ConfigurationErrors
from connectors.logs import redacted
from connectors.schema import schemas
from tests.e2e.conftest import clvsync

STARTER = {name: (starter.folder() / f"{name}.yaml").read_text() for name in starter.NAMES}


def told(folder: Path, file: str, old: str, new: str) -> list[str]:
    """What is said of the starter config with one edit in `file`, as a terminal shows it."""
    starter.write(folder)
    assert old in STARTER[file]
    (folder / f"{file}.yaml").write_text(STARTER[file].replace(old, new, 1))
    with pytest.raises(ConfigurationError) as caught:
        config.load(folder)
    error = caught.value
    return [redacted(one) for one in (error.errors if isinstance(error, ConfigurationErrors) else [error])]


EDITS = [
    ("model", "annual_discount: 0.10", "annual_discount: 10%", "5:18: annual_discount: '10%' is not a number (write 0.1)"),
    ("model", "annual_discount: 0.10", "annual_discount: 0,1", "'0,1' is not a number (write 0.1, with a point)"),
    ("model", "horizon_days: 365", "horizon_days: 1 year", "'1 year' is not a whole number (write digits alone, such as 30)"),
    ("model", "enabled: true", "enabled: maybe", "gate.enabled: 'maybe' is neither yes nor no (write true or false)"),
    ("model", "value: revenue", "value: Margin", "(did you mean margin? Choose of: revenue, margin)"),
    ("model", "candidates: []", "candidates: [bg-nbd]", "'bg-nbd' is not among the choices (did you mean bg_nbd?"),
    ("model", "candidates: []", "candidates: [early_life]", "early_life builds on an order model"),
    ("sources", "as_of: yesterday", "as_of: today", "'today' is not among the choices (choose of: last_order, yesterday, a"),
    ("sources", "currency: USD", "currency: Euro", "currency: 'Euro': a currency is its three-letter code, such as USD or EUR"),
    ("audiences", "min_size: 100", "min_size: -5", "guardrails.min_size: -5 is out of range (write 0 or more)"),
    ("audiences", "removed_share: 0.30", "removed_share: 30", "30 is out of range (write 1 or less; for 30% write 0.3)"),
    ("audiences", "name: tier_high", "name: Tier high", "(write small letters, digits and _"),
    ("audiences", "tiers: [high]", "tiers: high", "who.tiers: 'high' where a list is needed (write [high])"),
    ("audiences", "stages: [new, active]", "stages: [at risk]", "'at risk' is not among the choices (did you mean at_risk?"),
    ("audiences", "    title: Customer group 1\n", "", "title: this setting is needed and missing (add a line: title: ...)"),
    ("audiences", "platforms: [meta]\n", "platforms: [mta]\n", "'mta' is not set up (did you mean meta? platforms.yaml has:"),
    ("platforms", "default_country: US", "default_country: usa", "(write a country's two capital letters"),
    ("platforms", '"1111111111111111"', "1111111111111111", 'must be text (put it in quotes: "1111111111111111")'),
    ("platforms", "tiktok:\n", "ticktock:\n", "ticktock: unknown platform 'ticktock' (did you mean tiktok? installed:"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "words"), EDITS)
def test_a_wrong_value_is_shown_with_what_to_write(tmp_path: Path, file: str, old: str, new: str, words: str) -> None:
    found = told(tmp_path / "config", file, old, new)
    assert any(words in one for one in found), found
    assert all(re.match(rf"{re.escape(str(tmp_path))}/config/\w+\.yaml:\d+:\d+: ", one) for one in found)


def test_a_path_where_settings_belong_is_told_how_to_write_it(tmp_path: Path) -> None:
    old = 'contacts:                     # customer_id, email, phone, names, country, consent_ad_user_data, ... (README, "Tables")\n  path: ../data/contacts.csv\n'  # noqa: E501
    (found,) = told(tmp_path / "config", "sources", old, "contacts: ../data/contacts.csv\n")
    assert "'../data/contacts.csv' where settings are needed (write it on a line of its own below: path: " in found


SECRETS = [
    ("env:META_ACCESS_TOKEN", "EAABsbCS1ZBZCZCtoken"),
    ("env:META_ACCESS_TOKEN", "12345"),
    ('"1111111111111111"', "[EAABsbCS1234567890abcdefgh]"),
    ("default_country: US", "default_country: ada@example.com"),
    ("default_country: US", "default_country: sk_live_51HqJ2eZvKYlo2C0aB"),
]


@pytest.mark.parametrize(("old", "secret"), SECRETS)
def test_a_secret_or_a_person_written_by_mistake_is_not_repeated(tmp_path: Path, old: str, secret: str) -> None:
    found = told(tmp_path / "config", "platforms", old, secret)
    bare = secret.removeprefix("default_country: ").strip("[]")
    assert found
    assert not any(bare in one for one in found), found
    assert not any("***" in one for one in found), "the words after a field named like a secret are no secret"


YAML = [
    ("a:\n\tb: 1\n", "2:1: a tab stands here (indent with spaces"),
    ("a: 1\n  b: 2\n", "2:4: a second `name: value` begins in the middle of a value"),
    ("title: Sale: 50%\n", "1:12: a second `name: value` begins in the middle of a value"),
    ("a:\n  b: 1\n c: 2\n", "3:2: the line is indented unlike those it belongs to"),
    ("a: 1\nb:2\n", "a name without its colon ends here (write `name: value`, with a space after the colon)"),
    ("a: 'x\nb: 2\n", "a quote that was opened is never closed"),
    ('a: "C:\\data"\n', "1:8: a backslash stands in double quotes (write the text in single quotes"),
    ("a: [meta, google\nb: 1\n", "a list [ is not closed"),
    ("a: {b: 1\nc: 2\n", "a block { is not closed"),
    ("a: @x\n", "1:4: a value begins with a character that YAML keeps for itself (put the value in quotes)"),
    ("a: *.csv\n", "1:4: a value begins with * (put it in quotes)"),
    ("a: 1\na: s3cret\n", "2:1: duplicate key: this setting stands here a second time (keep one of the two)"),
    ("a: 1\nb: x\x07y\n", "2:5: a control character stands here"),
    ("a: 1\n---\nb: 2\n", "a second document begins here"),
    ("- a\n", "1:1: the file must hold settings as `name: value`"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), YAML)
def test_what_keeps_a_file_from_being_yaml_is_told_in_words(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "model.yaml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        Document(tmp_path / "model.yaml")
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_latin_letters_of_an_old_editor_are_placed(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_bytes(b"a: 1\nb: caf\xe9\n")
    with pytest.raises(ConfigurationError, match=r"model.yaml:2:7: the file is not UTF-8 text \(save it as UTF-8\)"):
        Document(tmp_path / "model.yaml")


def test_a_byte_order_mark_and_windows_line_ends_are_nothing_to_complain_about(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_bytes(b"\xef\xbb\xbf" + "a: été\r\nb: 2\r\n".encode())
    assert Document(tmp_path / "model.yaml").data == {"a": "été", "b": 2}


def test_one_mistake_hides_no_other_and_they_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    starter.write(folder)
    text = STARTER["audiences"].replace("name: winback", "name: upsell").replace("min_size: 100", "min_size: none")
    text = text.replace("platforms: [meta]\n", "platforms: [mta]\n").replace("size: narrow\n", "size: small\n")
    (folder / "audiences.yaml").write_text(text)
    with pytest.raises(ConfigurationErrors) as caught:
        config.load(folder)
    found = [str(one) for one in caught.value.errors]
    assert any("taken twice, first in line" in one for one in found)
    assert any("'mta' is not set up" in one for one in found)
    lines = [one.place.line for one in caught.value.errors if one.place]
    assert len(lines) == len(found) >= 4
    assert lines == sorted(lines)


def test_check_shows_patterns_in_brackets_as_they_are(tmp_path: Path) -> None:
    starter.write(tmp_path / "config")
    (tmp_path / "config" / "audiences.yaml").write_text(STARTER["audiences"].replace("tiers: [high]", "tiers: high"))
    found = clvsync("check", cwd=tmp_path, env={"COLUMNS": "240"})
    assert found.returncode == 2
    assert "write [high]" in found.stdout


def test_every_pattern_of_a_setting_has_its_words() -> None:
    patterns = set(re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', json.dumps(schemas())))
    assert {json.loads(one) for one in patterns} <= set(mistakes.PATTERNS)


def test_candidates_of_config_are_those_of_the_core() -> None:
    assert get_args(Candidate) == CANDIDATES
