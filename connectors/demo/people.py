"""The demo's contacts, nobody real: example.com addresses, phones reserved for fiction, all kinds of consent, some dirt."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

FIRST = (
    "Ada Ben Carla Dmitri Elena Farid Grace Hiro Inês Jürgen Kwame Lucía Mary Noor Olga Pavel Quinn Renée Samir Tomás Uma "
    "Viktor Wen Ximena Yara Zoë Aoife Björn Chloé Diego Emil Fatima Giulia Hannah Ivan Jana Karim Léa Marek Nadia Oscar Priya "
    "Rosa Søren"
).split()
LAST = (
    "Abbott Baker Costa Diaz Eriksson Fischer García Haddad Ito Jansen Kowalski Lambert Müller Nakamura O'Connor Petrov Quist "
    "Rossi Silva Tanaka Underhill Varga Weiss Xu Young Zimmermann Ångström Brown Châtelain Dupont Evans Ferreira Grant Hughes "
    "Iyer Jones Khan Lopez Meyer Novak Ortiz Popescu Reyes Smith-Hall"
).split()
# country: share, cities, regions, postal codes, phone pattern of numbers reserved for fiction ({n}: running digits)
COUNTRIES: dict[str, tuple[float, tuple[str, ...], tuple[str, ...], tuple[str, ...], str]] = {
    "US": (
        0.62,
        ("New York", "Austin", "St. Louis", "San José"),
        ("NY", "Texas", "mo", "California"),
        ("10001", "73301-4321", "63101", "95101"),
        "us",
    ),
    "GB": (0.11, ("London", "Leeds"), ("England", "England"), ("SW1A 1AA", "LS1 4AP"), "+44 7700 900{n:03d}"),
    "DE": (0.08, ("Köln", "Berlin"), ("NRW", "Berlin"), ("50667", "10115"), "030 23125 {n:03d}"),
    "FR": (0.06, ("Paris", "Saint-Étienne"), ("IDF", "ARA"), ("75001", "42000"), "06 39 98 {n:02d} {m:02d}"),
    "CA": (0.05, ("Toronto", "Montréal"), ("ON", "QC"), ("M5V 3A8", "H2X 1Y4"), "us"),
    "AU": (0.04, ("Sydney", "Perth"), ("NSW", "WA"), ("2000", "6000"), "(02) 5550 {n:02d}{m:02d}"),
    "BR": (0.02, ("São Paulo", "Recife"), ("SP", "PE"), ("01310-100", "50010-000"), ""),
    "": (0.02, ("Springfield",), ("",), ("",), ""),
}
AREA_CODES = (
    201,
    202,
    206,
    212,
    213,
    214,
    303,
    305,
    312,
    313,
    404,
    415,
    503,
    512,
    602,
    612,
    617,
    702,
    713,
    718,
    801,
    808,
    901,
    916,
)


def contacts(ids: np.ndarray, rng: np.random.Generator) -> dict[str, list[str]]:
    """Columns of a contacts file, one row per customer id, in the order given."""
    count = len(ids)
    first, last = rng.choice(FIRST, count), rng.choice(LAST, count)
    names = list(COUNTRIES)
    country = rng.choice(len(names), count, p=[COUNTRIES[name][0] for name in names])
    place = rng.integers(0, 1 << 30, count)
    phone_roll, dirt, consent = rng.random(count), rng.random(count), rng.random((count, 2))
    columns: dict[str, list[str]] = {name: [] for name in _COLUMNS}
    for row in range(count):
        name = names[int(country[row])]
        _, cities, regions, codes, pattern = COUNTRIES[name]
        at = int(place[row]) % len(cities)
        person = {
            "customer_id": str(ids[row]),
            "email": _email(str(first[row]), str(last[row]), int(ids[row]), float(dirt[row])),
            "phone": _phone(pattern, int(place[row])) if phone_roll[row] < 0.45 else "",
            "first_name": str(first[row]),
            "last_name": str(last[row]),
            "city": cities[at],
            "region": regions[at],
            "postal_code": codes[at],
            "country": name,
            **_consent(name, consent[row]),
        }
        for column in _COLUMNS:
            columns[column].append(person[column])
    return columns


_COLUMNS = (
    "customer_id email phone first_name last_name city region postal_code country "
    "consent_ad_user_data consent_ad_personalization do_not_sell"
).split()


def _email(first: str, last: str, number: int, dirt: float) -> str:
    local = "".join(letter for letter in f"{first}.{last}" if letter.isascii() and (letter.isalnum() or letter == "."))
    address = f"{local.lower()}.{number}@example.{('com', 'org', 'net')[number % 3]}"
    if dirt < 0.02:
        return address.replace("@", "(at)")  # not an address
    if dirt < 0.03:
        return "orders@example.com"  # one address on many people
    if dirt < 0.06:
        return ""
    if dirt < 0.12:
        return f"  {address.title()} "  # harmless dirt
    if dirt < 0.15:
        return f"{address}|{local.lower()}.home{number}@example.org"  # two addresses
    return address


def _phone(pattern: str, digits: int) -> str:
    if not pattern:
        return ""
    if pattern == "us":
        area = AREA_CODES[digits % len(AREA_CODES)]
        line = 100 + digits // 29 % 100
        return (f"+1{area}5550{line}", f"({area}) 555-0{line}", f"1-{area}-555-0{line}")[digits % 3]
    return pattern.format(n=digits % 100 if "{m" in pattern else digits % 1000, m=digits // 7 % 100)


def _consent(country: str, roll: np.ndarray) -> dict[str, str]:
    data = "granted" if roll[0] < 0.78 else "denied" if roll[0] < 0.86 else ""
    personal = data if roll[1] < 0.94 else "denied"
    sold = "true" if country == "US" and roll[1] > 0.97 else ""
    return {"consent_ad_user_data": data, "consent_ad_personalization": personal, "do_not_sell": sold}
