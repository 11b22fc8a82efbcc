"""The words that sources use for columns: ours, and others that are recognised."""

from __future__ import annotations

SEVERAL = ("email", "phone")  # a person may have several of these
CONSENTS = ("consent_ad_user_data", "consent_ad_personalization", "do_not_sell")  # of several rows the least consent counts
CONTACTS: dict[str, tuple[str, ...]] = {
    "customer_id": ("customer", "cust_id", "user_id", "id"),
    "email": ("e_mail", "mail", "email_address", "emails"),
    "phone": ("phone_number", "telephone", "tel", "mobile", "phones"),
    "first_name": ("firstname", "given_name", "fn"),
    "last_name": ("lastname", "family_name", "surname", "ln"),
    "gender": ("sex", "gen"),
    "birth_date": ("date_of_birth", "dob", "birthday"),
    "birth_year": ("dob_year", "doby"),
    "birth_month": ("dob_month", "dobm"),
    "birth_day": ("dob_day", "dobd"),
    "city": ("town", "ct"),
    "region": ("state", "province", "st"),
    "postal_code": ("zip", "zip_code", "postcode", "postal"),
    "country": ("country_code",),
    "mobile_ad_id": ("madid", "maid", "idfa", "gaid"),
    "external_id": ("extern_id",),
    "consent_ad_user_data": (),
    "consent_ad_personalization": (),
    "do_not_sell": (),
    "acquired_at": (),
    "source_platform": (),
    "source_account_id": (),
    "source_campaign_id": (),
    "source_adset_id": (),
    "source_ad_id": (),
    "utm_source": (),
    "utm_medium": (),
    "utm_campaign": (),
    "utm_id": (),
    "click_id": (),
}
ACQUISITION = (  # what tells where customers came from, and since when
    "customer_id",
    *(name for name in CONTACTS if name.startswith(("source_", "utm_")) or name in ("acquired_at", "click_id")),
)
CLICKS = ("gclid", "gbraid", "wbraid", "fbclid", "ttclid")  # columns of these names hold click ids too
ENGAGEMENT: dict[str, tuple[str, ...]] = {
    "customer_id": ("customer", "user_id", "id"),
    "at": ("timestamp", "time", "date", "occurred_at"),
    "kind": ("event", "type"),
    "tactic": ("channel",),
    "message": ("campaign",),
}
RATES: dict[str, tuple[str, ...]] = {"date": ("day",), "currency": (), "rate": ()}
