"""The sandbox refuses what TikTok refuses: uploads, and audiences made and edited from files."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import ADVERTISER, Recorded
from .plain import GONE, HEX, OTHER, OTHER_HEX, Plain

MULTI = {"calculate_type": "MULTIPLE_TYPES"}


@pytest.mark.parametrize(
    ("content", "changes", "code"),
    [
        (f"{HEX}\n", {"name": "a.CSV"}, 40908),
        (f"{HEX}\n", {"name": "a.xlsx"}, 40908),
        (f"{HEX}\n", {"name": ""}, 40905),
        ("", {}, 40906),
        (f"{HEX}\n", {"file_signature": "0" * 32}, 40900),
        (f"{HEX}\n", {"file_signature": ""}, 40002),
        (f"{HEX}\n", {"calculate_type": ""}, 40002),
        (f"{HEX}\n", {"calculate_type": "FIRST_NORMAL"}, 40909),
        ("jane@example.com\n", {}, 40915),
        ("+12133734253\n", {"calculate_type": "PHONE_SHA256"}, 40915),
        ("a" * 32 + "\n", {}, 40915),
        (f"{HEX}\n", {"calculate_type": "IDFA_MD5"}, 40915),
        (f"email\n{HEX}\n", {}, 40915),
        (f"{HEX}\n", MULTI, 40915),
        (f"email_SHA256,value\n{HEX},12\n", MULTI, 40915),
        (f"email_SHA256,phone_SHA256\n{HEX}\n", MULTI, 40915),
        ("email_SHA256\njane@example.com\n", MULTI, 40915),
        (f"{','.join(['email_SHA256'] * 4)}\n{HEX},,,\n", MULTI, 40915),
        ("email_SHA256\n", MULTI, 40906),
        (f"EMAIL_sha256,phone_SHA256\n{HEX},\n", MULTI, 0),
        (f"email_SHA256,email_SHA256,email_SHA256\n{HEX},{OTHER_HEX},\n", MULTI, 0),
        (f"{HEX.upper()}\n", {"calculate_type": "MAID_SHA256", "name": "a.txt"}, 0),
    ],
)
def test_uploads(content: str, changes: dict[str, str], code: int, plain: Plain) -> None:
    answer = plain.upload(content.encode(), **changes)
    assert answer["code"] == code
    if code == 0:
        assert len(answer["data"]["file_path"]) == 16


def test_a_file_over_the_limit(plain: Plain, sandbox: Recorded) -> None:
    assert sandbox.files.largest == 250_000_000
    sandbox.files.largest = 64
    assert plain.upload(f"{HEX}\n".encode())["code"] == 40907


def test_a_form_is_a_form(plain: Plain) -> None:
    assert plain.send("POST", "/dmp/custom_audience/file/upload/", b"{}")["code"] == 40002


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"custom_audience_name": ""}, 40002),
        ({"custom_audience_name": None}, 40002),
        ({"custom_audience_name": "x" * 128}, 0),
        ({"custom_audience_name": "x" * 129}, 40002),
        ({"file_paths": []}, 40002),
        ({"file_paths": ["0" * 16] * 501}, 40002),
        ({"file_paths": ["0" * 16]}, 40007),
        ({"calculate_type": "PHONE_SHA256"}, 40002),
        ({"calculate_type": "MAID_SHA256"}, 40002),
        ({"calculate_type": None}, 40002),
        ({"retention_in_days": 0}, 40002),
        ({"retention_in_days": 365}, 0),
        ({"retention_in_days": 366}, 40002),
        ({"audience_sub_type": "VALUE_BASED"}, 40002),
        ({"audience_sub_type": "REACH_FREQUENCY"}, 0),
        ({"advertiser_id": OTHER}, 40002),
    ],
)
def test_creates(changes: dict[str, Any], code: int, plain: Plain) -> None:
    assert plain.create(**changes)["code"] == code


def test_maid_files_are_first_at_create(plain: Plain) -> None:
    path = plain.path_of(calculate_type="MAID_SHA256")
    assert plain.create(file_paths=[path], calculate_type="FIRST_SHA256")["code"] == 0


def test_a_file_expires(plain: Plain, sandbox: Recorded) -> None:
    path = plain.path_of()
    sandbox.clock.advance(hours=25)
    assert plain.create(file_paths=[path])["code"] == 40910


def test_four_hundred_audiences(plain: Plain, sandbox: Recorded) -> None:
    for number in range(400):
        sandbox.segments.audience({"custom_audience_name": str(number)}, ADVERTISER)
    assert plain.create()["code"] == 40002
    assert plain.post("/segment/audience/", advertiser_id=ADVERTISER, custom_audience_name="S")["code"] == 40002
    assert plain.post("/segment/audience/", advertiser_id=OTHER, custom_audience_name="S")["code"] == 0


def test_without_action_an_update_replaces(plain: Plain, sandbox: Recorded) -> None:
    audience = plain.audience(1500)
    assert plain.update(audience, action=None)["code"] == 0
    assert sandbox.state()["audiences"][audience]["member_count"] == 1200


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"action": "UPSERT"}, 40002),
        ({"custom_audience_id": GONE}, 40007),
        ({"advertiser_id": OTHER}, 40007),
        ({"file_paths": ["1" * 16]}, 40007),
        ({"file_paths": None, "custom_audience_name": "x" * 129}, 40002),
        ({"file_paths": None}, 40002),
        ({"file_paths": None, "custom_audience_name": "New name"}, 0),
        ({"audience_sub_type": "NORMAL"}, 40002),
        ({"audience_sub_type": "REACH_FREQUENCY"}, 0),
    ],
)
def test_updates(changes: dict[str, Any], code: int, plain: Plain) -> None:
    assert plain.update(plain.audience(), **changes)["code"] == code


def test_names_change_only_of_usable_file_audiences(plain: Plain) -> None:
    new = {"file_paths": None, "custom_audience_name": "New name"}
    assert (
        plain.update(plain.audience(ready=False), **new)["message"] == "Audience is not editable, please check audience status"
    )
    assert plain.update(plain.audience(800), **new)["code"] == 40002
    assert plain.update(plain.segment(), **new)["code"] == 40002
    assert plain.update(str(plain.lookalike(plain.audience())["data"]["custom_audience_id"]), **new)["code"] == 40002


def test_an_audience_in_the_making_is_not_editable(plain: Plain) -> None:
    answer = plain.update(plain.audience(ready=False))
    assert (answer["code"], answer["message"]) == (40002, "Audience is not editable, please check audience status")


def test_an_audience_that_ended_empty_is_not_editable(plain: Plain) -> None:
    answer = plain.update(plain.audience(800))
    assert answer["code"] == 40002
    assert "1,000" in answer["message"]


def test_one_replace_a_day(plain: Plain, sandbox: Recorded) -> None:
    sandbox.audiences.validity_hours = 1
    audience = plain.audience()
    assert plain.update(audience, action="REPLACE")["code"] == 0
    sandbox.clock.advance(hours=2)
    answer = plain.update(audience, action="REPLACE")
    assert answer["code"] == 40002
    assert "replace operation" in answer["message"]
    assert plain.update(audience, action="APPEND")["code"] == 0
    sandbox.clock.advance(hours=23)
    assert plain.update(audience, action="REPLACE")["code"] == 0


def test_a_result_below_a_thousand_fails_in_the_history(plain: Plain, sandbox: Recorded) -> None:
    audience = plain.audience(1500)
    assert plain.update(audience, action="REMOVE")["code"] == 0
    sandbox.clock.advance(hours=25)
    (found,) = plain.get("/dmp/custom_audience/get/", advertiser_id=ADVERTISER, custom_audience_ids=[audience])["data"]["list"]
    assert "failed" in found["audience_history"][0]["msg"]
    assert found["audience_details"]["cover_num"] == 1500
    assert sandbox.state()["audiences"][audience]["member_count"] == 1500


def test_a_retention_is_a_fixed_end(plain: Plain, sandbox: Recorded) -> None:
    audience = str(plain.create(retention_in_days=2)["data"]["custom_audience_id"])
    sandbox.clock.advance(hours=30)
    assert plain.update(audience)["code"] == 0  # an edit does not extend it
    sandbox.clock.advance(hours=20)
    assert plain.update(audience)["code"] == 40002


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"page": "0"}, 40002),
        ({"page_size": "101"}, 40002),
        ({"page_size": "100"}, 0),
        ({"custom_audience_ids": []}, 40002),
        ({"custom_audience_ids": [GONE] * 101}, 40002),
    ],
)
def test_lists(query: dict[str, Any], code: int, plain: Plain) -> None:
    assert plain.get("/dmp/custom_audience/list/", advertiser_id=ADVERTISER, **query)["code"] == code


def test_the_list_has_ten_on_a_page(plain: Plain) -> None:
    for _ in range(12):
        plain.segment()
    data = plain.get("/dmp/custom_audience/list/", advertiser_id=ADVERTISER)["data"]
    assert len(data["list"]) == 10
    assert data["page_info"] == {"page": 1, "page_size": 10, "total_number": 12, "total_page": 2}
    assert data["list"][0]["audience_type"] == "Partner"


@pytest.mark.parametrize(("ids", "code"), [([], 40002), ([GONE], 40007), ([GONE] * 101, 40002)])
def test_deletes(ids: list[str], code: int, plain: Plain) -> None:
    assert plain.post("/dmp/custom_audience/delete/", advertiser_id=ADVERTISER, custom_audience_ids=ids)["code"] == code
