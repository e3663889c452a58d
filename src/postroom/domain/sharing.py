"""How processes share the slots: each listener's deliveries are made by the one that holds its slot."""

from collections.abc import Sequence
from typing import NamedTuple


class Moves(NamedTuple):
    """Slots that a process may take now, and slots that it is to give up."""

    take: list[int]
    give: list[int]


def share(holders: Sequence[str | None], living: Sequence[str], own: str) -> Moves:
    """The moves of the process `own`, so that all the `living` come to have as many, give or take one.

    `holders` has the holder of each slot. What nobody living holds is free to be taken, up to the process'
    part; who has more than its part gives up the rest.
    """
    order = sorted(living)
    most, rest = divmod(len(holders), len(order))
    part = most + (order.index(own) < rest)
    mine = [slot for slot, holder in enumerate(holders) if holder == own]
    free = [slot for slot, holder in enumerate(holders) if holder not in order]
    return Moves(free[: max(part - len(mine), 0)], mine[part:])
