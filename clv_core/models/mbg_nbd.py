"""MBG/NBD: as BG/NBD, but a customer can drop out after the first order too.

Batislam, Denizel, Filiztekin, Int. J. of Research in Marketing 24 (2007); Hoppe, Wagner, Marketing ZFP 29 (2007).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from clv_core.models.geometric_orders import GeometricOrders


@dataclass(frozen=True)
class MbgNbd(GeometricOrders):
    """A fitted MBG/NBD. Customers with one order may have left at once: p_alive is below 1 at x = 0."""

    name: ClassVar[str] = "mbg_nbd"
    entry: ClassVar[int] = 1
