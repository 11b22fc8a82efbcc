"""Made-up contacts for benchmarks: seven Meta fields, a fixed seed.

6% of the phones are in national formats, an eighth of the names and cities has an accent, an apostrophe, a hyphen or a space,
British postal codes have letters and a space.
"""

from __future__ import annotations

import numpy as np

SOURCES = ("email", "phone", "first_name", "last_name", "city", "postal_code", "country")
SIZES = {"small": (800, 2_000, 600, 900), "large": (50_000, 200_000, 30_000, 40_000)}  # first, last, cities, postal codes
LETTERS = "aaeeiioouunrstlmdkgbfhvwz"
NATIONAL_SHARE = 0.06
SPACED_SHARE = 0.30
PHONES = {  # country: calling code, leading digits, digits after them, national pattern
    "US": ("1", "", 10, "({0}{1}{2}) {3}{4}{5}-{6}{7}{8}{9}"),
    "GB": ("44", "7", 9, "0{0}{1}{2}{3}{4} {5}{6}{7}{8}{9}"),
    "DE": ("49", "15", 9, "0{0}{1}{2}{3} {4}{5}{6}{7}{8}{9}{10}"),
    "FR": ("33", "6", 8, "0{0} {1}{2} {3}{4} {5}{6} {7}{8}"),
}


def people(rows: int, size: str) -> dict[str, list[str]]:
    """Columns of text by contact column name."""
    chance = np.random.default_rng(7)
    first, last, city, postal = SIZES[size]
    names = {"first_name": _words(chance, first), "last_name": _words(chance, last), "city": _words(chance, city)}
    columns = {source: [words[n] for n in chance.integers(0, len(words), rows)] for source, words in names.items()}
    columns["country"] = [list(PHONES)[n] for n in chance.integers(0, len(PHONES), rows)]
    postals = zip(columns["country"], chance.integers(0, postal, rows).tolist(), strict=True)
    columns["postal_code"] = [_british(n) if country == "GB" else f"{10_000 + n}" for country, n in postals]
    hosts = chance.integers(0, 97, rows)
    columns["email"] = [
        f"{_plain(a)}.{_plain(b)}{n}@Example{host}.com"
        for n, (a, b, host) in enumerate(zip(columns["first_name"], columns["last_name"], hosts, strict=True))
    ]
    kinds, digits = chance.random(rows), chance.integers(2_000_000_000, 9_999_999_999, rows)
    columns["phone"] = [_phone(*three) for three in zip(columns["country"], kinds, digits, strict=True)]
    return {source: columns[source] for source in SOURCES}


def _phone(country: str, kind: float, number: int) -> str:
    code, lead, size, pattern = PHONES[country]
    text = str(number)
    own = lead + (text[:3] + "2" + text[4:] if not lead else text[-size:])
    if kind < NATIONAL_SHARE:
        return pattern.format(*own)
    if kind < NATIONAL_SHARE + SPACED_SHARE:
        return f"+{code} {own[:3]} {own[3:6]}-{own[6:]}"
    return f"+{code}{own}"


def _words(chance: np.random.Generator, count: int) -> list[str]:
    letters = chance.integers(0, len(LETTERS), (count, 10))
    sizes = chance.integers(5, 10, count)
    words = ["".join(LETTERS[n] for n in row[:size]).title() for row, size in zip(letters, sizes, strict=True)]
    return [word[:2] + "é-' "[n % 4] + word[2:] if n % 8 == 0 else word for n, word in enumerate(words)]


def _plain(word: str) -> str:
    return "".join(letter for letter in word if letter.isascii() and letter.isalpha())


def _british(number: int) -> str:
    letters = "ABCDEFGHJKLNPRSTUWYZ"
    area, unit = f"{letters[number % 20]}{number // 20 % 90 + 10}", f"{letters[number // 400 % 20]}{letters[number // 90 % 20]}"
    return f"{area} {number % 9 + 1}{unit}"
