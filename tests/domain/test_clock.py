"""Time that never steps back."""

from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.clock import HeldClock, system_clock
from tests.support.clock import MovingClock


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1))
def test_a_held_clock_answers_the_latest_time_seen(steps: list[int]) -> None:
    """Behind a clock that steps forward and back, time stands still until it is caught up with."""
    below = MovingClock()
    held, latest = HeldClock(below), 0
    for step in steps:
        latest = max(latest, below.pass_(ms=step))
        assert held() == latest


def test_a_held_clock_takes_up_where_the_last_process_left() -> None:
    """Nothing is stamped earlier than what was counted already."""
    below = MovingClock(1_000)
    held = HeldClock(below)
    held.hold(5_000)
    assert held() == 5_000
    held.hold(3_000)
    assert held() == 5_000
    below.now = 5_001
    assert held() == 5_001


def test_the_system_clock_is_in_milliseconds() -> None:
    """It lies after the first commit of Postroom, and before the year 2200."""
    assert 1_735_689_600_000 < system_clock() < 7_258_118_400_000
