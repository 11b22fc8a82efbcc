"""The rules that turn a value into what a platform would hash, by rule id. One file per noun."""

from __future__ import annotations

from connectors.engine.normalise import country, device, email, mark, name, person, phone, place
from connectors.engine.normalise.rule import Rule, Settled
from connectors.engine.normalise.switches import IdentityRules

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        email.EMAIL_PLAIN,
        email.EMAIL_GOOGLE,
        email.EMAIL_WITHOUT_TAG,
        email.EMAIL_BARE,
        phone.PHONE_DIGITS,
        phone.PHONE_E164,
        name.NAME_META,
        name.INITIAL_META,
        name.NAME_GOOGLE_GIVEN,
        name.NAME_GOOGLE_FAMILY,
        place.CITY_META,
        place.REGION_META,
        place.POSTAL_META,
        place.POSTAL_GOOGLE,
        country.COUNTRY_LOWER,
        country.COUNTRY_UPPER,
        person.GENDER,
        person.BIRTH_YEAR,
        person.BIRTH_MONTH,
        person.BIRTH_DAY,
        device.MOBILE_AD_ID,
        device.EXTERNAL_ID,
        mark.MARK,
    )
}

__all__ = ["RULES", "IdentityRules", "Rule", "Settled"]
