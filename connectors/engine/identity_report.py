"""What became of every identifier: counts by field and reason, never a value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

STRONG_SHARE = 0.5
FAIR_SHARE = 0.7


@dataclass
class FieldReport:
    """Counts of one field. `given` = valid + invalid; `empty` counts people (or cells) without a value.

    hashed_before: values that were digests already. notes: guesses that were taken. repeated: a person's own duplicates.
    shared: values dropped because too many people have them; shared_identifiers: how many different ones.
    surplus: values beyond what the platform takes per person.
    """

    valid: int = 0
    empty: int = 0
    hashed_before: int = 0
    repeated: int = 0
    shared: int = 0
    shared_identifiers: int = 0
    surplus: int = 0
    incomplete: int = 0
    invalid: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def given(self) -> int:
        """How many values there were."""
        return self.valid + self.invalid.total()

    def add(self, other: FieldReport) -> None:
        """Nothing: the other's counts are in this one."""
        for name in ("valid", "empty", "hashed_before", "repeated", "shared", "surplus", "incomplete"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.shared_identifiers = max(self.shared_identifiers, other.shared_identifiers)
        self.invalid.update(other.invalid)
        self.notes.update(other.notes)

    def take(self, other: FieldReport) -> None:
        """Nothing: the other's counts are no longer in this one."""
        for name in ("valid", "empty", "hashed_before", "repeated", "shared", "surplus", "incomplete"):
            setattr(self, name, getattr(self, name) - getattr(other, name))
        self.invalid = self.invalid - other.invalid
        self.notes = self.notes - other.notes

    def to_dict(self) -> dict[str, Any]:
        """Plain counts; zero counts of rare things are left out."""
        counts = {"given": self.given, "valid": self.valid, "invalid": dict(self.invalid.most_common()), "empty": self.empty}
        rare = ("hashed_before", "repeated", "shared", "shared_identifiers", "surplus", "incomplete")
        counts |= {name: getattr(self, name) for name in rare if getattr(self, name)}
        return counts | ({"notes": dict(self.notes)} if self.notes else {})


@dataclass
class IdentityReport:
    """Counts over all people: per field, and how many identifiers each person has.

    Expected match strength: "strong" when at least half of the people have two or more identifiers that find somebody on
    their own (e-mail, phone, device, full address), "fair" when at least 70% have one, else "weak"; "none" without people.
    """

    people: int = 0
    rows: int = 0
    by_identifiers: Counter[int] = field(default_factory=Counter)  # 0, 1, 2, 3 (three and more)
    fields: dict[str, FieldReport] = field(default_factory=dict)

    def of(self, name: str) -> FieldReport:
        """The report of one field, made if need be."""
        return self.fields.setdefault(name, FieldReport())

    def add(self, other: IdentityReport) -> IdentityReport:
        """This report, with the other's counts added."""
        self.people += other.people
        self.rows += other.rows
        self.by_identifiers.update(other.by_identifiers)
        for name, counts in other.fields.items():
            self.of(name).add(counts)
        return self

    def take(self, other: IdentityReport) -> None:
        """Nothing: people who were counted in this report, as in the other, no longer are."""
        self.people -= other.people
        self.rows -= other.rows
        self.by_identifiers.subtract(other.by_identifiers)
        for name, counts in other.fields.items():
            self.of(name).take(counts)

    @property
    def unidentified(self) -> int:
        """People without any usable identifier, who are left out."""
        return self.by_identifiers[0]

    @property
    def strength(self) -> str:
        """Expected match strength: strong, fair, weak or none."""
        if not self.people:
            return "none"
        several = self.by_identifiers[2] + self.by_identifiers[3]
        if several >= STRONG_SHARE * self.people:
            return "strong"
        return "fair" if several + self.by_identifiers[1] >= FAIR_SHARE * self.people else "weak"

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "people": self.people,
            "rows": self.rows,
            "without_identifier": self.unidentified,
            "people_by_identifiers": {"1": self.by_identifiers[1], "2": self.by_identifiers[2], "3+": self.by_identifiers[3]},
            "expected_match": self.strength,
            "fields": {name: counts.to_dict() for name, counts in self.fields.items()},
        }

    def summary(self) -> str:
        """A few lines for people."""
        head = f"{self.people:,} people: {self.unidentified:,} without identifier, "
        head += ", ".join(f"{self.by_identifiers[n]:,} with {n}{'+' if n == 3 else ''}" for n in (1, 2, 3))
        lines = [f"{head}; expected match: {self.strength}"]
        for name, counts in self.fields.items():
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts.invalid.most_common())
            notes = "".join(f"; {count:,} {note}" for note, count in counts.notes.items())
            shared = f"; {counts.shared:,} shared by too many people" if counts.shared else ""
            invalid = f", {counts.invalid.total():,} invalid ({reasons})" if reasons else ""
            lines.append(f"  {name}: {counts.valid:,} valid{invalid}, {counts.empty:,} empty{notes}{shared}")
        return "\n".join(lines)
