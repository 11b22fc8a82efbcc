"""Config: what is shipped loads; every mistake is reported at once, with its place."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from connectors import config
from connectors.demo import starter, world
from connectors.errors import ConfigurationError, ConfigurationErrors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    starter.write(tmp_path / "config")
    return tmp_path / "config"


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def mistakes(folder: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        config.load(folder)
    error = caught.value
    return [str(one) for one in error.errors] if isinstance(error, ConfigurationErrors) else [str(error)]


def test_the_shipped_starter_config_is_valid(folder: Path) -> None:
    settings = config.load(folder)
    assert set(settings.platforms) == {"meta", "google", "tiktok"}
    assert [one.name for one in settings.audiences.audiences][:2] == ["value_seed", "tier_high"]


def test_the_demo_config_is_valid(tmp_path: Path) -> None:
    world.write_config(tmp_path, {"http://127.0.0.1:8801": "http://127.0.0.1:9999"})
    settings = config.load(tmp_path)
    assert settings.platforms["meta"].model_dump()["api_base"] == "http://127.0.0.1:9999"
    assert settings.sources.as_of == "last_order"


def test_every_mistake_is_reported_at_once_with_file_line_and_column(folder: Path) -> None:
    edit(folder / "sources.yaml", "timezone: America/New_York", "timezone: Mars/Olympus")
    edit(folder / "model.yaml", "horizon_days: 365", "horizon_dayz: 365")
    edit(folder / "platforms.yaml", "access_token: env:META_ACCESS_TOKEN", "access_token: EAAB-secret-in-plain-sight")
    found = mistakes(folder)
    assert len(found) == 3
    line = (
        (folder / "sources.yaml")
        .read_text()
        .splitlines()
        .index(next(one for one in (folder / "sources.yaml").read_text().splitlines() if one.startswith("timezone:")))
    )
    assert any(f"sources.yaml:{line + 1}:11: timezone: no such time zone" in one for one in found)
    assert any("model.yaml:4:1: horizon_dayz: no such setting (did you mean horizon_days?)" in one for one in found)
    assert any("platforms.yaml" in one and "env:NAME or file:path" in one for one in found)
    assert not any("EAAB" in one for one in found), "a secret written by mistake must not be repeated"


def test_unknown_platforms_are_named_with_what_is_installed(folder: Path) -> None:
    with (folder / "platforms.yaml").open("a") as file:
        file.write("\nsnapchat:\n  accounts: []\n")
    edit(folder / "audiences.yaml", "platforms: [meta, google, tiktok]", "platforms: [meta, pinterest]")
    found = mistakes(folder)
    assert any("unknown platform 'snapchat'" in one and "google" in one and "meta" in one for one in found)
    assert any("platform 'pinterest' is not set up" in one for one in found)


def test_countries_are_not_booleans_and_duplicate_keys_are_mistakes(folder: Path) -> None:
    edit(folder / "audiences.yaml", "countries: [US]", "countries: [NO, SE]")
    assert config.load(folder).audiences.audiences[0].lookalikes[0].countries == ["NO", "SE"]
    with (folder / "model.yaml").open("a") as file:
        file.write("\nhorizon_days: 30\n")
    (found,) = mistakes(folder)
    assert "model.yaml" in found
    assert "duplicate key" in found


def test_unreadable_yaml_and_missing_files_are_placed(folder: Path) -> None:
    (folder / "labels.yaml").write_text("creative: [\n")
    (folder / "audiences.yaml").unlink()
    found = mistakes(folder)
    assert any("labels.yaml:" in one and "not readable as YAML" in one for one in found)
    assert any("audiences.yaml" in one and "missing" in one for one in found)


def test_a_missing_folder_says_how_to_make_one(tmp_path: Path) -> None:
    assert "clvsync init" in mistakes(tmp_path / "nowhere")[0]


def test_two_audiences_of_one_name_are_a_mistake(folder: Path) -> None:
    edit(folder / "audiences.yaml", "name: tier_high", "name: value_seed")
    assert any("taken twice" in one for one in mistakes(folder))


def test_plain_text_addresses_are_refused_unless_they_stay_on_this_machine(tmp_path: Path) -> None:
    world.write_config(tmp_path, {"http://127.0.0.1:8801": "http://graph.example.com"})
    assert any("meta" in one for one in mistakes(tmp_path))


def test_schemas_in_docs_are_those_of_the_code() -> None:
    from connectors.schema import schemas

    docs = Path(__file__).parents[2] / "docs" / "schema"
    import json

    for name, schema in schemas().items():
        assert json.loads((docs / f"{name}.json").read_text()) == json.loads(json.dumps(schema)), f"run: make schemas ({name})"


def test_the_starter_is_the_config_folder(folder: Path) -> None:
    repository = Path(__file__).parents[2] / "config"
    for name in starter.NAMES:
        assert (folder / f"{name}.yaml").read_text() == (repository / f"{name}.yaml").read_text().replace(
            "../docs/schema/", "schema/"
        )
    shutil.rmtree(folder)


def test_paths_of_a_platform_are_relative_to_the_config_folder(folder: Path) -> None:
    with (folder / "platforms.yaml").open("a") as file:
        file.write("\nfile:\n  folder: ../lists\n  accounts:\n    - {account_id: by-hand, format: meta}\n")
    assert config.load(folder).platforms["file"].model_dump()["folder"] == str((folder / ".." / "lists").resolve())
