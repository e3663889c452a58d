"""Listeners and what became of their deliveries."""

from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.ids import IdSource
from postroom.domain.listener import SLOTS, Counts, slot_of

some = st.integers(0, 1 << 40)


@given(some, some, some, some)
def test_accepted_is_the_sum_of_what_became_of_it(
    delivered: int, failed: int, discarded: int, pending: int
) -> None:
    """accepted = delivered + pending + failed + discarded."""
    accepted = delivered + failed + discarded + pending
    assert Counts(accepted, delivered, failed, discarded).pending == pending


def test_slots_are_shared_out_evenly() -> None:
    """No slot of 256 is without listeners among many, and none has far more than its share."""
    source = IdSource()
    slots = [slot_of(source.mint(at)) for at in range(SLOTS * 100)]
    shares = [slots.count(slot) for slot in range(SLOTS)]
    assert sum(shares) == len(slots)
    assert 30 < min(shares) <= max(shares) < 300


def test_a_slot_never_changes() -> None:
    """It is stored, and computed by whoever delivers: the function is part of the schema."""
    assert [slot_of("-" * 21), slot_of("-Ng2zZZ01234567890abc")] == [30, 204]
