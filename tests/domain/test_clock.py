"""Time that never steps back."""

from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.clock import HeldClock, SharedClock, system_clock
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


OFFSETS = st.integers(-(10**12), 10**12)
WAITS = st.integers(0, 5_000)


def asked(clock: SharedClock, below: MovingClock, offset: int, there: int, back: int) -> None:
    """The common clock, `offset` ms ahead, was read; the question and the answer took time."""
    before = below()
    shared = below.pass_(ms=there) + offset
    clock.set(shared, before, below.pass_(ms=back))


@given(OFFSETS, WAITS, WAITS, st.integers(-(10**6), 10**6))
def test_a_shared_clock_shows_what_the_common_one_does(
    offset: int, there: int, back: int, later: int
) -> None:
    """Wrong by no more than the asking took, now and later, however wrong the machine's own clock is."""
    below = MovingClock()
    clock = SharedClock(below)
    asked(clock, below, offset, there, back)
    assert abs(clock() - (below() + offset)) <= there + back
    below.pass_(ms=later)
    assert abs(clock() - (below() + offset)) <= there + back


@given(st.lists(st.tuples(OFFSETS, WAITS, WAITS), min_size=1, max_size=5))
def test_a_shared_clock_follows_when_the_machines_is_set(readings: list[tuple[int, int, int]]) -> None:
    """The last reading counts."""
    below = MovingClock()
    clock = SharedClock(below)
    for offset, there, back in readings:
        asked(clock, below, offset, there, back)
        assert abs(clock() - (below() + offset)) <= there + back


def test_two_machines_have_the_same_time() -> None:
    """Though the clock of one is a minute behind and the other's an hour ahead."""
    times = []
    for wrong_by in (-60_000, 3_600_000):
        below = MovingClock(1_000_000_000 + wrong_by)
        clock = SharedClock(below)
        asked(clock, below, -wrong_by, 0, 0)
        times.append(clock())
    assert times == [1_000_000_000] * 2


def test_nobody_else_to_ask() -> None:
    """Until it is set, it is the machine's own."""
    below = MovingClock()
    assert SharedClock(below)() == below()
