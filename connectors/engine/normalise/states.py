"""US states, the capital's district and the territories: names and usual abbreviations to the two-letter code."""

from __future__ import annotations

from functools import cache

STATES = """
al|alabama|ala
ak|alaska
az|arizona|ariz
ar|arkansas|ark
ca|california|calif|cal
co|colorado|colo
ct|connecticut|conn
de|delaware|del
dc|districtofcolumbia|washingtondc|dcwashington|columbiadistrictof
fl|florida|fla
ga|georgia
hi|hawaii|hawaiʻi
id|idaho
il|illinois|ill
in|indiana|ind
ia|iowa
ks|kansas|kan|kans
ky|kentucky
la|louisiana
me|maine
md|maryland
ma|massachusetts|mass
mi|michigan|mich
mn|minnesota|minn
ms|mississippi|miss
mo|missouri
mt|montana|mont
ne|nebraska|neb|nebr
nv|nevada|nev
nh|newhampshire
nj|newjersey
nm|newmexico|nmex
ny|newyork|newyorkstate
nc|northcarolina|ncar
nd|northdakota|ndak
oh|ohio
ok|oklahoma|okla
or|oregon|ore|oreg
pa|pennsylvania|penn|penna
ri|rhodeisland
sc|southcarolina|scar
sd|southdakota|sdak
tn|tennessee|tenn
tx|texas|tex
ut|utah
vt|vermont
va|virginia
wa|washington|wash|washingtonstate
wv|westvirginia|wva
wi|wisconsin|wis|wisc
wy|wyoming|wyo
as|americansamoa
gu|guam
mp|northernmarianaislands|cnmi
pr|puertorico
vi|virginislands|usvirginislands
um|usminoroutlyingislands|unitedstatesminoroutlyingislands
aa|armedforcesamericas
ae|armedforceseurope
ap|armedforcespacific
"""


@cache
def state_codes() -> dict[str, str]:
    """The two-letter code (lower case) by folded name, abbreviation or the code itself."""
    found: dict[str, str] = {}
    for line in STATES.strip().splitlines():
        code, *names = line.split("|")
        found |= {code: code, f"us{code}": code}
        for name in names:
            forms = (name, f"stateof{name}", f"{name}state", f"{name}usa", f"{name}us", f"{name}unitedstates")
            found |= dict.fromkeys(forms, code)
    return found
