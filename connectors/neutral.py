"""Words in an audience's name or description for which Meta blocks it (status 471), and that are best left out anywhere.

Meta publishes no list; its examples are "high income" and "diabetes" (Custom Audience reference, flagging since 2025-09).
Whole words are compared, upper and lower case alike, so "Seed A" or "top customers" pass and "wealthy buyers" does not.
"""

from __future__ import annotations

import re
from typing import Final

FINANCE: Final = (
    "income", "incomes", "salary", "salaries", "wage", "wages", "wealth", "wealthy", "affluent", "rich", "poor", "poverty",
    "net worth", "networth", "millionaire", "millionaires", "credit score", "credit rating", "credit card", "debt", "debts",
    "indebted", "bankrupt", "bankruptcy", "insolvent", "loan", "loans", "payday", "mortgage", "mortgages", "unemployed",
    "financial hardship", "low-income", "high-income", "foreclosure", "hni", "hnwi", "purchasing power",
)  # fmt: skip
HEALTH: Final = (
    "health", "medical", "medication", "medicine", "patient", "patients", "disease", "diseases", "disorder", "diagnosis",
    "diagnosed", "diabetes", "diabetic", "diabetics", "insulin", "cancer", "tumor", "tumour", "arthritis", "asthma", "hiv",
    "aids", "std", "depression", "depressed", "anxiety", "adhd", "autism", "autistic", "bipolar", "dementia", "alzheimer",
    "alzheimers", "parkinson", "epilepsy", "obesity", "obese", "overweight", "weight loss", "pregnant", "pregnancy",
    "fertility", "ivf", "menopause", "addiction", "addict", "alcoholic", "rehab", "erectile",
    "incontinence", "migraine", "hypertension", "cholesterol", "disabled", "disability", "psoriasis", "eczema", "stroke",
    "therapy", "antidepressant", "prescription",
)  # fmt: skip

_FLAGGED: Final = re.compile(r"(?<!\w)(" + "|".join(map(re.escape, (*FINANCE, *HEALTH))) + r")(?!\w)", re.IGNORECASE)


def flagged_words(*texts: str) -> list[str]:
    """The words, lower-cased and in order, for which Meta would block an audience; [] when there is none."""
    return [match.group(1).lower() for text in texts for match in _FLAGGED.finditer(text.replace("_", " "))]
