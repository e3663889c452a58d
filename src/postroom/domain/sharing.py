"""How processes share the slots: each listener's deliveries are made by the one that holds its slot."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

_LEAVING = "leaving "


def leaving(process: str) -> str:
    """The name under which a process that leaves holds what it has not ended yet."""
    return _LEAVING + process


class Moves(NamedTuple):
    """Slots that a process may take now, and slots that it is to give up."""

    take: list[int]
    give: list[int]


def share(holders: Sequence[str | None], living: Sequence[str], own: str) -> Moves:
    """The moves of the process `own`, so that all the `living` come to have as many, give or take one.

    `holders` has the holder of each slot. What nobody living holds is free to be taken, up to the process'
    part; who has more than its part gives up the rest. Processes that look at the same moment take different
    slots: each leaves to those before it what they lack. Who is leaving has no part, and keeps what it holds.
    """
    order = sorted(name for name in living if not name.startswith(_LEAVING))
    most, rest = divmod(len(holders), len(order))
    held = Counter(holders)
    lacking = [most + (rank < rest) - held[name] for rank, name in enumerate(order)]
    rank = order.index(own)
    left = sum(lack for lack in lacking[:rank] if lack > 0)
    mine = [slot for slot, holder in enumerate(holders) if holder == own]
    free = [slot for slot, holder in enumerate(holders) if holder not in living]
    lack = lacking[rank]
    return Moves(free[left : left + max(lack, 0)], mine[len(mine) + min(lack, 0) :])
