"""BG/NBD: orders at a gamma-distributed rate until, after some repeat purchase, the customer drops out.

Fader, Hardie, Lee, "Counting your customers" the easy way, Marketing Science 24 (2005): likelihood (6), expectations (9), (10).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from clv_core.models.geometric_orders import GeometricOrders


@dataclass(frozen=True)
class BgNbd(GeometricOrders):
    """A fitted BG/NBD. A customer with one order can't have dropped out yet: p_alive is 1 at x = 0."""

    name: ClassVar[str] = "bg_nbd"
    entry: ClassVar[int] = 0
