"""Who was in which arm of an audience's holdout, and since when: recorded at a person's first selection, before any effect.

The arm is a stable hash of customer and audience, so it could be computed at any time; what must be remembered is the day on
which the person first belonged, for lift is what happens after it. Kept under the ledger's member keys, owner-only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors import tables
from connectors.engine.pieces import Pieces
from connectors.engine.selection import select_members

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date
    from pathlib import Path

    import pyarrow as pa

    from connectors.engine.audience import AudienceRequest
    from connectors.engine.ledger import Ledger
    from connectors.engine.members import Members

FILE = "experiments"
COLUMNS = ["member_key", "audience", "held_out", "since", "share"]


def record(state: Path, members: Members, requests: Sequence[AudienceRequest], ledger: Ledger, day: date) -> int:
    """How many people are under observation, newcomers of today among them; erased people are taken out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    trials = [one for one in requests if one.holdout > 0]
    known = _read(state, ledger)
    if known is not None:
        for one in trials:  # another share is another experiment: its people would be in two arms
            same = pc.and_(pc.equal(known["audience"], one.key), pc.not_equal(known["share"], one.holdout))
            known = known.filter(pc.invert(same))
    parts = [] if known is None else [known]
    if trials:
        path = select_members(members, trials, ledger, "experiments")
        for piece in Pieces(path, members.key):
            for number, request in enumerate(trials):
                mine = piece.filter(piece.column(f"in_{number}").cast(pa.bool_()))
                keys = mine.column("member_key").cast(pa.uuid()).storage
                out = mine.column(f"out_{number}").cast(pa.bool_())
                since, audience = pa.scalar(day, pa.date32()), pa.scalar(request.key)
                fixed = [pa.repeat(one, len(out)) for one in (audience, since, pa.scalar(request.holdout))]
                parts.append(pa.table([keys, out, *fixed], names=["member_key", "held_out", "audience", "since", "share"]))
        path.unlink()
    if not parts:
        return 0
    whole = pa.concat_tables([one.select(COLUMNS) for one in parts])
    first = whole.group_by(["member_key", "audience"], use_threads=False).aggregate(
        [("held_out", "first"), ("since", "min"), ("share", "max")]
    )
    first = first.rename_columns({"held_out_first": "held_out", "since_min": "since", "share_max": "share"})
    return _write(state, first, ledger)


def forget(state: Path, ledger: Ledger) -> None:
    """Nothing: erased people are in no experiment."""
    known = _read(state, ledger)
    if known is not None:
        _write(state, known, ledger)


def expire(state: Path, ledger: Ledger, trials: Collection[str], before: date) -> None:
    """Nothing: of audiences that hold nobody out any more (not in `trials`) only who joined since `before` is kept."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known = _read(state, ledger)
    if known is not None:
        running = pc.is_in(known["audience"], pa.array(sorted(trials), pa.string()))
        left = known.filter(pc.or_(running, pc.greater_equal(known["since"], pa.scalar(before, pa.date32()))))
        if left.num_rows < known.num_rows:
            _write(state, left, ledger)


def arms(state: Path, ledger: Ledger, customer_ids: pa.Array) -> pa.Table | None:
    """customer_id, audience, held_out, since for these customers, or None when no audience ever had a holdout."""
    import pyarrow as pa

    known = _read(state, ledger)
    if known is None:
        return None
    people = pa.table({"customer_id": customer_ids, "member_key": ledger.member_keys(customer_ids).storage})
    return people.join(known, "member_key", join_type="inner").select(["customer_id", "audience", "held_out", "since"])


def _write(state: Path, table: pa.Table, ledger: Ledger) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    erased = pa.array([bytes.fromhex(one) for one in ledger.tombstones()], pa.binary(16))
    kept = table.filter(pc.invert(pc.is_in(table["member_key"], erased)))
    tables.keep(kept, state / FILE, ledger.key)
    return int(kept.num_rows)


def _read(state: Path, ledger: Ledger) -> pa.Table | None:
    return tables.kept(state / FILE, ledger.key)
