"""Countries TikTok can make lookalikes in: ISO code -> location id (GeoNames ids, as US 6252001 in TikTok's own example).

TikTok's enumeration is longer for some advertisers; `lookalike.location_ids` in platforms.yaml adds to this table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LOCATIONS: dict[str, str] = {
    "AE": "290557",
    "AR": "3865483",
    "AT": "2782113",
    "AU": "2077456",
    "AZ": "587116",
    "BD": "1210997",
    "BE": "2802361",
    "BG": "732800",
    "BH": "290291",
    "BO": "3923057",
    "BR": "3469034",
    "BY": "630336",
    "CA": "6251999",
    "CH": "2658434",
    "CL": "3895114",
    "CO": "3686110",
    "CR": "3624060",
    "CY": "146669",
    "CZ": "3077311",
    "DE": "2921044",
    "DK": "2623032",
    "DO": "3508796",
    "DZ": "2589581",
    "EC": "3658394",
    "EE": "453733",
    "EG": "357994",
    "ES": "2510769",
    "FI": "660013",
    "FR": "3017382",
    "GB": "2635167",
    "GR": "390903",
    "GT": "3595528",
    "HR": "3202326",
    "HU": "719819",
    "ID": "1643084",
    "IE": "2963597",
    "IL": "294640",
    "IQ": "99237",
    "IT": "3175395",
    "JO": "248816",
    "JP": "1861060",
    "KE": "192950",
    "KH": "1831722",
    "KR": "1835841",
    "KW": "285570",
    "KZ": "1522867",
    "LB": "272103",
    "LK": "1227603",
    "LT": "597427",
    "LU": "2960313",
    "LV": "458258",
    "MA": "2542007",
    "MT": "2562770",
    "MX": "3996063",
    "MY": "1733045",
    "NG": "2328926",
    "NL": "2750405",
    "NO": "3144096",
    "NZ": "2186224",
    "OM": "286963",
    "PA": "3703430",
    "PE": "3932488",
    "PH": "1694008",
    "PK": "1168579",
    "PL": "798544",
    "PR": "4566966",
    "PT": "2264397",
    "PY": "3437598",
    "QA": "289688",
    "RO": "798549",
    "RS": "6290252",
    "SA": "102358",
    "SE": "2661886",
    "SG": "1880251",
    "SI": "3190538",
    "SK": "3057568",
    "TH": "1605651",
    "TN": "2464461",
    "TR": "298795",
    "TW": "1668284",
    "UA": "690791",
    "US": "6252001",
    "UY": "3439705",
    "VN": "1562822",
    "ZA": "953987",
}


def location_ids(countries: Iterable[str], extra: Mapping[str, str]) -> list[str]:
    """TikTok's ids of the countries, sorted; raises ConfigurationError naming those that are unknown."""
    known = {**LOCATIONS, **{code.upper(): place for code, place in extra.items()}}
    missing = sorted({code for code in countries if code.upper() not in known})
    if missing:
        raise ConfigurationError(
            f"TikTok lookalikes: no location id is known for {', '.join(missing)}",
            remedy="remove the country, or give its id under lookalike.location_ids in platforms.yaml",
            platform="tiktok",
        )
    return sorted({known[code.upper()] for code in countries})
